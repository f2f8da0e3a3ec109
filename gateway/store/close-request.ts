/** Ending a request: money, jobs, draw, log and attestation change together or not at all (SPEC.md §Money, "Outcomes"). */

import type { AuditTerms } from '#protocol/audit';
import type { ErrorCode } from '#protocol/errors';
import type { Hash } from '#protocol/hash';
import type { Standing } from '#protocol/verdict';
import { surchargeNano } from '../ledger/price.ts';
import type { AnsweredVerdict, Outcome, SettledVerdict, Settlement, UnansweredVerdict } from '../ledger/settle.ts';
import { settle } from '../ledger/settle.ts';
import { insertAttestation } from './attestations-repo.ts';
import { disputesOfRequest, updateDispute } from './disputes-repo.ts';
import { abortDraw } from './epochs-repo.ts';
import type { Tx } from './handle.ts';
import type { JobRow } from './jobs-repo.ts';
import { jobsOfRequest, updateJob } from './jobs-repo.ts';
import { giveBackBudget } from './key-budgets-repo.ts';
import { applyTransfer } from './ledger-repo.ts';
import type { LogLeaf } from './log-repo.ts';
import { appendLog, logSize } from './log-repo.ts';
import { type JobStep, movedBy } from './record-work.ts';
import type { RequestRow } from './requests-repo.ts';
import { openRequest, updateRequest } from './requests-repo.ts';

/** What the caller makes of the settlement before it becomes durable: the log's entry, and the statement to sign afterwards. */
export interface AnswerRecord {
  readonly leaf: LogLeaf;
  readonly contentHash: Hash;
  readonly statementJson: string;
  readonly retainUntilMs: number;
}

export interface Closed {
  readonly settlement: Settlement;
  readonly logIndex: number;
}

/**
 * Settles a request that has its answer. Token counts come from the recorded jobs; a job without a standing counts as failed.
 * @param record is called with the index that the log's entry gets and the amounts, and must not wait for anything outside
 * @throws {ProtocolError} internal_error when the request is unknown or has ended
 */
export async function settleRequest(
  tx: Tx,
  end: {
    readonly requestId: string;
    readonly verdict: AnsweredVerdict;
    readonly standings: ReadonlyMap<string, Standing>;
    /** Last steps of its jobs, written with their standings. */
    readonly steps?: readonly JobStep[];
    readonly nowMs: number;
    /** Of an audited answer: its surcharge goes with it. */
    readonly audit?: AuditTerms | null;
    readonly record: (logIndex: number, settlement: Settlement) => AnswerRecord;
  },
): Promise<Closed> {
  const request = await openRequest(tx, end.requestId);
  const settlement = await settleMoney(tx, request, end, end.audit ?? null);
  const logIndex = await logSize(tx);
  const { leaf, ...attestation } = end.record(logIndex, settlement);
  await appendLog(tx, [leaf]);
  await insertAttestation(tx, {
    requestId: end.requestId,
    logIndex,
    ...attestation,
    compact: null,
    receiptJson: null,
    overturnedBy: null,
    overturnedAtMs: null,
  });
  await updateRequest(tx, end.requestId, {
    state: 'settled',
    verdict: end.verdict,
    logIndex,
    endedAtMs: end.nowMs,
    ...amounts(settlement),
  });
  return { settlement, logIndex };
}

/**
 * Ends a request without an answer: revealed work is paid (by the reserve, after a disconnect by the client), everything else
 * goes back, the draw is aborted and logged.
 * @param leaf makes the log's `aborted` entry
 * @throws {ProtocolError} internal_error when the request is unknown or has ended
 */
