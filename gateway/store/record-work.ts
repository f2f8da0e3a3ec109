/** What happens between acceptance and settlement, each step durable before its signature or answer leaves the gateway. */
import { ProtocolError } from '#protocol/errors';
import type { Hash } from '#protocol/hash';
import type { Fault } from '#protocol/verdict';
import type { JobRole } from '../ledger/settle.ts';
import type { Tx } from './handle.ts';
import type { JobRow } from './jobs-repo.ts';
import { insertJobs, insertRound, jobById, jobMoved, jobsOfRequest, roundRow, updateJob } from './jobs-repo.ts';
import { openRequest, updateRequest } from './requests-repo.ts';

export interface NewJob {
  readonly jobId: Hash;
  readonly roundId: Hash;
  readonly choice: number;
  /** 0 for the drawn committee and its replacements, from 1 for escalations. */
  readonly wave: number;
  readonly provider: string;
  readonly role: JobRole;
  readonly seat: number;
  readonly slot: number;
  /** Canonical JSON of the ticket's wire form. */
  readonly ticketJson: string;
  readonly ticketSignature: string | null;
  readonly inputTokens: number;
  /** The most that the job can earn: generatingJobMaxNano or scoringJobMaxNano. */
  readonly maxNano: bigint;
}

/** One step of a job. Token counts are totals of the job so far, not of the chunk. */
export type JobStep =
  | { readonly kind: 'committed'; readonly jobId: Hash; readonly commitmentsJson: string }
  | { readonly kind: 'revealed'; readonly jobId: Hash; readonly outputTokens: number }
  | {
      readonly kind: 'claimed';
      readonly jobId: Hash;
      readonly claimJson: string;
      readonly outputTokens: number;
      readonly atMs: number;
    }
  /** A signed score: of a scorer or referee, or of a member that stopped at an honest divergence. */
  | {
      readonly kind: 'scored';
      readonly jobId: Hash;
      readonly claimJson: string;
      readonly scoredTokens: number;
      readonly atMs: number;
    }
  | { readonly kind: 'failed' | 'late'; readonly jobId: Hash; readonly fault: Fault | null; readonly atMs: number };

/**
 * Records jobs before their tickets are signed and sent.
 * @throws {ProtocolError} reserve_empty when the jobs could earn more than the request's cover; internal_error when it has ended
 */
export async function recordJobs(tx: Tx, requestId: string, jobs: readonly NewJob[], nowMs: number): Promise<void> {
  const request = await openRequest(tx, requestId);
  const issued = await jobsOfRequest(tx, requestId);
  const sum = (rows: readonly { readonly maxNano: bigint }[]) => rows.reduce((total, row) => total + row.maxNano, 0n);
  // INVARIANT: the cover reaches every job, whoever pays in the end; without this check, settlement could fall short.
  if (sum(issued) + sum(jobs) > request.coverNano) {
    throw new ProtocolError('reserve_empty', 'The request may not cause more work than its cover pays for.', {
      details: { requestId, jobs: issued.length + jobs.length },
    });
  }
  await insertJobs(
    tx,
    jobs.map((job) => issuedRow(requestId, job, nowMs)),
  );
  if (request.state === 'accepted') await updateRequest(tx, requestId, { state: 'running' });
}

/**
 * Records the root of a round before its permission is signed.
 * @returns false when this very root was recorded before (sign it again, byte for byte)
 * @throws {ProtocolError} permission_conflict when the round has another root
 */
export async function recordRound(
  tx: Tx,
  round: { roundId: Hash; roundIndex: number; requestId: string; roundRoot: Hash; atMs: number },
): Promise<boolean> {
  await openRequest(tx, round.requestId);
  if (await insertRound(tx, { ...round, permissionSignature: null })) return true;
  const known = await roundRow(tx, round.roundId, round.roundIndex);
  if (known?.roundRoot === round.roundRoot && known.requestId === round.requestId) return false;
  throw new ProtocolError('permission_conflict', 'The round has another root already.', {
    details: { roundIndex: round.roundIndex },
  });
}

/**
 * Records steps of jobs, of one request or several, in the order given.
 * @throws {ProtocolError} internal_error when a step does not follow from the job's state
 */
export async function recordSteps(tx: Tx, steps: readonly JobStep[]): Promise<void> {
  const rows = new Map<string, JobRow | null>();
  for (const { jobId } of steps) if (!rows.has(jobId)) rows.set(jobId, await jobById(tx, jobId));
  const moved = movedBy(steps, (jobId) => rows.get(jobId) ?? null);
  for (const [jobId, { change }] of moved) await updateJob(tx, jobId, change);
}

/** A job after steps that are not written yet, and what they change in its row. */
export interface MovedJob {
  readonly row: JobRow;
  readonly change: Partial<JobRow>;
}

/**
 * What steps make of jobs. Pure; every job is read once and written once, however many steps it took: with an answer it often takes all
 * of them.
 * @throws {ProtocolError} internal_error when a job is unknown, or a step does not follow from its state
 */
export function movedBy(
  steps: readonly JobStep[],
  jobOf: (jobId: string) => JobRow | null,
): ReadonlyMap<string, MovedJob> {
  const moved = new Map<string, MovedJob>();
  for (const step of steps) {
    const known = moved.get(step.jobId);
    const row = known?.row ?? jobOf(step.jobId);
    const change = changeOf(row, step);
    // Of an unknown job `changeOf` has thrown.
    moved.set(step.jobId, { row: { ...row!, ...change }, change: { ...known?.change, ...change } });
  }
  return moved;
}

/** What a step changes in its job's row; a late job stays late: what it still reveals is paid, and it has no vote. */
function changeOf(job: JobRow | null, step: JobStep): Partial<JobRow> {
  switch (step.kind) {
    case 'committed':
      return jobMoved(job, 'committed', { commitmentsJson: step.commitmentsJson });
    case 'revealed': {
      const { outputTokens } = step;
      if (job?.state === 'late' && outputTokens >= job.outputTokens) return { outputTokens };
      return jobMoved(job, 'revealed', { outputTokens });
    }
    case 'claimed': {
      const { claimJson, outputTokens, atMs } = step;
      if (job?.state === 'late' && outputTokens >= job.outputTokens) return { claimJson, outputTokens };
      return jobMoved(job, 'claimed', { claimJson, outputTokens, endedAtMs: atMs });
    }
    case 'scored': {
      const { claimJson, scoredTokens, atMs } = step;
      return jobMoved(job, 'claimed', { claimJson, scoredTokens, endedAtMs: atMs });
    }
    default:
      return jobMoved(job, step.kind, { fault: step.fault, endedAtMs: step.atMs });
  }
}

/** The row of a job that was just issued. */
export function issuedRow(requestId: string, job: NewJob, nowMs: number): JobRow {
  return {
    ...job,
    requestId,
    state: 'issued',
    commitmentsJson: '[]',
    claimJson: null,
    outputTokens: 0,
    scoredTokens: 0,
    standing: null,
    fault: null,
    earnedNano: 0n,
    issuedAtMs: nowMs,
    endedAtMs: null,
  };
}
