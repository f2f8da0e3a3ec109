/** Rows of jobs and rounds, and the order in which a job's states may follow one another. */
import { and, asc, count, desc, eq, getTableColumns, gte, isNull, sql } from 'drizzle-orm';
import { ProtocolError } from '#protocol/errors';
import type { Hash } from '#protocol/hash';
import type { Handle, Tx } from './handle.ts';
import { changing, given, insertingAll, reading, writing } from './statement.ts';

export type JobRow = Handle['tables']['jobs']['$inferSelect'];
export type JobState = JobRow['state'];
export type RoundRow = Handle['tables']['rounds']['$inferSelect'];

/** States from which a state may be entered; chunks make commitment and reveal alternate. */
const ENTERED_FROM: Readonly<Record<Exclude<JobState, 'issued'>, readonly JobState[]>> = {
  committed: ['issued', 'committed', 'revealed'],
  revealed: ['committed', 'revealed'],
  claimed: ['issued', 'committed', 'revealed'],
  failed: ['issued', 'committed', 'revealed', 'late'],
  late: ['issued', 'committed', 'revealed'],
};

const insertRows = insertingAll((tables) => tables.jobs);
const rowById = reading((db, { jobs }) => ({
  query: db
    .select()
    .from(jobs)
    .where(eq(jobs.jobId, given('jobId'))),
  columns: getTableColumns(jobs),
}));
const rowsOfRequest = reading((db, { jobs }) => ({
  query: db
    .select()
    .from(jobs)
    .where(eq(jobs.requestId, given('requestId')))
    .orderBy(asc(jobs.wave), asc(jobs.choice), asc(jobs.seat), asc(jobs.jobId)),
  columns: getTableColumns(jobs),
}));
const changeRow = changing(
  (tables) => tables.jobs,
  (jobs) => eq(jobs.jobId, given('jobId')),
);
const insertNewRound = writing((db, { rounds }) =>
  db
    .insert(rounds)
    .values({
      roundId: given('roundId'),
      roundIndex: given('roundIndex'),
      requestId: given('requestId'),
      roundRoot: given('roundRoot'),
      permissionSignature: given('permissionSignature'),
      atMs: given('atMs'),
    })
    .onConflictDoNothing(),
);

export async function insertJobs(tx: Tx, rows: readonly JobRow[]): Promise<void> {
  await insertRows(tx, rows);
}

export async function jobById(handle: Handle, jobId: string): Promise<JobRow | null> {
  const [row] = await rowById(handle, { jobId });
  return row ?? null;
}

/** Jobs of a request by wave, choice, seat and id. */
export async function jobsOfRequest(handle: Handle, requestId: string): Promise<readonly JobRow[]> {
  return rowsOfRequest(handle, { requestId });
}

/** A provider's jobs that were issued at `sinceMs` or later, newest first. */
export async function jobsOfProvider(
  handle: Handle,
  provider: string,
  range: { readonly sinceMs: number; readonly limit: number },
): Promise<readonly JobRow[]> {
  const { jobs } = handle.tables;
  return handle.db
    .select()
    .from(jobs)
    .where(and(eq(jobs.provider, provider), gte(jobs.issuedAtMs, range.sinceMs)))
    .orderBy(desc(jobs.issuedAtMs), asc(jobs.jobId))
    .limit(range.limit);
}

/** Whether a request that has not ended has a job of the provider. */
export async function isWorking(handle: Handle, provider: string): Promise<boolean> {
  const { jobs, requests } = handle.tables;
  const rows = await handle.db
    .select({ jobId: jobs.jobId })
    .from(jobs)
    .innerJoin(requests, eq(requests.requestId, jobs.requestId))
    .where(and(eq(jobs.provider, provider), isNull(requests.endedAtMs)))
    .limit(1);
  return rows.length > 0;
}

/** What a provider's jobs of a time brought it, by role and standing. */
export async function jobTotalsOfProvider(handle: Handle, provider: string, sinceMs: number) {
  const { jobs } = handle.tables;
  const rows = await handle.db
    .select({
      role: jobs.role,
      standing: jobs.standing,
      jobs: count(),
      outputTokens: sql<bigint | null>`sum(${jobs.outputTokens})`,
      scoredTokens: sql<bigint | null>`sum(${jobs.scoredTokens})`,
      earnedNano: sql<bigint | null>`sum(${jobs.earnedNano})`,
    })
    .from(jobs)
    .where(and(eq(jobs.provider, provider), gte(jobs.issuedAtMs, sinceMs)))
    .groupBy(jobs.role, jobs.standing)
    .orderBy(asc(jobs.role), asc(jobs.standing));
  return rows.map((row) => ({
    role: row.role,
    standing: row.standing,
    jobs: Number(row.jobs),
    outputTokens: Number(row.outputTokens ?? 0),
    scoredTokens: Number(row.scoredTokens ?? 0),
    earnedNano: BigInt(row.earnedNano ?? 0),
  }));
}

/**
 * What moving a job on changes in its row. Pure.
 * @throws {ProtocolError} internal_error when the job is unknown, may not enter that state, or its counts would shrink
 */
export function jobMoved(
  job: JobRow | null,
  state: Exclude<JobState, 'issued'>,
  change: Partial<JobRow>,
): Partial<JobRow> {
  const follows = job !== null && ENTERED_FROM[state].includes(job.state);
  // Revealed work is paid: a count that shrank would be work taken back.
  if (!follows || (change.outputTokens ?? job.outputTokens) < job.outputTokens) {
    const details = { jobId: job?.jobId ?? null, state };
    throw new ProtocolError('internal_error', 'The job cannot take this step.', { details });
  }
  return { ...change, state };
}

/** Changes a job's row; callers have checked it in the same transaction, a new state by `jobMoved`. */
export async function updateJob(tx: Tx, jobId: string, change: Partial<Omit<JobRow, 'jobId'>>): Promise<void> {
  await changeRow(tx, { jobId }, change);
}

export async function roundRow(handle: Handle, roundId: string, roundIndex: number): Promise<RoundRow | null> {
  const { rounds } = handle.tables;
  const [row] = await handle.db
    .select()
    .from(rounds)
    .where(and(eq(rounds.roundId, roundId), eq(rounds.roundIndex, roundIndex)));
  return row ?? null;
}

/** @returns false when the round has a root already */
export async function insertRound(tx: Tx, row: RoundRow): Promise<boolean> {
  return (await insertNewRound(tx, { ...row })) === 1;
}

/** Stores the signature of a permission whose root is durable. */
export async function setPermissionSignature(
  tx: Tx,
  round: { roundId: Hash; roundIndex: number; permissionSignature: string },
): Promise<void> {
  const { rounds } = tx.tables;
  await tx.db
    .update(rounds)
    .set({ permissionSignature: round.permissionSignature })
    .where(and(eq(rounds.roundId, round.roundId), eq(rounds.roundIndex, round.roundIndex)));
}

/** Rounds of a request by round id and index. */
export async function roundsOfRequest(handle: Handle, requestId: string): Promise<readonly RoundRow[]> {
  const { rounds } = handle.tables;
  return handle.db
    .select()
    .from(rounds)
    .where(eq(rounds.requestId, requestId))
    .orderBy(asc(rounds.roundId), asc(rounds.roundIndex));
}
