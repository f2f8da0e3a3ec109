/** Requests on real files: acceptance, work, settlement, and every refusal on the way (spec-money.md 11.5 to 11.7). */
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RESERVE } from '../../gateway/ledger/accounts.ts';
import { deposit } from '../../gateway/ledger/funding.ts';
import { acceptRequest } from '../../gateway/store/accept-request.ts';
import { attestationOf } from '../../gateway/store/attestations-repo.ts';
import { settleRequest } from '../../gateway/store/close-request.ts';
import { listDraws } from '../../gateway/store/epochs-repo.ts';
import type { Store } from '../../gateway/store/handle.ts';
import { jobsOfRequest } from '../../gateway/store/jobs-repo.ts';
import { applyTransfer, readBooks } from '../../gateway/store/ledger-repo.ts';
import { logRange } from '../../gateway/store/log-repo.ts';
import { recordJobs, recordSteps } from '../../gateway/store/record-work.ts';
import { forgetExpired } from '../../gateway/store/recover.ts';
import { idempotencyRow, requestById } from '../../gateway/store/requests-repo.ts';
import * as fixture from './store-fixture.ts';
import { booksProblems, fundedStore, hashOf, newJob, newRequest, tempFolder } from './store-fixture.ts';
import {
  answer,
  balances,
  breakOff,
  everybody,
  JOBS,
  LIFE,
  PAY_NANO,
  picture,
  refusal,
  revealed,
  seal,
  stepAll,
} from './store-life-fixture.ts';

let cleaners: (() => void)[] = [];
let store: Store;
beforeEach(async () => {
  store = await fundedStore(
    join(
      tempFolder((clean) => cleaners.push(clean)),
      'assay.db',
    ),
    5,
  );
});
afterEach(async () => {
  expect(await booksProblems(store)).toEqual([]);
  await store.close();
  for (const clean of cleaners) clean();
  cleaners = [];
});

const accept = (requestId: string, change = {}) =>
  store.withTx((tx) => acceptRequest(tx, newRequest(requestId, change)));
const keyed = (requestId: string, nowMs: number, change: { bodyHash?: `0x${string}` } = {}) =>
  accept(requestId, {
    nowMs,
    idempotency: { key: 'k', fingerprint: change.bodyHash ?? hashOf('body'), expiresAtMs: nowMs + 100 },
    ...change,
  });

test('a request is accepted, worked on, settled and logged, and the books balance after every step', async () => {
  for (const step of LIFE) {
    await step(store);
    expect(await booksProblems(store)).toEqual([]);
  }
  const charged = 3n * PAY_NANO;
  expect(await balances(store, 'client:key1', RESERVE, 'escrow:r1', 'cover:r1', 'earnings:0xaa')).toEqual([
    fixture.CLIENT_FUNDS_NANO - charged,
    fixture.RESERVE_FUNDS_NANO,
    0n,
    0n,
    PAY_NANO,
  ]);
  const row = await store.read((handle) => requestById(handle, 'r1'));
  expect(row).toMatchObject({ state: 'settled', verdict: 'agreed', logIndex: 1, chargedNano: charged, drawIndex: 0 });
  const [leaf] = await store.read((handle) => logRange(handle, 1, 2));
  expect(leaf!.entryJson).toBe('answer r1 at 1');
  const stored = await store.read((handle) => attestationOf(handle, 'r1'));
  expect(stored).toMatchObject({ logIndex: 1, compact: null, statementJson: '{"logIndex":1}' });
});

test('quote and cover are held from acceptance on', async () => {
  await accept('r1');
  expect(await balances(store, 'client:key1', 'escrow:r1', RESERVE, 'cover:r1')).toEqual([
    fixture.CLIENT_FUNDS_NANO - 3_000n,
    3_000n,
    fixture.RESERVE_FUNDS_NANO - 20_000n,
    20_000n,
  ]);
});

test.each([
  ['insufficient_quota', { quoteNano: fixture.CLIENT_FUNDS_NANO + 1n }],
  ['reserve_empty', { coverNano: fixture.RESERVE_FUNDS_NANO + 1n }],
  ['reserve_empty', { coverNano: 1n << 62n }],
  ['committee_unavailable', { epoch: 7 }],
  ['invalid_api_key', { keyId: 'nobody' }],
] as const)('a request that must be refused with %s leaves nothing behind: %o', async (code, change) => {
  const before = await picture(store);
  expect(await refusal(accept('r1', change))).toBe(code);
  expect(await picture(store)).toBe(before);
});

test('a revoked key is refused', async () => {
  await store.withTx(async (tx) => {
    await tx.db.update(tx.tables.apiKeys).set({ revokedAtMs: 5 });
  });
  expect(await refusal(accept('r1'))).toBe('invalid_api_key');
});

