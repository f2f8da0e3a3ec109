/** Crashes, full disks and read-only files: nothing is lost, paid twice or left held (spec-money.md 11.7). */
import { cpSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RESERVE } from '../../gateway/ledger/accounts.ts';
import { acceptRequest } from '../../gateway/store/accept-request.ts';
import { settleRequest } from '../../gateway/store/close-request.ts';
import { listDraws } from '../../gateway/store/epochs-repo.ts';
import type { Store, Tx } from '../../gateway/store/handle.ts';
import { jobsOfRequest } from '../../gateway/store/jobs-repo.ts';
import { openStore } from '../../gateway/store/open-store.ts';
import { type JobStep, recordJobs, recordSteps } from '../../gateway/store/record-work.ts';
import { recover } from '../../gateway/store/recover.ts';
import { requestById, unfinishedRequests } from '../../gateway/store/requests-repo.ts';
import {
  booksProblems,
  CLIENT_FUNDS_NANO,
  fundedStore,
  hashOf,
  leafOf,
  newJob,
  newRequest,
  RESERVE_FUNDS_NANO,
  tempFolder,
} from './store-fixture.ts';
import {
  answer,
  balances,
  everybody,
  JOBS,
  LIFE,
  PAY_NANO,
  picture,
  recoverAt,
  refusal,
  revealed,
} from './store-life-fixture.ts';

let cleaners: (() => void)[] = [];
let open: Store[] = [];
let folder: string;
let store: Store;
beforeEach(async () => {
  folder = tempFolder((clean) => cleaners.push(clean));
  store = await fundedStore(join(folder, 'assay.db'));
  open = [store];
});
afterEach(async () => {
  for (const one of open) await one.close();
  for (const clean of cleaners) clean();
  cleaners = [];
});

/** The files as a killed process leaves them, write-ahead log included, opened again. */
function afterKill(name: string): Store {
  const file = join(folder, `${name}.db`);
  for (const suffix of ['', '-wal']) {
    if (existsSync(join(folder, `assay.db${suffix}`))) cpSync(join(folder, `assay.db${suffix}`), `${file}${suffix}`);
  }
  const reopened = openStore({ file, fsync: false });
  open.push(reopened);
  return reopened;
}

/** What the revealed work of the three jobs is worth after so many steps of the life. */
const revealedAfter = (steps: number): bigint => (steps >= 5 ? 3n * PAY_NANO : 0n);

test.each(LIFE.slice(0, -1).map((_, i) => i + 1))(
  'killed after step %i, the request is closed once: no charge, revealed work paid, draw aborted',
  async (steps) => {
    for (const step of LIFE.slice(0, steps)) await step(store);
    const again = afterKill('killed');
    const paidNano = revealedAfter(steps);
    expect(await recoverAt(again, 5_000)).toEqual({ closed: ['r1'], paidNano });
    expect(await booksProblems(again)).toEqual([]);
    expect(await balances(again, 'client:key1', RESERVE, 'escrow:r1', 'cover:r1', 'earnings:0xaa')).toEqual([
      CLIENT_FUNDS_NANO,
      RESERVE_FUNDS_NANO - paidNano,
      0n,
      0n,
      paidNano / 3n,
    ]);
    const row = await again.read((handle) => requestById(handle, 'r1'));
    expect(row).toMatchObject({ state: 'failed', verdict: 'failed', errorCode: 'internal_error', chargedNano: 0n });
    expect((await again.read((handle) => listDraws(handle, 0)))[0]).toMatchObject({ state: 'aborted' });

    const before = await picture(again);
    expect(await recoverAt(again, 6_000)).toEqual({ closed: [], paidNano: 0n });
    expect(await picture(again)).toBe(before);
  },
);

/** Two choices of three members: the first has its claims, the second has revealed, as far as it came. */
test.each([0, 1, 2, 3])(
  'killed between choices, with %i members of the second choice revealed, all that was revealed is paid once',
  async (second) => {
    const jobsOf = (choice: number) =>
      JOBS.map((job) => ({
        ...job,
        choice,
        jobId: hashOf(`${job.jobId} ${choice}`),
        roundId: hashOf(`round ${choice}`),
      }));
    await store.withTx((tx) => acceptRequest(tx, newRequest('r1')));
    for (const choice of [0, 1]) await store.withTx((tx) => recordJobs(tx, 'r1', jobsOf(choice), 1_001));
    const outputTokens = 30;
    const steps = (kind: 'committed' | 'revealed' | 'claimed', jobs: ReturnType<typeof jobsOf>): JobStep[] =>
      jobs.map(({ jobId }) => {
        if (kind === 'committed') return { kind, jobId, commitmentsJson: '["0x00"]' };
        return kind === 'revealed'
          ? { kind, jobId, outputTokens }
          : { kind, jobId, claimJson: '{}', outputTokens, atMs: 1_002 };
      });
    const [first, last] = [jobsOf(0), jobsOf(1)];
    await store.withTx((tx) => recordSteps(tx, steps('committed', [...first, ...last])));
    await store.withTx((tx) => recordSteps(tx, [...steps('revealed', first), ...steps('claimed', first)]));
    await store.withTx((tx) => recordSteps(tx, steps('revealed', last.slice(0, second))));
    const again = afterKill('killed');
    const paidNano = PAY_NANO * BigInt(JOBS.length + second);
    expect(await recoverAt(again, 5_000)).toEqual({ closed: ['r1'], paidNano });
    expect(await booksProblems(again)).toEqual([]);
    expect(await balances(again, 'client:key1', RESERVE, 'escrow:r1', 'cover:r1')).toEqual([
      CLIENT_FUNDS_NANO,
      RESERVE_FUNDS_NANO - paidNano,
      0n,
      0n,
    ]);
    const jobs = await again.read((handle) => jobsOfRequest(handle, 'r1'));
    expect(jobs.map((job) => [job.choice, job.earnedNano > 0n])).toEqual([
      ...JOBS.map(() => [0, true]),
      ...JOBS.map((_, seat) => [1, seat < second]),
    ]);
    expect(await recoverAt(again, 6_000)).toEqual({ closed: [], paidNano: 0n });
  },
);

