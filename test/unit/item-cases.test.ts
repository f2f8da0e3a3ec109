/** Answers that fell after a conviction: ledger and chain together make their clients whole, and no more (SPEC.md §8.3, spec-chain.md C9.8). */
import { eq } from 'drizzle-orm';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Hash } from '#protocol/hash';
import { outputHash } from '#protocol/request';
import { endCase, openIntent, ruleCase } from '../../gateway/chain/case-calls.ts';
import { divisionIn, followCases, openCases } from '../../gateway/chain/cases.ts';
import { type DivisionGrounds, divisionProblem } from '../../gateway/dispute/division.ts';
import { followSettlement } from '../../gateway/dispute/follow.ts';
import { acceptRequest } from '../../gateway/store/accept-request.ts';
import { attestationOf, forgetExpiredAttestations } from '../../gateway/store/attestations-repo.ts';
import { moveCase, putVoice } from '../../gateway/store/chain-cases-repo.ts';
import { intentByKey, moveIntent } from '../../gateway/store/chain-outbox-repo.ts';
import { addKey, putStake } from '../../gateway/store/chain-state-repo.ts';
import { disputeById, forgetExpiredBundles, updateDispute } from '../../gateway/store/disputes-repo.ts';
import type { Store } from '../../gateway/store/handle.ts';
import { owedNano } from '../../gateway/store/owed.ts';
import { recordJobs, recordSteps } from '../../gateway/store/record-work.ts';
import { endReexamination, insertReexamination, updateItem } from '../../gateway/store/reexamine-repo.ts';
import { requestById, updateRequest } from '../../gateway/store/requests-repo.ts';
import {
  accuse,
  addressOf,
  BAD,
  type CaseWorld,
  caseRow,
  caseState,
  LIAR,
  NOBODY,
  settle,
  stakeOf,
  startCaseWorld,
  uphold,
} from './case-fixture.ts';
import { addresses } from './chain-world.ts';
import { hashOf, newJob, newRequest } from './store-fixture.ts';
import { answer, everybody, JOBS } from './store-life-fixture.ts';

const CLIENT = addressOf('ee');
/** More than the liar's stake in the ledger, 100,000 nano. */
const CHARGED_NANO = 130_000n;
const [CONVICTION, ITEM] = [hashOf('conviction'), hashOf('item')];
/** What a referee knows of an answer that the liar gave alone, and that was served. */
const REQUEST_HASH = hashOf('request');
const GROUNDS = {
  statement: {
    ...{ requestHash: REQUEST_HASH, scores: [] },
    waves: [
      { members: [{ provider: '0xcc', standing: 'counted', claim: { value: { transcriptHash: outputHash([1]) } } }] },
    ],
  },
  bundle: {
    fault: 'wrong_output',
    accused: { provider: '0xcc', ticket: { requestHash: REQUEST_HASH }, tokens: [1] },
  },
  ...{ accounts: new Map([['0xcc', LIAR]]), barred: [LIAR], charged: CHARGED_NANO, hasPaid: true },
} as unknown as DivisionGrounds;
const DAY_MS = 86_400_000;

let cleaners: (() => void)[] = [];
let world: CaseWorld;
let store: Store;

beforeEach(async () => {
  world = await startCaseWorld((clean) => cleaners.push(clean));
  ({ store } = world);
  world.chain.balance = 1_000n;
});
afterEach(async () => {
  await store.close();
  for (const clean of cleaners) clean();
  cleaners = [];
});

