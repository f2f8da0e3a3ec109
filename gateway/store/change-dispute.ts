/** The life of a dispute, move by move: opened (stake frozen), evidence, ruled, settled (SPEC.md §Money, "Disputes"). */
import { ProtocolError } from '#protocol/errors';
import type { Hash } from '#protocol/hash';
import type { Fault } from '#protocol/verdict';
import type { DisputeSettlement, Ruling, SlashSplit } from '../ledger/dispute-money.ts';
import { settleDispute } from '../ledger/dispute-money.ts';
import type { DisputeMove, DisputeRow } from './disputes-repo.ts';
import { appendDisputeMove, disputeAbout, disputeIn, insertDispute, updateDispute } from './disputes-repo.ts';
import { enterFreezing, frozenPayNano, NOTHING, penaltyNow } from './freezings.ts';
import type { Tx } from './handle.ts';
import { enterRestitutions, harmedBy } from './harmed.ts';
import { jobById, updateJob } from './jobs-repo.ts';
import { applyTransfer } from './ledger-repo.ts';
import { owedNano } from './owed.ts';
import { requestById, updateRequest } from './requests-repo.ts';

export interface NewDispute {
  readonly disputeId: Hash;
  readonly requestId: string;
  readonly jobId: Hash;
  readonly provider: string;
  readonly fault: Fault;
  /** Evidence as one JSON bundle, token ids included; null while there is none. */
  readonly bundleJson: string | null;
  readonly retainUntilMs: number;
  readonly move: DisputeMove;
  /** False where a conviction before it answers for it with its own slash: nothing is frozen twice for one past. */
  readonly freezes?: boolean;
}

/** `known`: this accusation has a dispute already, and nothing was frozen a second time. */
export type Opening =
  | { readonly outcome: 'opened'; readonly frozenNano: bigint }
  | { readonly outcome: 'known'; readonly disputeId: string };

/** `too_early`: the appeal runs, the request has not ended, or answers are still looked at because of this conviction. */
export type Ending =
  | { readonly outcome: 'settled'; readonly settlement: DisputeSettlement }
  | { readonly outcome: 'too_early' };

/** Opens a dispute and freezes the fault's penalty, as far as no other dispute holds the stake, and the pay that is retained for such a fault. */
export async function openDispute(tx: Tx, dispute: NewDispute): Promise<Opening> {
  const known = await disputeAbout(tx, dispute);
  if (known !== null) return { outcome: 'known', disputeId: known.disputeId };
  const { move, freezes = true, ...row } = dispute;
  const penalty = freezes ? await penaltyNow(tx, dispute, move.atMs) : NOTHING;
  const frozenNano = penalty.stakeNano + penalty.payNano;
  await insertDispute(tx, {
    ...row,
    state: 'opened',
    ruling: null,
    frozenNano,
    withheldClientNano: 0n,
    withheldReserveNano: 0n,
    openedAtMs: move.atMs,
    ruledAtMs: null,
    appealUntilMs: null,
    settledAtMs: null,
  });
  await enterFreezing(tx, dispute, penalty, 'opening', move.atMs);
  await appendDisputeMove(tx, dispute.disputeId, move);
  return { outcome: 'opened', frozenNano };
}

/** Adds evidence to a dispute that is not ruled. @throws {ProtocolError} internal_error when it is */
export async function addEvidence(
  tx: Tx,
  disputeId: Hash,
  evidence: { readonly bundleJson: string; readonly move: DisputeMove },
): Promise<void> {
  await disputeIn(tx, disputeId, ['opened', 'evidence']);
  await updateDispute(tx, disputeId, { state: 'evidence', bundleJson: evidence.bundleJson });
  await appendDisputeMove(tx, disputeId, evidence.move);
}

/**
 * Adds what the accused answers to a ruling that is not final.
 * @param answer.before the bundle that the answer was joined with: another answer may have been faster
 * @throws {ProtocolError} internal_error when the dispute is not ruled, its ruling is final, or the bundle has changed
 */
