/** Disputes and late work on real files: what is frozen, withheld, refunded and paid, and when (spec-money.md 11.8, 11.9). */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Fault } from '#protocol/verdict';
import { BURN } from '../../gateway/ledger/accounts.ts';
import { DEFAULT_SPLIT, type Ruling } from '../../gateway/ledger/dispute-money.ts';
import { withdrawal } from '../../gateway/ledger/funding.ts';
import { addEvidence, openDispute, ruleDispute, settleRuledDispute } from '../../gateway/store/change-dispute.ts';
import { disputeById, disputeMoves, settleableDisputes } from '../../gateway/store/disputes-repo.ts';
import type { Store } from '../../gateway/store/handle.ts';
import { jobById } from '../../gateway/store/jobs-repo.ts';
import { applyTransfer, bondOf } from '../../gateway/store/ledger-repo.ts';
import { requestById } from '../../gateway/store/requests-repo.ts';
import { booksProblems, CLIENT_FUNDS_NANO, hashOf, STAKE_NANO, storeOfEachTest } from './store-fixture.ts';
import { answer, balances, everybody, JOBS, PAY_NANO, picture, refusal, revealed } from './store-life-fixture.ts';

const LOSER = '0xcc';
const BAD = JOBS[2]!.jobId;
/** 20% of the whole bond. */
const SLASH_NANO = STAKE_NANO / 5n;
const APPEAL_MS = 5_000;

const own = storeOfEachTest();
let store: Store;
beforeEach(async () => {
  store = own.store;
  await revealed(store);
});
afterEach(async () => expect(await booksProblems(store)).toEqual([]));

const move = (kind: string, atMs: number) => ({ kind, moveJson: '{}', signature: null, atMs });
const standings = () => everybody('counted').set(BAD, 'rejected');
const stakeOf = (provider: string) => store.read((handle) => bondOf(handle, provider));
const requestRow = () => store.read((handle) => requestById(handle, 'r1'));

function accuse(name: string, fault: Fault = 'wrong_output', job = JOBS[2]!) {
  return store.withTx((tx) =>
    openDispute(tx, {
      disputeId: hashOf(name),
      requestId: 'r1',
      jobId: job.jobId,
      provider: job.provider,
      fault,
      bundleJson: '{}',
      retainUntilMs: 9_000,
      move: move('opened', 1_500),
    }),
  );
}

function rule(name: string, ruling: Ruling, atMs = 2_500) {
  const ruled = { ruling, appealUntilMs: APPEAL_MS, move: move('ruled', atMs) };
  return store.withTx((tx) => ruleDispute(tx, hashOf(name), ruled));
}

function end(name: string, atMs = APPEAL_MS, judges: readonly string[] = []) {
  const ending = { right: ['0xaa', '0xbb'], judges, split: DEFAULT_SPLIT, move: move('settled', atMs) };
  return store.withTx((tx) => settleRuledDispute(tx, hashOf(name), ending));
}

async function disputed(ruling: Ruling): Promise<void> {
  await accuse('d');
  await answer(store, 'r1', 'disputed', standings());
  await rule('d', ruling);
}

test('opening a dispute freezes the penalty, where no withdrawal reaches it', async () => {
  expect(await accuse('d')).toEqual({ outcome: 'opened', frozenNano: SLASH_NANO });
  expect(await stakeOf(LOSER)).toEqual({ freeNano: STAKE_NANO - SLASH_NANO, frozenNano: SLASH_NANO });
  const all = store.withTx((tx) => applyTransfer(tx, withdrawal('w', `stake:${LOSER}`, STAKE_NANO), 1));
  expect(await refusal(all)).toBe('internal_error');
});

test('the same accusation freezes once', async () => {
  await accuse('d');
  const before = await picture(store);
  expect(await accuse('again')).toEqual({ outcome: 'known', disputeId: hashOf('d') });
  expect(await picture(store)).toBe(before);
});

test('two disputes cannot spend one stake: the second freezes only what the first left', async () => {
  await accuse('d');
  expect(await accuse('e', 'equivocation')).toEqual({ outcome: 'opened', frozenNano: STAKE_NANO - SLASH_NANO });
  expect(await accuse('f', 'bad_opening')).toEqual({ outcome: 'opened', frozenNano: 0n });
  expect(await stakeOf(LOSER)).toEqual({ freeNano: 0n, frozenNano: STAKE_NANO });
});

test('a second penalty is measured on the whole bond, frozen part included', async () => {
  await accuse('d');
  expect(await accuse('e', 'bad_evidence')).toEqual({ outcome: 'opened', frozenNano: SLASH_NANO });
});

test('faults of the gateway freeze nobody’s stake', async () => {
  expect(await accuse('d', 'two_roots')).toEqual({ outcome: 'opened', frozenNano: 0n });
});

test('pay of the rejected job is withheld, and everybody else is paid at once', async () => {
  await accuse('d');
  await answer(store, 'r1', 'disputed', standings());
  expect(await balances(store, `withheld:${hashOf('d')}`, `earnings:${LOSER}`, 'earnings:0xaa')).toEqual([
    PAY_NANO,
    0n,
    PAY_NANO,
  ]);
  const row = await store.read((handle) => disputeById(handle, hashOf('d')));
  expect(row).toMatchObject({ withheldClientNano: PAY_NANO, withheldReserveNano: 0n });
});