export async function failRequest(
  tx: Tx,
  end: {
    readonly requestId: string;
    readonly verdict: UnansweredVerdict;
    readonly standings: ReadonlyMap<string, Standing>;
    /** Last steps of its jobs, written with their standings. */
    readonly steps?: readonly JobStep[];
    readonly errorCode: ErrorCode;
    readonly nowMs: number;
    readonly leaf: (request: RequestRow) => LogLeaf;
  },
): Promise<Closed> {
  const request = await openRequest(tx, end.requestId);
  const settlement = await settleMoney(tx, request, end);
  await abortDraw(tx, end.requestId);
  const logIndex = await appendLog(tx, [end.leaf(request)]);
  await updateRequest(tx, end.requestId, {
    state: 'failed',
    verdict: end.verdict,
    errorCode: end.errorCode,
    logIndex,
    endedAtMs: end.nowMs,
    ...amounts(settlement),
  });
  return { settlement, logIndex };
}

async function settleMoney(
  tx: Tx,
  request: RequestRow,
  {
    verdict,
    standings,
    steps,
    nowMs,
  }: {
    readonly verdict: SettledVerdict;
    readonly standings: ReadonlyMap<string, Standing>;
    readonly steps?: readonly JobStep[];
    readonly nowMs: number;
  },
  audit: AuditTerms | null = null,
): Promise<Settlement> {
  const { requestId } = request;
  const rows = await jobsOfRequest(tx, requestId);
  const byId = new Map(rows.map((row) => [row.jobId, row]));
  const moved = movedBy(steps ?? [], (jobId) => byId.get(jobId) ?? null);
  const jobs = rows.map((row) => moved.get(row.jobId)?.row ?? row);
  const disputes = (await disputesOfRequest(tx, requestId)).filter((dispute) => dispute.state !== 'settled');
  const outcome: Outcome = {
    requestId,
    account: request.account,
    price: request,
    quoteNano: request.quoteNano,
    coverNano: request.coverNano,
    verdict,
    jobs: jobs.map((job) => outcomeJob(job, standings.get(job.jobId) ?? 'failed')),
    surchargeNano: audit === null ? 0n : surchargesOf(request, jobs, standings, audit),
    disputes: firstDisputePerJob(disputes),
  };
  const settlement = settle(outcome);
  await applyTransfer(tx, settlement.transfer, nowMs);
  await giveBackBudget(tx, request, settlement.chargedNano);
  for (const settled of settlement.jobs) {
    const standing = standings.get(settled.jobId) ?? 'failed';
    const earnedNano = settled.withheldBy === null ? settled.earnedNano : 0n;
    await updateJob(tx, settled.jobId, { ...moved.get(settled.jobId)?.change, standing, earnedNano });
    if (settled.withheldBy !== null) {
      const withheld = { withheldClientNano: settled.clientNano, withheldReserveNano: settled.reserveNano };
      await updateDispute(tx, settled.withheldBy, withheld);
    }
  }
  return settlement;
}

/** Of every choice: that of the one member that stands behind it. */
export function surchargesOf(
  request: RequestRow,
  jobs: readonly JobRow[],
  standings: ReadonlyMap<string, Standing>,
  audit: AuditTerms,
): bigint {
  return jobs
    .filter(({ jobId, role, wave }) => role === 'member' && wave === 0 && standings.get(jobId) === 'counted')
    .reduce((sum, job) => sum + surchargeNano(request, job, audit), 0n);
}

function outcomeJob(job: JobRow, standing: Standing): Outcome['jobs'][number] {
  const { jobId, provider, role, wave, inputTokens, outputTokens, scoredTokens } = job;
  return { jobId, provider, role, wave, standing, inputTokens, outputTokens, scoredTokens };
}

/** A job's pay can wait for one dispute only; the first that was opened. */
function firstDisputePerJob(disputes: readonly { jobId: string; disputeId: string }[]): ReadonlyMap<string, string> {
  const perJob = new Map<string, string>();
  for (const { jobId, disputeId } of disputes) if (!perJob.has(jobId)) perJob.set(jobId, disputeId);
  return perJob;
}

function amounts(settlement: Settlement): Pick<RequestRow, 'chargedNano' | 'recoverableNano'> {
  return { chargedNano: settlement.chargedNano, recoverableNano: settlement.recoverableNano };
}
