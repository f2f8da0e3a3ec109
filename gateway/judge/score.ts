/** What one scorer's evidence says about one claimed transcript (spec-judge.md §7.4; DESIGN §7 "Score"). Pure. */
import { MARGIN_CLIP, margin, type TokenEvidence } from '#protocol/evidence';
import type { Sampling } from '#protocol/sampling';
import type { Tolerances } from './classes.ts';

/** `accept`: every margin within tolerance. `reject`: a token no honest run takes. `abstain`: between, or uncalibrated. */
export type ScoreVote = 'accept' | 'reject' | 'abstain';

export interface ScoreJudgement {
  readonly vote: ScoreVote;
  readonly tokens: number;
  /** Tokens whose margin reached the clip. */
  readonly atClip: number;
  /** Mean clipped margin over the clip, 0..1. */
  readonly meanMargin: number;
  readonly largestMargin: number;
}

/** What was claimed, and how it had to be sampled. */
export interface ScoredTranscript {
  readonly tokens: readonly number[];
  readonly sampling: Sampling;
  readonly seed: bigint;
}

/**
 * Judges a claimed transcript by a scorer's evidence, one item per claimed token.
 * @returns null where the evidence is not about these tokens (missing, padded or extra): then the scorer failed.
 */
export function judgeScore(
  claimed: ScoredTranscript,
  evidence: readonly TokenEvidence[],
  tolerances: Tolerances | null,
): ScoreJudgement | null {
  if (evidence.length !== claimed.tokens.length || evidence.length === 0) return null;
  if (evidence.some((item, i) => item.chosen !== claimed.tokens[i])) return null;
  const { temperature } = claimed.sampling;
  const margins = evidence.map((item, position) =>
    margin(item, { temperature, seed: claimed.seed, position, borderTolerance: tolerances?.border ?? 0 }),
  );
  const atClip = margins.filter((item) => item.atClip).length;
  const largestMargin = Math.max(...margins.map((item) => item.margin));
  const meanMargin = margins.reduce((sum, item) => sum + item.margin, 0) / (margins.length * MARGIN_CLIP);
  const vote = voteOf(atClip, largestMargin, tolerances);
  return { vote, tokens: evidence.length, atClip, meanMargin, largestMargin };
}

function voteOf(atClip: number, largestMargin: number, tolerances: Tolerances | null): ScoreVote {
  if (tolerances === null) return 'abstain';
  if (atClip > 0) return 'reject';
  return largestMargin <= tolerances.tie ? 'accept' : 'abstain';
}
