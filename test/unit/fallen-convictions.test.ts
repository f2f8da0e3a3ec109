/** Who convicts once a conviction has fallen on appeal (SPEC.md §8.3, spec-money.md §11.8, spec-chain.md C9.8). */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Hash } from '#protocol/hash';
import { JUDGED_FAULTS } from '../../gateway/chain/case-calls.ts';
import type { Ruling } from '../../gateway/ledger/dispute-money.ts';
import { succeedConviction } from '../../gateway/reexamine/succeed.ts';
import { acceptRequest } from '../../gateway/store/accept-request.ts';
import { disputesForCases } from '../../gateway/store/chain-cases-repo.ts';
import { disputeById, updateDispute } from '../../gateway/store/disputes-repo.ts';
import { frozenPayNano } from '../../gateway/store/freezings.ts';
import type { Store } from '../../gateway/store/handle.ts';
import { bondOf } from '../../gateway/store/ledger-repo.ts';
import { recordJobs } from '../../gateway/store/record-work.ts';
import { insertReexamination, isWaiting, updateItem } from '../../gateway/store/reexamine-repo.ts';
import { accuse, BAD, startCaseWorld } from './case-fixture.ts';
import { booksProblems, hashOf, newJob, newRequest, STAKE_NANO } from './store-fixture.ts';

const LIMITS = { windowMs: 1_000, withinMs: 1_000 };
const [CONVICTION, FIRST, SECOND] = [hashOf('conviction'), hashOf('first'), hashOf('second')];
const SHARE_NANO = STAKE_NANO / 5n;

let cleaners: (() => void)[] = [];
let store: Store;

beforeEach(async () => {
  ({ store } = await startCaseWorld((clean) => cleaners.push(clean)));
  await accuse(store, CONVICTION, { requestId: 'r1', jobId: BAD });
  await began(CONVICTION, ['r2', 'r3']);
  await led('r2', FIRST);
  await led('r3', SECOND);
});
afterEach(async () => {
  expect(await booksProblems(store)).toEqual([]);
  await store.close();
  for (const clean of cleaners) clean();
  cleaners = [];
});

/** Answers that are to be looked at because of a conviction. */
async function began(disputeId: Hash, requestIds: readonly string[]): Promise<void> {
  const row = {
    disputeId,
    operator: 'liar',
    fromMs: 0,
    beganAtMs: 2_500,
    deadlineMs: 9_000,
    endedAtMs: null,
    leftOut: 0,
  };
  await store.withTx(async (tx) => {
    for (const requestId of requestIds) {
      await acceptRequest(tx, newRequest(requestId));
      const job = newJob(`job of ${requestId}`, '0xcc', { roundId: hashOf(requestId) });
      await recordJobs(tx, requestId, [job], 1_001);
    }
    const items = requestIds.map((requestId) => ({ requestId, choice: 0, provider: '0xcc' }));
    await insertReexamination(tx, row, items);
  });
}

/** One of them was seen to be wrong, and is argued about. */
async function led(requestId: string, disputeId: Hash): Promise<void> {
  const { jobId } = newJob(`job of ${requestId}`, '0xcc', {});
  await accuse(store, disputeId, { requestId, jobId, freezes: false, atMs: 2_600 });
  await store.withTx((tx) => updateItem(tx, { requestId, choice: 0 }, { logIndex: 1, accusedIn: disputeId }));
}

async function rule(disputeId: Hash, ruling: Ruling): Promise<void> {
  await store.withTx(async (tx) => {
    await updateDispute(tx, disputeId, { state: 'ruled', ruling, ruledAtMs: 2_700, appealUntilMs: 9_000 });
    await succeedConviction(tx, disputeId, LIMITS, 2_700);
  });
}

const frozenIn = async (...ids: Hash[]) =>
  Promise.all(ids.map(async (id) => (await store.read((handle) => disputeById(handle, id)))!.frozenNano));

test('while the conviction stands nothing that it led to freezes anything', async () => {
  await rule(CONVICTION, 'upheld');
  await rule(FIRST, 'upheld');
  await rule(SECOND, 'upheld');
  expect(await frozenIn(CONVICTION, FIRST, SECOND)).toEqual([SHARE_NANO, 0n, 0n]);
});

test('where it falls the first that was upheld convicts in its place, once, with the penalty of the whole stake', async () => {
  await rule(CONVICTION, 'upheld');
  await rule(FIRST, 'rejected');
  await rule(SECOND, 'upheld');
  await rule(CONVICTION, 'abandoned');
  expect(await frozenIn(FIRST, SECOND)).toEqual([0n, SHARE_NANO]);
  await rule(FIRST, 'upheld');
  await rule(CONVICTION, 'abandoned');
  expect(await frozenIn(FIRST, SECOND)).toEqual([0n, SHARE_NANO]);
  const bond = await store.read((handle) => bondOf(handle, '0xcc'));
  expect(bond.freeNano + bond.frozenNano).toBe(STAKE_NANO);
  expect(await store.read((handle) => frozenPayNano(handle, SECOND))).toBe(0n);
});

test('the one that is ruled after the fall convicts then, and where that falls too the next does', async () => {
  await rule(CONVICTION, 'rejected');
  expect(await frozenIn(FIRST, SECOND)).toEqual([0n, 0n]);
  await rule(SECOND, 'upheld');
  expect(await frozenIn(FIRST, SECOND)).toEqual([0n, SHARE_NANO]);
  await began(SECOND, ['r4']);
  await led('r4', hashOf('third'));
  await rule(hashOf('third'), 'upheld');
  expect(await frozenIn(hashOf('third'))).toEqual([0n]);
  await rule(SECOND, 'rejected');
  expect(await frozenIn(FIRST, hashOf('third'))).toEqual([0n, SHARE_NANO]);
});

test('what is settled convicts nobody any more', async () => {
  await rule(CONVICTION, 'upheld');
  await rule(FIRST, 'upheld');
  await store.withTx((tx) => updateDispute(tx, FIRST, { state: 'settled', settledAtMs: 2_800 }));
  await rule(CONVICTION, 'rejected');
  expect(await frozenIn(FIRST)).toEqual([0n]);
});

test('on a chain it is a case like any other, and the rest are for their refunds', async () => {
  await rule(CONVICTION, 'rejected');
  await rule(FIRST, 'upheld');
  await rule(SECOND, 'upheld');
  await store.withTx(async (tx) => {
    for (const id of [CONVICTION, FIRST, SECOND]) await updateDispute(tx, id, { state: 'settled', settledAtMs: 9_000 });
  });
  const due = await store.read((handle) => disputesForCases(handle, JUDGED_FAULTS));
  expect(due.map(({ disputeId, isAftermath }) => [disputeId, isAftermath])).toEqual(
    [
      [FIRST, false],
      [SECOND, true],
    ].sort(([a], [b]) => (a! < b! ? -1 : 1)),
  );
});

test('an answer waits for its own conviction alone', async () => {
  await began(FIRST, ['r4']);
  const item = { requestId: 'r4', choice: 0 };
  const waits = (disputeId: Hash) => store.read((handle) => isWaiting(handle, { ...item, disputeId }));
  expect([await waits(FIRST), await waits(CONVICTION)]).toEqual([true, false]);
});