/** An answer that the liar gave alone. @returns its job */
async function given(requestId: string, account: string, chargedNano: bigint): Promise<Hash> {
  const job = newJob(`job of ${requestId}`, '0xcc', { roundId: hashOf(`round of ${requestId}`) });
  const { jobId } = job;
  await store.withTx(async (tx) => {
    await acceptRequest(tx, newRequest(requestId, { quoteNano: chargedNano > 3_000n ? chargedNano : 3_000n }));
    await recordJobs(tx, requestId, [job], 1_001);
    await recordSteps(tx, [{ kind: 'claimed', jobId, claimJson: '{}', outputTokens: 30, atMs: 1_002 }]);
  });
  await answer(store, requestId, 'unverified', new Map([[jobId, 'counted']]));
  await store.withTx((tx) => updateRequest(tx, requestId, { chargedNano }));
  await store.withTx(({ db, tables: { requests } }) =>
    db.update(requests).set({ account }).where(eq(requests.requestId, requestId)),
  );
  return jobId;
}

/** The liar is convicted of r1, and these other answers of it have fallen after that; nothing is settled but they. */
async function aftermath(items: readonly { readonly requestId: string; readonly jobId: Hash; readonly id: Hash }[]) {
  await accuse(store, CONVICTION, { requestId: 'r1', jobId: BAD });
  await answer(store, 'r1', 'agreed', everybody('counted').set(BAD, 'rejected'));
  await uphold(store, CONVICTION);
  const again = { disputeId: CONVICTION, operator: 'liar', fromMs: 0, beganAtMs: 2_500, deadlineMs: 9_000 };
  await store.withTx((tx) =>
    insertReexamination(
      tx,
      { ...again, endedAtMs: null, leftOut: 0 },
      items.map(({ requestId }) => ({ requestId, choice: 0, provider: '0xcc' })),
    ),
  );
  for (const [logIndex, { requestId, jobId, id }] of items.entries()) {
    await accuse(store, id, { requestId, jobId, freezes: false, atMs: 2_600 });
    await store.withTx((tx) =>
      updateItem(tx, { requestId, choice: 0 }, { logIndex, accusedIn: id, outcome: 'overturned' }),
    );
    await uphold(store, id);
    await settle(store, id);
  }
}

/** Everything was looked at: the conviction is settled, and the ledger has paid back what it could. */
async function settleConviction() {
  const row = (await store.read((handle) => disputeById(handle, CONVICTION)))!;
  await store.withTx((tx) => endReexamination(tx, CONVICTION, 2_900));
  const ending = await settle(store, CONVICTION);
  if (ending.outcome !== 'settled') throw new Error('the conviction waits for something');
  await store.withTx((tx) => followSettlement(tx, row, ending.settlement, 3_000));
  return ending.settlement;
}

const requestOf = async (id: string) => (await store.read((handle) => requestById(handle, id)))!;
const owed = async (id: string) => {
  const request = await requestOf(id);
  return store.read((handle) => owedNano(handle, request));
};
const intent = (key: string) => store.read((handle) => intentByKey(handle, key));

test('the case of an answer that fell waits for its conviction, then asks for what the ledger could not pay back, to the last nano', async () => {
  const { deps, chain } = world;
  const jobId = await given('r2', CLIENT, CHARGED_NANO);
  await aftermath([{ requestId: 'r2', jobId, id: ITEM }]);
  await openCases(deps, 9);
  expect(await caseRow(store, ITEM)).toBeNull();
  const { restitutions } = await settleConviction();
  const paidBack = restitutions[0]!.refundedNano;
  expect(paidBack > 0n && paidBack < CHARGED_NANO).toBe(true);
  await openCases(deps, 9);
  const opened = await caseRow(store, ITEM);
  // The client of that answer, not of the conviction; who answered alone leaves nobody who was right.
  expect(opened).toMatchObject({ client: CLIENT, rightJson: '[]', state: 'entered', account: LIAR });
  expect(paidBack + BigInt(opened.refundBase)).toBe(CHARGED_NANO);
  expect(opened.caseId).not.toBe((await caseRow(store, CONVICTION)).caseId);
  expect(divisionProblem(divisionIn(opened), GROUNDS)).toBeNull();

  chain.case = caseState('opened');
  const voice = { caseId: opened.caseId, instance: 0, outcome: 'upheld', atMs: 0 } as const;
  await store.withTx((tx) => putVoice(tx, { ...voice, referee: addressOf('01'), signature: '0x01' }));
  await followCases(deps, 9);
  const division = { client: CLIENT, refund: CHARGED_NANO - paidBack, right: [] };
  const ruled = ruleCase(addresses, opened.caseId as Hash, 0, 'upheld', division, ['0x01']);
  expect(await intent(ruled.key)).toMatchObject({ callData: ruled.data });
  chain.case = caseState('ruled', { outcome: 'upheld' });
  chain.nowSeconds = 5_000;
  await followCases(deps, 9);
  const end = endCase(addresses, opened.caseId as Hash, division);
  expect(await intent(end.key)).toMatchObject({ callData: end.data });
  chain.case = caseState('settled', { outcome: 'upheld' });
  await followCases(deps, 9);
  expect(await caseRow(store, ITEM)).toMatchObject({ state: 'settled', outcome: 'upheld' });
  expect(await owed('r2')).toBe(0n);
});

