/** The life of one request on the store in short calls, and what its tests look at. */
import type { ErrorCode } from '#protocol/errors';
import { ProtocolError } from '#protocol/errors';
import type { Standing } from '#protocol/verdict';
import type { AnsweredVerdict, UnansweredVerdict } from '../../gateway/ledger/settle.ts';
import { acceptRequest } from '../../gateway/store/accept-request.ts';
import { failRequest, settleRequest } from '../../gateway/store/close-request.ts';
import type { Store } from '../../gateway/store/handle.ts';
import { balancesNano, readBooks } from '../../gateway/store/ledger-repo.ts';
import { logSize } from '../../gateway/store/log-repo.ts';
import type { JobStep, NewJob } from '../../gateway/store/record-work.ts';
import { recordJobs, recordRound, recordSteps } from '../../gateway/store/record-work.ts';
import { recover } from '../../gateway/store/recover.ts';
import type { RequestRow } from '../../gateway/store/requests-repo.ts';
import { hashOf, leafOf, newJob, newRequest } from './store-fixture.ts';

/** Three members; with 30 revealed tokens each costs 2·10 + 10·30 = 320 nano. */
export const JOBS: readonly NewJob[] = [
  newJob('a', '0xaa', { seat: 0 }),
  newJob('b', '0xbb', { seat: 1 }),
  newJob('c', '0xcc', { seat: 2 }),
];
export const PAY_NANO = 320n;

export const abortLeaf = (row: RequestRow) => leafOf(`aborted ${row.requestId}`);

/** The steps of an answered request in order; a crash may come between any two. */
export const LIFE: readonly ((store: Store) => Promise<unknown>)[] = [
  (store) =>
    store.withTx((tx) =>
      acceptRequest(
        tx,
        newRequest('r1', { idempotency: { key: 'k', fingerprint: hashOf('body'), expiresAtMs: 9_000 } }),
      ),
    ),
  (store) => store.withTx((tx) => recordJobs(tx, 'r1', JOBS, 1_001)),
  (store) => stepAll(store, (jobId) => ({ kind: 'committed', jobId, commitmentsJson: '["0x00"]' })),
  (store) => seal(store, 'r1', 'root'),
  (store) => stepAll(store, (jobId) => ({ kind: 'revealed', jobId, outputTokens: 30 })),
  (store) => stepAll(store, (jobId) => ({ kind: 'claimed', jobId, claimJson: '{}', outputTokens: 30, atMs: 1_002 })),
  (store) => answer(store, 'r1', 'agreed', everybody('counted')),
];

/** Accepts r1, issues its three jobs and reveals 30 tokens of each. */
export async function revealed(store: Store): Promise<void> {
  for (const step of LIFE.slice(0, 5)) await step(store);
}

export function everybody(standing: Standing): Map<string, Standing> {
  return new Map(JOBS.map((job) => [job.jobId, standing]));
}

export function stepAll(store: Store, make: (jobId: NewJob['jobId']) => JobStep): Promise<void> {
  return store.withTx((tx) =>
    recordSteps(
      tx,
      JOBS.map(({ jobId }) => make(jobId)),
    ),
  );
}

export function seal(store: Store, requestId: string, root: string, roundIndex = 0): Promise<boolean> {
  const round = { roundId: hashOf('round'), roundIndex, requestId, roundRoot: hashOf(root), atMs: 1_001 };
  return store.withTx((tx) => recordRound(tx, round));
}

export function answer(
  store: Store,
  requestId: string,
  verdict: AnsweredVerdict,
  standings: ReadonlyMap<string, Standing>,
) {
  return store.withTx((tx) =>
    settleRequest(tx, {
      requestId,
      verdict,
      standings,
      nowMs: 2_000,
      record: (logIndex) => ({
        leaf: leafOf(`answer ${requestId} at ${logIndex}`),
        contentHash: hashOf('content'),
        statementJson: `{"logIndex":${logIndex}}`,
        retainUntilMs: 99_000,
      }),
    }),
  );
}

export function breakOff(
  store: Store,
  requestId: string,
  verdict: UnansweredVerdict,
  standings: ReadonlyMap<string, Standing> = new Map(),
) {
  const errorCode: ErrorCode = verdict === 'inconclusive' ? 'inconclusive' : 'internal_error';
  return store.withTx((tx) =>
    failRequest(tx, { requestId, verdict, standings, errorCode, nowMs: 2_000, leaf: abortLeaf }),
  );
}

export function recoverAt(store: Store, nowMs: number) {
  return store.withTx((tx) => recover(tx, nowMs, abortLeaf));
}

/** Balances by account; 0 for one that does not exist. */
export async function balances(store: Store, ...accounts: readonly string[]): Promise<readonly bigint[]> {
  const found = await store.read((handle) => balancesNano(handle, accounts));
  return accounts.map((account) => found.get(account) ?? 0n);
}

/** All that a refused change must have left alone. */
export async function picture(store: Store): Promise<string> {
  const state = await store.withTx(async (tx) => ({
    books: await readBooks(tx),
    size: await logSize(tx),
    requests: await tx.db.select().from(tx.tables.requests),
    jobs: await tx.db.select().from(tx.tables.jobs),
    draws: await tx.db.select().from(tx.tables.draws),
    disputes: await tx.db.select().from(tx.tables.disputes),
    moves: await tx.db.select().from(tx.tables.disputeMoves),
    keys: await tx.db.select().from(tx.tables.idempotencyKeys),
    attestations: await tx.db.select().from(tx.tables.attestations),
  }));
  return JSON.stringify(state, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value));
}

/** The code of the refusal. @throws when the call was not refused by the protocol */
export async function refusal(call: Promise<unknown>): Promise<ErrorCode> {
  const error = await call.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (error instanceof ProtocolError) return error.code;
  throw new Error('expected a refusal', { cause: error });
}
