/** What one scorer's evidence says about one claimed transcript (spec-judge.md §7.4; DESIGN §7 "Score"). Pure. */
import type { Tolerances } from '#protocol/calibration';
import { evidenceConsistent, LOGIT_Q16_MIN, LOGIT_SCALE, MARGIN_CLIP, type TokenEvidence } from '#protocol/evidence';
import { perturbedScore, VOCABULARY_MAX } from '#protocol/sampler';
import type { Sampling } from '#protocol/sampling';
import type { Vote } from '#protocol/voices';
import { type TokenOrder, tokenMargin } from './border.ts';

export type ScoreVote = Vote;

export interface ScoreJudgement {
  readonly vote: ScoreVote;
  readonly tokens: number;
  /** Tokens whose margin reached the clip. */
  readonly atClip: number;
  /** Where they are, the first of them. */
  readonly clippedAt: readonly number[];
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

/** Positions that a judgement names at most: enough to convict by, and as many as evidence is opened at. */
const CLIPPED_NAMED_MAX = 16;
/** How far a score recomputed from rounded logits may be out of order, in logits: one unit of 2^-16. */
const ORDER_SLACK = 1 / LOGIT_SCALE;

/**
 * Judges a claimed transcript by a scorer's evidence, one item per claimed token.
 * @returns null where the evidence is not about these tokens (missing, padded or extra), or is none that a scorer's
 * sampler could make: then the scorer failed.
 */
export function judgeScore(
  claimed: ScoredTranscript,
  evidence: readonly TokenEvidence[],
  tolerances: Tolerances | null,
): ScoreJudgement | null {
  if (evidence.length !== claimed.tokens.length || evidence.length === 0) return null;
  const { sampling, seed } = claimed;
  let largestMargin = 0;
  let sum = 0;
  let atClip = 0;
  const clippedAt: number[] = [];
  for (const [position, item] of evidence.entries()) {
    const order = { sampling, seed, position };
    if (item.chosen !== claimed.tokens[position] || !isScorersEvidence(item, order)) return null;
    const judged = tokenMargin(item, order, tolerances);
    largestMargin = Math.max(largestMargin, judged.margin);
    sum += judged.margin;
    if (!judged.atClip) continue;
    atClip++;
    if (clippedAt.length < CLIPPED_NAMED_MAX) clippedAt.push(position);
  }
  const vote = voteOf(largestMargin, tolerances);
  const meanMargin = sum / (evidence.length * MARGIN_CLIP);
  return { vote, tokens: evidence.length, atClip, clippedAt, meanMargin, largestMargin };
}

function voteOf(largestMargin: number, tolerances: Tolerances | null): ScoreVote {
  if (tolerances === null) return 'abstain';
  if (largestMargin <= tolerances.tie) return 'accept';
  return largestMargin >= Math.min(tolerances.reject, MARGIN_CLIP) ? 'reject' : 'abstain';
}

/**
 * Whether an honest scorer could have said this: its own choice contradicts nothing, and the claimed token stands where
 * its logit puts it. A scorer may still lie about logits; that is for other scorers to show.
 */
function isScorersEvidence(item: TokenEvidence, { sampling, seed, position }: TokenOrder): boolean {
  const [id, logit] = item.top[0]!;
  const context = { sampling, seed, position, vocabSize: vocabularyOf(item, sampling) };
  if (!evidenceConsistent({ ...item, chosen: id, chosenLogit: logit }, context).ok) return false;
  const listed = item.top.find(([other]) => other === item.chosen);
  if (listed) return listed[1] === item.chosenLogit;
  const isKept = item.keptCount > item.top.length && item.chosenLogit > item.lastKeptLogit;
  if (!isKept) return item.lastKeptLogit === LOGIT_Q16_MIN || item.chosenLogit <= item.lastKeptLogit;
  const score = (token: number, value: number) =>
    perturbedScore(value / LOGIT_SCALE, sampling.temperature, seed, position, token);
  const [lastId, lastLogit] = item.top[item.top.length - 1]!;
  return score(item.chosen, item.chosenLogit) <= score(lastId, lastLogit) + ORDER_SLACK;
}

/** The vocabulary that the evidence implies where it keeps all of it, else the largest there is. */
function vocabularyOf({ keptCount }: TokenEvidence, { temperature, topK, topP }: Sampling): number {
  const keepsAll = temperature === 0 || (topP === 1 && (topK === 0 || keptCount < topK));
  return keepsAll ? keptCount : VOCABULARY_MAX;
}