test('killed after settlement, recovery finds nothing to do', async () => {
  for (const step of LIFE) await step(store);
  const again = afterKill('killed');
  const before = await picture(again);
  expect(await recoverAt(again, 5_000)).toEqual({ closed: [], paidNano: 0n });
  expect(await picture(again)).toBe(before);
});

test('killed within any transaction of a life, nothing of that transaction is there', async () => {
  await revealed(store);
  const before = await picture(store);
  await store.withTx(async (tx) => {
    await settleRequest(tx, {
      requestId: 'r1',
      verdict: 'agreed',
      standings: everybody('counted'),
      nowMs: 2_000,
      record: () => ({
        leaf: leafOf('answer'),
        contentHash: hashOf('content'),
        statementJson: '{}',
        retainUntilMs: 1,
      }),
    });
    expect(await picture(afterKill('within'))).toBe(before);
  });
});

test('killed during recovery, the next recovery does all of it', async () => {
  await revealed(store);
  await store.withTx((tx) => acceptRequest(tx, newRequest('r2')));
  const call = store.withTx(async (tx) => {
    await recover(tx, 5_000, (row) => leafOf(`aborted ${row.requestId}`));
    throw new RangeError('killed');
  });
  await expect(call).rejects.toThrow('killed');
  expect(await recoverAt(store, 5_000)).toMatchObject({ closed: ['r1', 'r2'], paidNano: 3n * PAY_NANO });
  expect(await booksProblems(store)).toEqual([]);
});

test('after recovery the same call runs the next attempt and is charged once', async () => {
  await revealed(store);
  const again = afterKill('killed');
  await recoverAt(again, 5_000);
  const retry = newRequest('r2', {
    nowMs: 5_001,
    idempotency: { key: 'k', fingerprint: hashOf('body'), expiresAtMs: 9_000 },
  });
  expect(await again.withTx((tx) => acceptRequest(tx, retry))).toMatchObject({ outcome: 'accepted', attempt: 2 });
  const job = newJob('r2 a', '0xaa');
  await again.withTx((tx) => recordJobs(tx, 'r2', [job], 5_001));
  await again.withTx(async (tx) => {
    await tx.db.update(tx.tables.jobs).set({ outputTokens: 30 });
  });
  await answer(again, 'r2', 'agreed', new Map([[job.jobId, 'counted']]));
  expect(await balances(again, 'client:key1')).toEqual([CLIENT_FUNDS_NANO - PAY_NANO]);
  expect(await booksProblems(again)).toEqual([]);
});

test('a read-only file refuses every change with storage_unavailable, and still knows a repeated call', async () => {
  await revealed(store);
  const before = await picture(store);
  await store.close();
  const readOnly = openStore({ file: join(folder, 'assay.db'), readOnly: true });
  open.push(readOnly);
  const fresh = readOnly.withTx((tx) => acceptRequest(tx, newRequest('r2')));
  expect(await refusal(fresh)).toBe('storage_unavailable');
  for (const step of LIFE.slice(1)) expect(await refusal(step(readOnly))).toBe('storage_unavailable');
  expect(await LIFE[0]!(readOnly)).toEqual({ outcome: 'repeated', requestId: 'r1', ended: false, sealedAnswer: null });
  expect(await refusal(recoverAt(readOnly, 5_000))).toBe('storage_unavailable');
  await readOnly.close();
  store = openStore({ file: join(folder, 'assay.db'), fsync: false });
  open.push(store);
  expect(await picture(store)).toBe(before);
  expect(await booksProblems(store)).toEqual([]);
});

test('a disk that fills up refuses what it cannot hold, keeps the books, and serves again once it is larger', async () => {
  await store.close();
  const file = join(folder, 'assay.db');
  const full = openStore({ file, fsync: false, pagesMax: 1 });
  open.push(full);
  const accept = (to: Store, i: number) =>
    to.withTx((tx: Tx) => acceptRequest(tx, newRequest(`r${i}`, { policyJson: 'p'.repeat(500), coverNano: 1n })));
  let accepted = 0;
  let code: string | null = null;
  while (code === null && accepted < 99) {
    const refused = await accept(full, accepted).then(
      () => null,
      (error: { code: string }) => error.code,
    );
    if (refused === null) accepted += 1;
    code = refused;
  }
  expect(code).toBe('storage_unavailable');
  expect(await booksProblems(full)).toEqual([]);
  expect(await full.read(unfinishedRequests)).toHaveLength(accepted);
  expect(await balances(full, 'client:key1')).toEqual([CLIENT_FUNDS_NANO - 3_000n * BigInt(accepted)]);
  await full.close();
  const larger = openStore({ file, fsync: false });
  open.push(larger);
  await accept(larger, accepted);
  expect(await recoverAt(larger, 5_000)).toMatchObject({ paidNano: 0n });
  expect(await balances(larger, 'client:key1', RESERVE)).toEqual([CLIENT_FUNDS_NANO, RESERVE_FUNDS_NANO]);
  expect(await booksProblems(larger)).toEqual([]);
});
