/** Work after a request's end and what a slash gives back for it (spec-money.md 11.8, 11.9), on real files. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RESERVE } from '../../gateway/ledger/accounts.ts';
import { DEFAULT_SPLIT } from '../../gateway/ledger/dispute-money.ts';
import { acceptRequest } from '../../gateway/store/accept-request.ts';
import { openDispute, ruleDispute, settleRuledDispute } from '../../gateway/store/change-dispute.ts';
import type { Store } from '../../gateway/store/handle.ts';
import { jobById } from '../../gateway/store/jobs-repo.ts';
import { payLateWork, recordLateJobs } from '../../gateway/store/late-work.ts';
import { recordSteps } from '../../gateway/store/record-work.ts';
import { requestById } from '../../gateway/store/requests-repo.ts';
import {
  booksProblems,
  CLIENT_FUNDS_NANO,
  hashOf,
  newJob,
  newRequest,
  RESERVE_FUNDS_NANO,
  storeOfEachTest,
} from './store-fixture.ts';
import {
  answer,
  balances,
  breakOff,
  everybody,
  JOBS,
  PAY_NANO,
  picture,
  recoverAt,
  refusal,
  revealed,
} from './store-life-fixture.ts';

const BAD = JOBS[2]!;
const REFEREE = newJob('referee', '0xee', { role: 'referee', wave: 1, maxNano: 500n });
/** 2 nano each for 10 prompt tokens and 30 scored ones. */
const SCORE_NANO = 80n;

const own = storeOfEachTest();
let store: Store;
beforeEach(async () => {
  store = own.store;
  await revealed(store);
});
afterEach(async () => expect(await booksProblems(store)).toEqual([]));

const issue = (change = {}) => store.withTx((tx) => recordLateJobs(tx, 'r1', [{ ...REFEREE, ...change }], 3_000));
const pay = (jobId: string = REFEREE.jobId) => store.withTx((tx) => payLateWork(tx, jobId, 3_500));
const requestRow = () => store.read((handle) => requestById(handle, 'r1'));
const standings = () => everybody('counted').set(BAD.jobId, 'rejected');
const move = (kind: string) => ({ kind, moveJson: '{}', signature: null, atMs: 2_500 });

function score(jobId = REFEREE.jobId, scoredTokens = 30) {
  const step = { kind: 'scored', jobId, claimJson: '{}', scoredTokens, atMs: 3_200 } as const;
  return store.withTx((tx) => recordSteps(tx, [step]));
}

function accuse() {
  return store.withTx((tx) =>
    openDispute(tx, {
      disputeId: hashOf('d'),
      requestId: 'r1',
      jobId: BAD.jobId,
      provider: BAD.provider,
      fault: 'wrong_output',
      bundleJson: '{}',
      retainUntilMs: 9_000,
      move: move('opened'),
    }),
  );
}

test('a late job holds its own cover, is paid out of it once, and gives the rest back', async () => {
  await answer(store, 'r1', 'agreed', everybody('counted'));
  await issue();
  const cover = `cover:${REFEREE.jobId}`;
  expect(await balances(store, cover, RESERVE)).toEqual([500n, RESERVE_FUNDS_NANO - 500n]);
  await score();
  expect(await pay()).toBe(SCORE_NANO);
  expect(await balances(store, cover, RESERVE, 'earnings:0xee')).toEqual([
    0n,
    RESERVE_FUNDS_NANO - SCORE_NANO,
    SCORE_NANO,
  ]);
  const before = await picture(store);
  expect(await pay()).toBe(0n);
  expect(await picture(store)).toBe(before);
  expect(await requestRow()).toMatchObject({ recoverableNano: SCORE_NANO });
});

test('a late job earns at most what it was issued for', async () => {
  await answer(store, 'r1', 'agreed', everybody('counted'));
  await issue();
  await score(REFEREE.jobId, 10_000);
  expect(await pay()).toBe(500n);
});

test('a late job that brought nothing gives its whole cover back', async () => {
  await answer(store, 'r1', 'agreed', everybody('counted'));
  await issue();
  expect(await pay()).toBe(0n);
  expect(await balances(store, RESERVE)).toEqual([RESERVE_FUNDS_NANO]);
});

test('late work is refused before the request has ended, beyond the reserve, and for unknown jobs', async () => {
  const before = await picture(store);
  expect(await refusal(issue())).toBe('internal_error');
  expect(await refusal(pay(JOBS[0]!.jobId))).toBe('internal_error');
  expect(await refusal(pay('0xnone'))).toBe('internal_error');
  expect(await picture(store)).toBe(before);
  await answer(store, 'r1', 'agreed', everybody('counted'));
  expect(await refusal(issue({ maxNano: RESERVE_FUNDS_NANO + 1n }))).toBe('reserve_empty');
});

