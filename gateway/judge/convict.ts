/** Which faults one response proves by itself; all else is left to statistics over many (spec-judge.md §7.6). Pure. */
import type { Tolerances } from '#protocol/calibration';
import { evidenceConsistent, type TokenEvidence } from '#protocol/evidence';
import type { Sampling } from '#protocol/sampling';
import type { Fault } from '#protocol/verdict';
import { evidenceDistance } from './evidence-distance.ts';
import type { ScoreJudgement } from './score.ts';

/** Tokens at the clip, in every one of two scorers' eyes, that convict: one or two may be honest surprise. */
export const CLIPPED_TOKENS_MIN = 3;
/** Positions at which committed logits must be grossly off; all of them in a transcript that is shorter. */
export const OFF_POSITIONS_MIN = 3;

/** A position that the accused has opened: its own committed evidence. */
export interface OpenedPosition {
  readonly position: number;
  readonly own: TokenEvidence;
}

/** The same beside a judge's evidence for the same claimed token. */
export interface ComparedPosition extends OpenedPosition {
  readonly scored: TokenEvidence;
}

/** The order that the accused worked on, and what it answered. */
export interface AccusedTranscript {
  readonly tokens: readonly number[];
  readonly sampling: Sampling;
  readonly seed: bigint;
  readonly vocabSize: number;
}

export interface Conviction {
  readonly fault: Fault;
  readonly reason: 'self_contradiction' | 'evidence_far_off' | 'tokens_at_clip';
  /** Positions or tokens that show it. */
  readonly count: number;
}

/**
 * Evidence that no run of the sampler makes, whatever the model computes: the accused's own signature proves it, so no
 * judge is needed. Prefilled evidence of the real model under cheap tokens ends here: those tokens do not win.
 */
export function selfContradiction(accused: AccusedTranscript, opened: readonly OpenedPosition[]): Conviction | null {
  const { sampling, seed, vocabSize, tokens } = accused;
  const { length } = opened.filter(
    ({ position, own }) =>
      own.chosen !== tokens[position] || !evidenceConsistent(own, { sampling, seed, position, vocabSize }).ok,
  );
  return length > 0 ? { fault: 'bad_evidence', reason: 'self_contradiction', count: length } : null;
}

/**
 * What differences from a judge's evidence prove. Call it only against an accused whom the referee has rejected.
 * @param judgements by judges of distinct operators, the referee included
 * @param tolerances of the pair (accused, judge whose evidence is compared); null convicts of nothing
 */
export function convict(
  accused: Pick<AccusedTranscript, 'tokens' | 'sampling' | 'seed'>,
  compared: readonly ComparedPosition[],
  judgements: readonly ScoreJudgement[],
  tolerances: Tolerances | null,
): Conviction | null {
  if (tolerances === null) return null;
  const off = compared.filter((item) => evidenceDistance(item, accused) > tolerances.gross).length;
  if (off > 0 && off >= Math.min(OFF_POSITIONS_MIN, accused.tokens.length)) {
    return { fault: 'wrong_output', reason: 'evidence_far_off', count: off };
  }
  const clipped = judgements.filter((judgement) => judgement.atClip >= CLIPPED_TOKENS_MIN);
  if (clipped.length >= 2) {
    return { fault: 'wrong_output', reason: 'tokens_at_clip', count: Math.min(...clipped.map((item) => item.atClip)) };
  }
  return null;
}