test('two requests never count on the same reserve', async () => {
  await accept('r1', { coverNano: fixture.RESERVE_FUNDS_NANO - 10n });
  expect(await refusal(accept('r2', { coverNano: 11n }))).toBe('reserve_empty');
  await accept('r3', { coverNano: 10n });
});

test('draws are handed out in order, once, and no more than the epoch has', async () => {
  for (const [i, id] of ['r0', 'r1', 'r2', 'r3', 'r4'].entries()) {
    expect(await accept(id)).toMatchObject({ drawIndex: i });
  }
  expect(await refusal(accept('r5'))).toBe('committee_unavailable');
  expect(await balances(store, 'escrow:r5')).toEqual([0n]);
  expect((await store.read((handle) => listDraws(handle, 0))).map((draw) => draw.drawIndex)).toEqual([0, 1, 2, 3, 4]);
});

test('a call repeated while the first runs finds it, past the expiry of its key too', async () => {
  await keyed('r1', 1_000);
  const before = await picture(store);
  const running = { outcome: 'repeated', requestId: 'r1', ended: false, sealedAnswer: null };
  expect(await keyed('r2', 1_001)).toEqual(running);
  expect(await keyed('r3', 1_000_000)).toEqual(running);
  expect(await picture(store)).toBe(before);
});

test('forgetting expired keys keeps the key of a call that still runs, so its repeat is not charged again', async () => {
  await keyed('r1', 1_000);
  await store.withTx((tx) => forgetExpired(tx, 1_000_000));
  expect(await keyed('r2', 1_000_000)).toEqual({
    outcome: 'repeated',
    requestId: 'r1',
    ended: false,
    sealedAnswer: null,
  });
  await answer(store, 'r1', 'agreed', new Map());
  await store.withTx((tx) => forgetExpired(tx, 1_000_000));
  expect(await store.read((handle) => idempotencyRow(handle, 'key1', 'k'))).toBeNull();
});

test('a call repeated after the first has its answer finds that, until the key expires', async () => {
  await keyed('r1', 1_000);
  await answer(store, 'r1', 'agreed', new Map());
  expect(await keyed('r2', 1_099)).toEqual({ outcome: 'repeated', requestId: 'r1', ended: true, sealedAnswer: null });
  expect(await keyed('r3', 1_100)).toMatchObject({ outcome: 'accepted', attempt: 1 });
});

test('a key that was used with another body is reused, whether that call runs, failed or has ended', async () => {
  const other = { bodyHash: hashOf('other body') };
  await keyed('r1', 1_000);
  expect(await keyed('r2', 1_001, other)).toEqual({ outcome: 'key_reused' });
  await breakOff(store, 'r1', 'failed');
  expect(await keyed('r2', 1_001, other)).toEqual({ outcome: 'key_reused' });
});

test('after a failed attempt the same call runs the next one, and is charged for that alone', async () => {
  await keyed('r1', 1_000);
  await breakOff(store, 'r1', 'failed');
  expect(await keyed('r2', 1_001)).toMatchObject({ outcome: 'accepted', attempt: 2 });
  expect(await balances(store, 'client:key1')).toEqual([fixture.CLIENT_FUNDS_NANO - 3_000n]);
  expect(await keyed('r3', 1_002)).toMatchObject({ outcome: 'repeated', requestId: 'r2' });
});

test('jobs are issued up to the last nano of the cover, and never beyond it', async () => {
  await accept('r1', { coverNano: 2_000n });
  await store.withTx((tx) => recordJobs(tx, 'r1', JOBS.slice(0, 1), 1));
  const before = await picture(store);
  const most = newJob('b', '0xbb', { maxNano: 1_000n });
  expect(await refusal(store.withTx((tx) => recordJobs(tx, 'r1', [{ ...most, maxNano: 1_001n }], 1)))).toBe(
    'reserve_empty',
  );
  expect(await picture(store)).toBe(before);
  await store.withTx((tx) => recordJobs(tx, 'r1', [most], 1));
});

test('a round has one root: the same again is known, another one is a permission_conflict', async () => {
  await revealed(store);
  expect(await seal(store, 'r1', 'root')).toBe(false);
  expect(await refusal(seal(store, 'r1', 'other root'))).toBe('permission_conflict');
  expect(await seal(store, 'r1', 'other root', 1)).toBe(true);
  await accept('r2');
  expect(await refusal(seal(store, 'r2', 'root'))).toBe('permission_conflict');
});

