/** Rows of jobs and rounds, and the order in which a job's states may follow one another. */
import { and, asc, eq, inArray, lte, sql } from 'drizzle-orm';
import { ProtocolError } from '#protocol/errors';
import type { Hash } from '#protocol/hash';
import type { Handle, Tx } from './handle.ts';

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

export async function insertJobs(tx: Tx, rows: readonly JobRow[]): Promise<void> {
  if (rows.length > 0) await tx.db.insert(tx.tables.jobs).values([...rows]);
}

export async function jobById(handle: Handle, jobId: string): Promise<JobRow | null> {
  const { jobs } = handle.tables;
  const [row] = await handle.db.select().from(jobs).where(eq(jobs.jobId, jobId));
  return row ?? null;
}

/** Jobs of a request by wave, seat and id. */
export async function jobsOfRequest(handle: Handle, requestId: string): Promise<readonly JobRow[]> {
  const { jobs } = handle.tables;
  return handle.db
    .select()
    .from(jobs)
    .where(eq(jobs.requestId, requestId))
    .orderBy(asc(jobs.wave), asc(jobs.seat), asc(jobs.jobId));
}

/**
 * Moves a job on and stores what it brought.
 * @throws {ProtocolError} internal_error when the job may not enter that state or its counts would shrink
 */
export async function advanceJob(
  tx: Tx,
  jobId: string,
  state: Exclude<JobState, 'issued'>,
  change: Partial<JobRow>,
): Promise<void> {
  const { jobs } = tx.tables;
  const rows = await tx.db
    .update(jobs)
    .set({ ...change, state })
    .where(
      and(
        eq(jobs.jobId, jobId),
        inArray(jobs.state, [...ENTERED_FROM[state]]),
        // Revealed work is paid: a count that shrank would be work taken back.
        lte(jobs.outputTokens, change.outputTokens ?? sql`${jobs.outputTokens}`),
      ),
    )
    .returning({ jobId: jobs.jobId });
  if (rows.length !== 1) {
    throw new ProtocolError('internal_error', 'The job cannot take this step.', { details: { jobId, state } });
  }
}

/** Changes a job's row without moving it on; callers have checked it in the same transaction. */
export async function updateJob(
  tx: Tx,
  jobId: string,
  change: Partial<Omit<JobRow, 'jobId' | 'state'>>,
): Promise<void> {
  const { jobs } = tx.tables;
  await tx.db.update(jobs).set(change).where(eq(jobs.jobId, jobId));
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
  const { rounds } = tx.tables;
  const inserted = await tx.db
    .insert(rounds)
    .values(row)
    .onConflictDoNothing()
    .returning({ roundIndex: rounds.roundIndex });
  return inserted.length === 1;
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