test('a late member is paid by the reserve for what it brings after the end, which no slash gives back', async () => {
  const { jobId } = JOBS[1]!;
  const late = { kind: 'late', jobId, fault: 'timeout', atMs: 1_500 } as const;
  await store.withTx((tx) => recordSteps(tx, [late]));
  await answer(store, 'r1', 'agreed', everybody('counted').set(jobId, 'late'));
  await store.withTx((tx) => recordSteps(tx, [{ kind: 'revealed', jobId, outputTokens: 50 }]));
  expect(await pay(jobId)).toBe(200n);
  expect(await balances(store, RESERVE, 'earnings:0xbb')).toEqual([
    RESERVE_FUNDS_NANO - PAY_NANO - 200n,
    PAY_NANO + 200n,
  ]);
  expect((await store.read((handle) => jobById(handle, jobId)))?.earnedNano).toBe(PAY_NANO + 200n);
  expect(await requestRow()).toMatchObject({ recoverableNano: 0n });
});

test('late work is paid once: what a job brings after that is neither paid nor an error', async () => {
  const { jobId } = JOBS[1]!;
  const reveal = (outputTokens: number) =>
    store.withTx((tx) => recordSteps(tx, [{ kind: 'revealed', jobId, outputTokens }]));
  await store.withTx((tx) => recordSteps(tx, [{ kind: 'late', jobId, fault: 'timeout', atMs: 1_500 }]));
  await answer(store, 'r1', 'agreed', everybody('counted').set(jobId, 'late'));
  await reveal(50);
  expect(await pay(jobId)).toBe(200n);
  await reveal(60);
  expect(await pay(jobId)).toBe(0n);
  expect(await balances(store, 'earnings:0xbb')).toEqual([PAY_NANO + 200n]);
});

test('a rejected job gets nothing as late work: its dispute decides', async () => {
  await accuse();
  await answer(store, 'r1', 'disputed', standings());
  expect(await pay(BAD.jobId)).toBe(0n);
  expect(await balances(store, `withheld:${hashOf('d')}`, 'earnings:0xcc')).toEqual([PAY_NANO, 0n]);
});

test('an upheld dispute gives the reserve back what the referee cost, once', async () => {
  await accuse();
  await answer(store, 'r1', 'disputed', standings());
  await issue();
  await score();
  await pay();
  await store.withTx(async (tx) => {
    await ruleDispute(tx, hashOf('d'), { ruling: 'upheld', appealUntilMs: 4_000, move: move('ruled') });
    const ending = {
      right: ['0xaa'],
      judges: ['0xee'],
      split: DEFAULT_SPLIT,
      move: { ...move('settled'), atMs: 4_000 },
    };
    expect(await settleRuledDispute(tx, hashOf('d'), ending)).toMatchObject({
      settlement: { madeGoodNano: SCORE_NANO, refundedNano: 3n * PAY_NANO },
    });
  });
  expect(await balances(store, RESERVE, 'client:key1', 'earnings:0xee')).toEqual([
    RESERVE_FUNDS_NANO,
    CLIENT_FUNDS_NANO,
    SCORE_NANO,
  ]);
  expect(await requestRow()).toMatchObject({ recoverableNano: SCORE_NANO, recoveredNano: SCORE_NANO });
});

test('after an inconclusive end an upheld dispute gives the reserve back all that it paid', async () => {
  await accuse();
  await breakOff(store, 'r1', 'inconclusive', standings());
  expect(await balances(store, RESERVE, 'client:key1')).toEqual([
    RESERVE_FUNDS_NANO - 3n * PAY_NANO,
    CLIENT_FUNDS_NANO,
  ]);
  await store.withTx(async (tx) => {
    await ruleDispute(tx, hashOf('d'), { ruling: 'upheld', appealUntilMs: 4_000, move: move('ruled') });
    const ending = { right: ['0xaa'], judges: [], split: DEFAULT_SPLIT, move: { ...move('settled'), atMs: 4_000 } };
    await settleRuledDispute(tx, hashOf('d'), ending);
  });
  expect(await balances(store, RESERVE, 'client:key1')).toEqual([RESERVE_FUNDS_NANO, CLIENT_FUNDS_NANO]);
});

test('recovery pays late work as far as it came, once', async () => {
  await store.withTx((tx) => acceptRequest(tx, newRequest('r2')));
  await answer(store, 'r1', 'agreed', everybody('counted'));
  await issue();
  await score();
  expect(await recoverAt(store, 5_000)).toEqual({ closed: ['r2'], paidNano: SCORE_NANO });
  const before = await picture(store);
  expect(await recoverAt(store, 6_000)).toEqual({ closed: [], paidNano: 0n });
  expect(await picture(store)).toBe(before);
});

test('recovery of a request with an open dispute leaves that pay to the dispute', async () => {
  await accuse();
  expect(await recoverAt(store, 5_000)).toEqual({ closed: ['r1'], paidNano: 3n * PAY_NANO });
  expect(await balances(store, `withheld:${hashOf('d')}`, 'earnings:0xcc', 'earnings:0xaa')).toEqual([
    PAY_NANO,
    0n,
    PAY_NANO,
  ]);
});
