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
import { type AttemptPlan, type IssuedTicket, scoreOrder, scoreTicket } from './plan.ts';
import { ProviderFailure } from './provider-failure.ts';
import type { ScorerVote } from './scorer-standing.ts';
import { skipReason } from './skip-reason.ts';
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

/** Who scores, and for whom. */
export interface AskedScorer {
  readonly seat: Seat;
  readonly role: 'member' | 'referee';
  /** Whether it has a seat of the policy: the client pays for it. */
  readonly isWitness?: boolean;
}

/** An order that brought no score. */
export interface FailedScore {
  readonly scorer: Seat;
  /** Why, as the log says it of whom a draw passes over. */
  readonly failed: string;
  readonly ticketHash: Hash;
}

/**
 * One signed score, or null where the scorer failed: unreachable, late, malformed, or about something else.
 * A failed scorer abstains; it never counts for or against anybody.
 */
export async function takeScore(
  deps: ScoringDeps,
  plan: AttemptPlan,
  scorer: AskedScorer,
  target: ScoreTarget,
  signal: AbortSignal,
): Promise<TakenScore | null> {
  const taken = await orderScore(deps, plan, scorer, target, signal);
  return 'failed' in taken ? null : taken;
}

/** The same with the reason where there is no score. */
export async function orderScore(
  deps: ScoringDeps,
  plan: AttemptPlan,
  scorer: AskedScorer,
  target: ScoreTarget,
  signal: AbortSignal,
): Promise<TakenScore | FailedScore> {
  const { seat } = scorer;
  const job = { jobId: toHex(deps.rng.bytes(32)), provider: seat.address, roundId: toHex(deps.rng.bytes(32)) };
  const issued = scoreTicket(plan, deps.domain, job, target.tokens, deps.clock.nowMs());
  const role = scorer.role === 'referee' ? 'referee' : 'scorer';
  const isWitness = scorer.isWitness ?? false;
  await deps.journal.jobsIssued([{ requestId: plan.requestId, seat, role, isWitness, issued }]);
  const report = deps.breakers.sent(seat.address);
  const failed = (reason: string): FailedScore => {
    // To say no in good form, for want of a free place say, is no failure.
    if (reason.startsWith('refused:')) report.dropped();
    else report.failed();
    return { scorer: seat, failed: reason, ticketHash: issued.ticketHash };
  };
  let reply: ScoreReply;
  try {
    reply = await sent(deps, plan, seat, issued, target, signal);
  } catch (error) {
    if (signal.aborted) {
      report.dropped();
      throw signal.reason;
    }
    if (error instanceof DeadlineError) return failed('timeout');
    if (error instanceof ProviderFailure) return failed(skipReason(deps, issued, error));
    throw error;
  }
  const judgement = isGenuine(deps, plan, issued, target, reply) ? judged(plan, seat, target, reply) : null;
  if (judgement === null) return failed('malformed');
  report.answered();
  const { ticketHash } = issued;
  return { scorer: seat, role: scorer.role, about: target.seat, tokens: target.tokens, reply, ticketHash, judgement };
}

function sent(
  deps: ScoringDeps,
  plan: AttemptPlan,
  seat: Seat,
  issued: IssuedTicket,
  { tokens }: ScoreTarget,
  signal: AbortSignal,
): Promise<ScoreReply> {
  const order = scoreOrder(plan, deps, issued, tokens);
  const deadline = deps.clock.nowMs() + deps.scoreTimeoutMs;
  return within(deps.clock, deadline, signal, (inner) => deps.client.score(seat.url, order, inner()));
}

/** Whether the scorer has signed exactly this: this order, these tokens after this prompt, this evidence. */
function isGenuine(
  { domain, recover }: ScoringDeps,
  plan: AttemptPlan,
  { ticket, ticketHash }: IssuedTicket,
  { tokens }: ScoreTarget,
  { score, evidence, signature }: ScoreReply,
): boolean {
  return (
    score.jobId === ticket.jobId &&
    score.ticketHash === ticketHash &&
    score.provider === ticket.provider &&
    score.outputTokens === tokens.length &&
    score.transcriptHash === scoredHash(plan.promptIds, tokens) &&
    score.evidenceRoot === evidenceRoot(0, evidence) &&
    recover(digests.score(domain, score), signature) === ticket.provider
  );
}

function judged(
  { sampling, seed, calibration }: AttemptPlan,
  scorer: Seat,
  { seat, tokens }: ScoreTarget,
  { evidence }: ScoreReply,
): ScoreJudgement | null {
  const tolerances = tolerancesOf(calibration?.calibration ?? null, scorer.numericClass, seat.numericClass);
  return judgeScore({ tokens, sampling, seed }, evidence, tolerances);
}

/** The vote of a score, for its standing at the end. */
export function voteOf({ tokens, reply, judgement }: TakenScore): ScorerVote {
  return { jobId: reply.score.jobId, tokens, vote: judgement.vote };
}

/** A member's transcript as a target. */
export function targetOf(member: SealedMember): ScoreTarget {
  return { seat: member.seat, tokens: [...member.tokens] };
}
