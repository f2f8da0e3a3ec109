/** Asking a provider to score claimed tokens by one prefill, and checking its signed reply (SPEC.md §6). */
import { evidenceRoot } from '#protocol/evidence-tree';
import { type Hash, toHex } from '#protocol/hash';
import type { ScoreReply } from '#protocol/messages';
import { scoredHash } from '#protocol/request';
import { digests } from '#protocol/typed';
import type { Seat } from '../committee/seat.ts';
import { tolerancesOf } from '../judge/classes.ts';
import { judgeScore, type ScoreJudgement } from '../judge/score.ts';
import { DeadlineError, within } from './deadline.ts';
import type { SealedMember } from './member.ts';
import { type AttemptPlan, scoreOrder, scoreTicket } from './plan.ts';
import { ProviderFailure } from './provider-failure.ts';
import type { ScorerVote } from './scorer-standing.ts';
import type { WaveDeps } from './wave.ts';

/** One score of one member's transcript, with what the judge makes of it. */
export interface TakenScore {
  readonly scorer: Seat;
  readonly role: 'member' | 'referee';
  readonly about: Seat;
  /** The claimed tokens that were scored: a whole transcript, or its part up to a split. */
  readonly tokens: readonly number[];
  readonly reply: ScoreReply;
  readonly ticketHash: Hash;
  readonly judgement: ScoreJudgement;
}

/** What is scored: a transcript, and the class that claims to have produced it. */
export interface ScoreTarget {
  readonly seat: Seat;
  readonly tokens: readonly number[];
}

export interface ScoringDeps
  extends Pick<WaveDeps, 'client' | 'domain' | 'recover' | 'signer' | 'clock' | 'rng' | 'breakers'> {
  readonly journal: Pick<WaveDeps['journal'], 'jobsIssued'>;
  readonly scoreTimeoutMs: number;
}

/**
 * One signed score, or null where the scorer failed: unreachable, late, malformed, or about something else.
 * A failed scorer abstains; it never counts for or against anybody.
 */
export async function takeScore(
  deps: ScoringDeps,
  plan: AttemptPlan,
  scorer: { seat: Seat; role: 'member' | 'referee' },
  target: ScoreTarget,
  signal: AbortSignal,
): Promise<TakenScore | null> {
  const job = { jobId: toHex(deps.rng.bytes(32)), provider: scorer.seat.address, roundId: toHex(deps.rng.bytes(32)) };
  const issued = scoreTicket(plan, deps.domain, job, target.tokens);
  const role = scorer.role === 'referee' ? 'referee' : 'scorer';
  await deps.journal.jobsIssued([{ requestId: plan.requestId, seat: scorer.seat, role, issued }]);
  const order = scoreOrder(plan, deps, issued, target.tokens);
  const report = deps.breakers.sent(scorer.seat.address);
  let reply: ScoreReply;
  try {
    const deadline = deps.clock.nowMs() + deps.scoreTimeoutMs;
    reply = await within(deps.clock, deadline, signal, (inner) => deps.client.score(scorer.seat.url, order, inner));
  } catch (error) {
    if (signal.aborted) {
      report.dropped();
      throw signal.reason;
    }
    if (error instanceof ProviderFailure && error.refusal) report.dropped();
    else report.failed();
    if (error instanceof ProviderFailure || error instanceof DeadlineError) return null;
    throw error;
  }
  const { score } = reply;
  const genuine =
    score.jobId === job.jobId &&
    score.ticketHash === issued.ticketHash &&
    score.provider === scorer.seat.address &&
    score.outputTokens === target.tokens.length &&
    score.transcriptHash === scoredHash(plan.promptIds, target.tokens) &&
    score.evidenceRoot === evidenceRoot(0, reply.evidence) &&
    deps.recover(digests.score(deps.domain, score), reply.signature) === scorer.seat.address;
  if (genuine) report.answered();
  else report.failed();
  if (!genuine) return null;
  const tolerances = tolerancesOf(scorer.seat.numericClass, target.seat.numericClass);
  const claimed = { tokens: target.tokens, sampling: plan.sampling, seed: plan.seed };
  const judgement = judgeScore(claimed, reply.evidence, tolerances);
  return (
    judgement && {
      scorer: scorer.seat,
      role: scorer.role,
      about: target.seat,
      tokens: target.tokens,
      reply,
      ticketHash: issued.ticketHash,
      judgement,
    }
  );
}

/** The vote of a score, for its standing at the end. */
export function voteOf({ tokens, reply, judgement }: TakenScore): ScorerVote {
  return { jobId: reply.score.jobId, tokens, vote: judgement.vote };
}

/** A member's transcript as a target. */
export function targetOf(member: SealedMember): ScoreTarget {
  return { seat: member.seat, tokens: [...member.tokens] };
}