test('what a case refunds the ledger does not pay too, unless the case ends without it', async () => {
  const jobId = await given('r2', CLIENT, CHARGED_NANO);
  await aftermath([{ requestId: 'r2', jobId, id: ITEM }]);
  await settleConviction();
  const left = CHARGED_NANO - (await requestOf('r2')).refundedNano;
  expect(await owed('r2')).toBe(left);
  await openCases(world.deps, 9);
  expect(await owed('r2')).toBe(0n);
  for (const change of [{ state: 'failed' }, { state: 'settled', outcome: 'rejected' }, { outcome: null }] as const) {
    await store.withTx((tx) => moveCase(tx, ITEM, change));
    expect(await owed('r2')).toBe(left);
  }
});

test('what an open dispute of the request withholds is not asked of the chain: it may come back by the ledger', async () => {
  const jobId = await given('r2', CLIENT, CHARGED_NANO);
  await aftermath([{ requestId: 'r2', jobId, id: ITEM }]);
  await settleConviction();
  const other = hashOf('other');
  await accuse(store, other, { requestId: 'r2', jobId: JOBS[0]!.jobId, freezes: false });
  await store.withTx((tx) => updateDispute(tx, other, { withheldClientNano: 7n }));
  await openCases(world.deps, 9);
  const { refundedNano } = await requestOf('r2');
  expect(BigInt((await caseRow(store, ITEM)).refundBase) + refundedNano + 7n).toBe(CHARGED_NANO);
});

test.each([
  ['was made whole by the ledger', CLIENT, 100n],
  ['has no address', 'key1', CHARGED_NANO],
])('more stake is taken for a refund alone: a client that %s brings no case', async (_, account, chargedNano) => {
  const jobId = await given('r2', account, chargedNano);
  await aftermath([{ requestId: 'r2', jobId, id: ITEM }]);
  await settleConviction();
  await openCases(world.deps, 9);
  expect(await caseRow(store, ITEM)).toMatchObject({ state: 'failed', client: NOBODY, refundBase: '0' });
  expect(await intent(openIntent(ITEM))).toBeNull();
  // Its own case goes on: it is what the 20% are for.
  expect(await caseRow(store, CONVICTION)).toMatchObject({ state: 'entered' });
});

test('of a convicted account clients get their refund while there is a pot, and nothing else is asked', async () => {
  const jobId = await given('r2', CLIENT, CHARGED_NANO);
  await aftermath([{ requestId: 'r2', jobId, id: ITEM }]);
  await settleConviction();
  await store.withTx((tx) => putStake(tx, stakeOf(100n, 1)));
  await openCases(world.deps, 9);
  expect(await caseRow(store, ITEM)).toMatchObject({ state: 'entered', client: CLIENT });
  expect(await caseRow(store, CONVICTION)).toMatchObject({ state: 'failed', client: NOBODY });
});