test('an upheld dispute refunds the client in full before anybody is rewarded', async () => {
  await disputed('upheld');
  const ending = await end('d');
  const refund = 3n * PAY_NANO;
  const each = (SLASH_NANO * 3n) / 10n / 2n;
  expect(ending).toMatchObject({
    outcome: 'settled',
    settlement: { refundedNano: refund, rewardEachNano: each, rewarded: ['0xaa', '0xbb'] },
  });
  expect(await balances(store, 'client:key1', `stake:${LOSER}`, `earnings:${LOSER}`, 'earnings:0xaa', BURN)).toEqual([
    CLIENT_FUNDS_NANO,
    STAKE_NANO - SLASH_NANO,
    0n,
    PAY_NANO + each,
    SLASH_NANO - 2n * PAY_NANO - 2n * each,
  ]);
  expect(await requestRow()).toMatchObject({ chargedNano: refund, refundedNano: refund });
  expect((await store.read((handle) => jobById(handle, BAD)))?.earnedNano).toBe(0n);
});

test('a judge gets nothing of the slash, named among those who were right or not', async () => {
  await disputed('upheld');
  expect(await end('d', APPEAL_MS, ['0xbb'])).toMatchObject({ settlement: { rewarded: ['0xaa'] } });
  expect(await balances(store, 'earnings:0xbb')).toEqual([PAY_NANO]);
});

test('two upheld disputes about one request refund what was charged, once', async () => {
  await accuse('e', 'wrong_output', JOBS[1]!);
  await accuse('d');
  await answer(store, 'r1', 'disputed', standings().set(JOBS[1]!.jobId, 'rejected'));
  for (const name of ['d', 'e']) {
    await rule(name, 'upheld');
    await end(name);
  }
  expect(await balances(store, 'client:key1')).toEqual([CLIENT_FUNDS_NANO]);
  expect(await requestRow()).toMatchObject({ chargedNano: 3n * PAY_NANO, refundedNano: 3n * PAY_NANO });
});

test('money withheld by another open dispute is not refunded before that one ends', async () => {
  await accuse('e', 'wrong_output', JOBS[1]!);
  await accuse('d');
  await answer(store, 'r1', 'disputed', standings().set(JOBS[1]!.jobId, 'rejected'));
  await rule('d', 'upheld');
  await end('d');
  expect(await balances(store, 'client:key1')).toEqual([CLIENT_FUNDS_NANO - PAY_NANO]);
  await rule('e', 'rejected');
  await end('e');
  expect(await balances(store, 'earnings:0xbb')).toEqual([PAY_NANO + (SLASH_NANO * 3n) / 10n / 2n]);
});

test.each(['rejected', 'abandoned'] as const)('a dispute that is %s gives stake and pay back', async (ruling) => {
  await disputed(ruling);
  await end('d');
  expect(await stakeOf(LOSER)).toEqual({ freeNano: STAKE_NANO, frozenNano: 0n });
  expect(await balances(store, `earnings:${LOSER}`, 'client:key1')).toEqual([
    PAY_NANO,
    CLIENT_FUNDS_NANO - 3n * PAY_NANO,
  ]);
  expect((await store.read((handle) => jobById(handle, BAD)))?.earnedNano).toBe(PAY_NANO);
});

test('no money moves before the appeal is over, nor before the request has ended', async () => {
  await accuse('d');
  await rule('d', 'upheld');
  const before = await picture(store);
  expect(await end('d', APPEAL_MS - 1)).toEqual({ outcome: 'too_early' });
  expect(await end('d', APPEAL_MS)).toEqual({ outcome: 'too_early' });
  expect(await picture(store)).toBe(before);
  await answer(store, 'r1', 'disputed', standings());
  expect(await store.read((handle) => settleableDisputes(handle, APPEAL_MS - 1))).toHaveLength(0);
  expect(await store.read((handle) => settleableDisputes(handle, APPEAL_MS))).toHaveLength(1);
  expect(await end('d', APPEAL_MS - 1)).toEqual({ outcome: 'too_early' });
  expect(await end('d')).toMatchObject({ outcome: 'settled' });
});

test('a ruling may be turned on appeal, and no more when it is final or settled', async () => {
  await disputed('upheld');
  await rule('d', 'rejected', APPEAL_MS - 1);
  expect(await refusal(rule('d', 'upheld', APPEAL_MS))).toBe('internal_error');
  await end('d');
  const before = await picture(store);
  expect(await refusal(rule('d', 'upheld', 2_500))).toBe('internal_error');
  expect(await refusal(end('d'))).toBe('internal_error');
  const evidence = { bundleJson: '{}', move: move('evidence', 1) };
  expect(await refusal(store.withTx((tx) => addEvidence(tx, hashOf('d'), evidence)))).toBe('internal_error');
  expect(await picture(store)).toBe(before);
  const moves = await store.read((handle) => disputeMoves(handle, hashOf('d')));
  expect(moves.map((row) => [row.moveIndex, row.kind])).toEqual([
    [0, 'opened'],
    [1, 'ruled'],
    [2, 'ruled'],
    [3, 'settled'],
  ]);
});

test('a dispute that is not ruled cannot be settled', async () => {
  await accuse('d');
  await answer(store, 'r1', 'disputed', standings());
  expect(await refusal(end('d'))).toBe('internal_error');
});
