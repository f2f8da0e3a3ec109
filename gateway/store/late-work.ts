/** Work after a request's end: late transcripts and the referee of a dispute, paid by the reserve (SPEC.md §Money, "Late work"). */
import { ProtocolError } from '#protocol/errors';
import { AUDIT_POOL, coverAccount, earningsAccount, RESERVE } from '../ledger/accounts.ts';
import { least } from '../ledger/least.ts';
import { jobPrice } from '../ledger/price.ts';
import { makeTransfer } from '../ledger/transfer.ts';
import { isAuditJob } from './audits-repo.ts';
import type { Tx } from './handle.ts';
import type { JobRow, RoundRow } from './jobs-repo.ts';
import { insertJobs, insertRound, jobById, updateJob } from './jobs-repo.ts';
import { applyTransfer, balanceNano, transferById } from './ledger-repo.ts';
import type { NewJob } from './record-work.ts';
import { issuedRow } from './record-work.ts';
import type { RequestRow } from './requests-repo.ts';
import { requestById, updateRequest } from './requests-repo.ts';

/**
 * Records jobs that a dispute needs after its request has ended; each gets a cover of its own.
 * @throws {ProtocolError} reserve_empty; internal_error when the request has not ended
 */
export async function recordLateJobs(tx: Tx, requestId: string, jobs: readonly NewJob[], nowMs: number): Promise<void> {
  await endedRequest(tx, requestId);
  for (const { jobId, maxNano } of jobs) {
    const transfer = makeTransfer({ id: `hold:${jobId}`, reason: 'hold', requestId }, [
      { from: RESERVE, to: coverAccount(jobId), amountNano: maxNano },
    ]);
    await applyTransfer(tx, transfer, nowMs);
  }
  await insertJobs(
    tx,
    jobs.map((job) => issuedRow(requestId, job, nowMs)),
  );
}

/** Records the root of a round after its request's end, before the permission is signed. @throws {ProtocolError} permission_conflict */
export async function recordLateRound(tx: Tx, round: Omit<RoundRow, 'permissionSignature'>): Promise<void> {
  await endedRequest(tx, round.requestId);
  if (await insertRound(tx, { ...round, permissionSignature: null })) return;
  throw new ProtocolError('permission_conflict', 'The round has another root already.', {
    details: { roundIndex: round.roundIndex },
  });
}

/**
 * Pays a job for what it brought after its request had ended, as recorded by `recordSteps`, once. A late job of the committee
 * has no cover any more and is paid out of the free reserve: let it reveal only when that can be paid.
 * @returns what was paid, 0 when there is nothing more to pay
 * @throws {ProtocolError} reserve_empty; internal_error when the request has not ended
 */
export async function payLateWork(tx: Tx, jobId: string, nowMs: number): Promise<bigint> {
  const job = await jobById(tx, jobId);
  if (job === null) throw new ProtocolError('internal_error', 'The job is unknown.', { details: { jobId } });
  const request = await endedRequest(tx, job.requestId);
  if ((await transferById(tx, `late:${jobId}`)) !== null) return 0n;
  const coverLeftNano = await balanceNano(tx, coverAccount(jobId));
  const payNano = owedNano(request, job);
  if (payNano === 0n && coverLeftNano === 0n) return 0n;
  const fromCoverNano = least(payNano, coverLeftNano);
  // Clients have paid for audits beforehand, on average: where one costs more than there is, the reserve waits for the next of them.
  const fromPoolNano = (await isAuditJob(tx, jobId)) ? least(payNano, await balanceNano(tx, AUDIT_POOL)) : 0n;
  const to = earningsAccount(job.provider);
  const transfer = makeTransfer({ id: `late:${jobId}`, reason: 'late', requestId: job.requestId }, [
    { from: coverAccount(jobId), to, amountNano: fromCoverNano },
    { from: coverAccount(jobId), to: RESERVE, amountNano: coverLeftNano - fromCoverNano },
    { from: RESERVE, to, amountNano: payNano - fromCoverNano },
    { from: AUDIT_POOL, to: RESERVE, amountNano: fromPoolNano },
  ]);
  await applyTransfer(tx, transfer, nowMs);
  await updateJob(tx, jobId, { earnedNano: job.earnedNano + payNano });
  // A loser's slash makes good what its dispute cost, not what a slow member did.
  if (job.role !== 'member' || job.wave > 0) {
    const reserveNano = payNano - fromPoolNano;
    await updateRequest(tx, request.requestId, { recoverableNano: request.recoverableNano + reserveNano });
  }
  return payNano;
}

/** What the job's work is worth beyond what it was paid; nothing while or since a dispute decides about its pay. */
function owedNano(request: RequestRow, job: JobRow): bigint {
  if (job.standing === 'rejected') return 0n;
  const owed = least(jobPrice(request, job).payNano, job.maxNano) - job.earnedNano;
  return owed > 0n ? owed : 0n;
}

async function endedRequest(tx: Tx, requestId: string): Promise<RequestRow> {
  const request = await requestById(tx, requestId);
  if (request === null || request.endedAtMs === null) {
    throw new ProtocolError('internal_error', 'The request has not ended.', { details: { requestId } });
  }
  return request;
}