export async function answerRuling(
  tx: Tx,
  disputeId: Hash,
  answer: { readonly before: string; readonly bundleJson: string; readonly move: DisputeMove },
): Promise<void> {
  const row = await disputeIn(tx, disputeId, ['ruled']);
  if ((row.appealUntilMs ?? 0) <= answer.move.atMs || row.bundleJson !== answer.before) {
    throw new ProtocolError('internal_error', 'The dispute is not in a state that allows this.', {
      details: { disputeId, state: row.state },
    });
  }
  await updateDispute(tx, disputeId, { bundleJson: answer.bundleJson });
  await appendDisputeMove(tx, disputeId, answer.move);
}

/**
 * Rules a dispute, or rules it again on appeal before the first ruling is final.
 * @param ruling.appealUntilMs no money moves before
 * @throws {ProtocolError} internal_error when the dispute is settled or its appeal is over
 */
export async function ruleDispute(
  tx: Tx,
  disputeId: Hash,
  ruling: { readonly ruling: Ruling; readonly appealUntilMs: number; readonly move: DisputeMove },
): Promise<void> {
  const row = await disputeIn(tx, disputeId, ['opened', 'evidence', 'ruled']);
  const { atMs } = ruling.move;
  // A final ruling is as good as settled: nobody may turn it just because nobody has called for the money yet.
  if (row.state === 'ruled' && (row.appealUntilMs ?? 0) <= atMs) await disputeIn(tx, disputeId, ['opened', 'evidence']);
  await updateDispute(tx, disputeId, {
    state: 'ruled',
    ruling: ruling.ruling,
    ruledAtMs: atMs,
    appealUntilMs: ruling.appealUntilMs,
  });
  await appendDisputeMove(tx, disputeId, ruling.move);
}

/**
 * Moves the money of a ruled dispute, once, after its appeal.
 * @param ending.right providers whose work held up @param ending.judges referees, who get nothing
 * @throws {ProtocolError} internal_error when the dispute is not ruled
 */
export async function settleRuledDispute(
  tx: Tx,
  disputeId: Hash,
  ending: {
    readonly right: readonly string[];
    readonly judges: readonly string[];
    readonly split: SlashSplit;
    readonly move: DisputeMove;
  },
): Promise<Ending> {
  const { atMs } = ending.move;
  const row = await disputeIn(tx, disputeId, ['ruled']);
  const request = await requestById(tx, row.requestId);
  if (request === null || request.endedAtMs === null || (row.appealUntilMs ?? 0) > atMs)
    return { outcome: 'too_early' };
  const past = await harmedBy(tx, row);
  if (past === 'not_known') return { outcome: 'too_early' };
  const settlement = settleDispute({
    disputeId,
    provider: row.provider,
    ruling: row.ruling!,
    clientOwner: request.account,
    frozenNano: row.frozenNano,
    frozenPayNano: await frozenPayNano(tx, disputeId),
    withheldClientNano: row.withheldClientNano,
    withheldReserveNano: row.withheldReserveNano,
    refundableNano: await owedNano(tx, request),
    recoverableNano: request.recoverableNano - request.recoveredNano,
    right: ending.right,
    judges: ending.judges,
    split: ending.split,
    ...past,
  });
  await applyTransfer(tx, settlement.transfer, atMs);
  await updateRequest(tx, row.requestId, {
    refundedNano: request.refundedNano + settlement.refundedNano,
    recoveredNano: request.recoveredNano + settlement.madeGoodNano,
  });
  await enterRestitutions(tx, disputeId, settlement.restitutions);
  await updateDispute(tx, disputeId, { state: 'settled', settledAtMs: atMs });
  await appendDisputeMove(tx, disputeId, ending.move);
  if (row.ruling !== 'upheld') await creditWithheld(tx, row);
  return { outcome: 'settled', settlement };
}

async function creditWithheld(tx: Tx, dispute: DisputeRow): Promise<void> {
  const job = await jobById(tx, dispute.jobId);
  if (job === null) return;
  const earnedNano = job.earnedNano + dispute.withheldClientNano + dispute.withheldReserveNano;
  await updateJob(tx, dispute.jobId, { earnedNano });
}