test('bundle and attestation are kept while the case waits for its conviction and for its referees, and no longer', async () => {
  const { deps, chain } = world;
  const jobId = await given('r2', CLIENT, CHARGED_NANO);
  await aftermath([{ requestId: 'r2', jobId, id: ITEM }]);
  const forget = async (nowMs: number) => {
    await store.withTx(async (tx) => {
      await forgetExpiredBundles(tx, nowMs);
      await forgetExpiredAttestations(tx, nowMs);
    });
    return store.read(async (handle) => [
      (await disputeById(handle, ITEM))!.bundleJson !== null,
      (await attestationOf(handle, 'r2'))!.statementJson !== null,
    ]);
  };
  // Longer than anything is kept for.
  expect(await forget(100_000)).toEqual([true, true]);
  await settleConviction();
  expect(await forget(100_000)).toEqual([true, true]);
  await openCases(deps, 9);
  chain.case = caseState('opened');
  await followCases(deps, 9);
  expect(await forget(9 * DAY_MS)).toEqual([true, true]);
  chain.case = caseState('settled', { outcome: 'upheld' });
  await followCases(deps, 9);
  expect(await forget(9 * DAY_MS)).toEqual([false, false]);
});

test('accounts without stake hide nobody else, however much of theirs fell', async () => {
  const ids = Array.from({ length: 12 }, (_, at) => hashOf(`gone ${at}`));
  for (const [at, id] of ids.entries()) {
    const jobId = await given(`r${at + 2}`, CLIENT, 100n);
    await accuse(store, id, { requestId: `r${at + 2}`, jobId });
    await store.withTx((tx) => updateDispute(tx, id, { provider: '0xdd', openedAtMs: at }));
  }
  await accuse(store, ITEM, { requestId: 'r1', jobId: BAD });
  await answer(store, 'r1', 'agreed', everybody('counted').set(BAD, 'rejected'));
  for (const id of [...ids, ITEM]) {
    await uphold(store, id);
    await store.withTx((tx) => updateDispute(tx, id, { state: 'settled', settledAtMs: 3_000 }));
  }
  await store.withTx(async (tx) => {
    await addKey(tx, addressOf('dd'), '0xdd');
    await putStake(tx, { ...stakeOf(0n), account: addressOf('dd') });
  });
  await openCases(world.deps, 9);
  expect(await caseRow(store, ITEM)).toMatchObject({ state: 'entered' });
});

test('an opening that can never be is given up: the stake is gone, or two weeks have passed', async () => {
  const { deps, clock } = world;
  const jobId = await given('r2', CLIENT, CHARGED_NANO);
  await aftermath([{ requestId: 'r2', jobId, id: ITEM }]);
  await settleConviction();
  await openCases(deps, 9);
  const refuse = async (id: Hash) => {
    await store.withTx((tx) => moveIntent(tx, openIntent(id), { state: 'failed', failure: 'x', endedAtMs: 0 }));
    await followCases(deps, 9);
    return (await caseRow(store, id)).state;
  };
  expect(await refuse(ITEM)).toBe('entered');
  await store.withTx((tx) => putStake(tx, stakeOf(0n)));
  expect(await refuse(ITEM)).toBe('failed');
  await store.withTx((tx) => putStake(tx, stakeOf(100n)));
  expect(await refuse(CONVICTION)).toBe('entered');
  clock.pass(14 * DAY_MS);
  expect(await refuse(CONVICTION)).toBe('failed');
});

test('each case needs its bond beside those that are on their way: the rest wait', async () => {
  const jobId = await given('r2', CLIENT, CHARGED_NANO);
  await aftermath([{ requestId: 'r2', jobId, id: ITEM }]);
  await settleConviction();
  world.chain.balance = 5n;
  expect(await openCases(world.deps, 9)).toBe(false);
  expect(await caseRow(store, CONVICTION)).not.toBeNull();
  expect(await caseRow(store, ITEM)).toBeNull();
  world.chain.balance = 10n;
  expect(await openCases(world.deps, 9)).toBe(true);
  expect(await caseRow(store, ITEM)).not.toBeNull();
});