test('steps that do not follow and counts that shrink are refused, with all that came with them', async () => {
  await accept('r1');
  await store.withTx((tx) => recordJobs(tx, 'r1', JOBS, 1));
  const { jobId } = JOBS[0]!;
  const reveal = (outputTokens: number) => ({ kind: 'revealed', jobId, outputTokens }) as const;
  const before = await picture(store);
  expect(await refusal(stepAll(store, (id) => ({ ...reveal(3), jobId: id })))).toBe('internal_error');
  const commit = { kind: 'committed', jobId, commitmentsJson: '[]' } as const;
  const late = store.withTx((tx) => recordSteps(tx, [commit, reveal(5), reveal(4)]));
  expect(await refusal(late)).toBe('internal_error');
  expect(await picture(store)).toBe(before);
});

test('a late job stays late, and what it still reveals is paid by the reserve', async () => {
  await revealed(store);
  const { jobId } = JOBS[2]!;
  await store.withTx((tx) =>
    recordSteps(tx, [
      { kind: 'late', jobId, fault: 'timeout', atMs: 1_500 },
      { kind: 'revealed', jobId, outputTokens: 40 },
      { kind: 'claimed', jobId, claimJson: '{}', outputTokens: 40, atMs: 1_600 },
    ]),
  );
  const standings = everybody('counted').set(jobId, 'late');
  const { settlement } = await answer(store, 'r1', 'agreed', standings);
  expect([settlement.chargedNano, settlement.reserveNano]).toEqual([640n, 420n]);
  const jobs = await store.read((handle) => jobsOfRequest(handle, 'r1'));
  expect(jobs.map((job) => [job.state, job.standing, job.earnedNano])).toEqual([
    ['revealed', 'counted', 320n],
    ['revealed', 'counted', 320n],
    ['late', 'late', 420n],
  ]);
});

test('a request ends once: settling or failing it again is refused and changes nothing', async () => {
  await revealed(store);
  await answer(store, 'r1', 'agreed', everybody('counted'));
  const before = await picture(store);
  expect(await refusal(answer(store, 'r1', 'agreed', everybody('counted')))).toBe('internal_error');
  expect(await refusal(breakOff(store, 'r1', 'failed'))).toBe('internal_error');
  expect(await refusal(store.withTx((tx) => recordJobs(tx, 'r1', [newJob('d', '0xdd')], 1)))).toBe('internal_error');
  expect(await refusal(seal(store, 'r1', 'late root', 3))).toBe('internal_error');
  expect(await refusal(answer(store, 'nobody', 'agreed', new Map()))).toBe('internal_error');
  expect(await picture(store)).toBe(before);
});

test.each([
  ['failed', 0n, 3n * PAY_NANO],
  ['inconclusive', 0n, 3n * PAY_NANO],
  ['disconnected', 3n * PAY_NANO, 0n],
] as const)(
  '%s pays revealed work by the table, gives the rest back and aborts the draw',
  async (verdict, client, own) => {
    await revealed(store);
    await breakOff(store, 'r1', verdict, everybody('counted'));
    expect(await balances(store, 'client:key1', RESERVE, 'earnings:0xcc', 'escrow:r1', 'cover:r1')).toEqual([
      fixture.CLIENT_FUNDS_NANO - client,
      fixture.RESERVE_FUNDS_NANO - own,
      PAY_NANO,
      0n,
      0n,
    ]);
    expect((await store.read((handle) => listDraws(handle, 0)))[0]).toMatchObject({ state: 'aborted' });
    const [leaf] = await store.read((handle) => logRange(handle, 1, 2));
    expect(leaf!.entryJson).toBe('aborted r1');
  },
);

test('a settlement whose record cannot be made leaves the hold as it was', async () => {
  await revealed(store);
  const before = await picture(store);
  const call = store.withTx((tx) =>
    settleRequest(tx, {
      requestId: 'r1',
      verdict: 'agreed',
      standings: everybody('counted'),
      nowMs: 1,
      record: () => {
        throw new RangeError('no record');
      },
    }),
  );
  await expect(call).rejects.toThrow('no record');
  expect(await picture(store)).toBe(before);
});

test('a transfer is entered once; another one under its id is refused', async () => {
  const enter = (amountNano: bigint) => store.withTx((tx) => applyTransfer(tx, deposit('x', RESERVE, amountNano), 1));
  expect([await enter(5n), await enter(5n)]).toEqual([true, false]);
  expect(await refusal(enter(6n))).toBe('internal_error');
  expect(await balances(store, RESERVE)).toEqual([fixture.RESERVE_FUNDS_NANO + 5n]);
});

test('a caller that catches a refused transfer commits nothing of it', async () => {
  const before = await store.withTx(readBooks);
  await store.withTx(async (tx) => {
    const call = acceptRequest(tx, newRequest('r1', { coverNano: fixture.RESERVE_FUNDS_NANO + 1n }));
    expect(await refusal(call)).toBe('reserve_empty');
  });
  expect(await store.withTx(readBooks)).toEqual(before);
});
