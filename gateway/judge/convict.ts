/** Which faults one response proves by itself; all else is left to statistics over many (spec-judge.md §7.6). Pure. */
import { evidenceConsistent, LOGIT_SCALE, type TokenEvidence } from '#protocol/evidence';
import type { Sampling } from '#protocol/sampling';
import type { Fault } from '#protocol/verdict';
import type { Tolerances } from './classes.ts';
import type { ScoreJudgement } from './score.ts';

/** Tokens at the clip, in every one of two scorers' eyes, that convict: one or two may be honest surprise. */
export const CLIPPED_TOKENS_MIN = 3;
/** Positions at which committed logits must be grossly off; all opened ones where fewer are open. */
export const OFF_POSITIONS_MIN = 3;

/** A position of the accused: its own committed evidence beside a scorer's for the same claimed token. */
export interface ComparedPosition {
  readonly position: number;
  readonly own: TokenEvidence;
  readonly scored: TokenEvidence;
}

/** Everything known about the accused from one response. */
export interface Charges {
  /** The accused's tokens. */
  readonly tokens: readonly number[];
  readonly sampling: Sampling;
  readonly seed: bigint;
  readonly vocabSize: number;
  /** Judgements by scorers of distinct operators, referee included. */
  readonly judgements: readonly ScoreJudgement[];
  readonly compared: readonly ComparedPosition[];
  readonly tolerances: Tolerances | null;
}

export interface Conviction {
  readonly fault: Fault;
  readonly reason: 'self_contradiction' | 'evidence_far_off' | 'tokens_at_clip';
  /** Positions or tokens that show it. */
  readonly count: number;
}

/** The gravest fault that this response alone proves, or null: then the dispute is abandoned and only counted. */
export function convict(charges: Charges): Conviction | null {
  const contradictions = charges.compared.filter(({ position, own }) => {
    const context = { sampling: charges.sampling, seed: charges.seed, position, vocabSize: charges.vocabSize };
    return own.chosen !== charges.tokens[position] || !evidenceConsistent(own, context).ok;
  });
  if (contradictions.length > 0) {
    return { fault: 'bad_evidence', reason: 'self_contradiction', count: contradictions.length };
  }
  const { tolerances } = charges;
  if (tolerances === null) return null;
  const off = charges.compared.filter((item) => logitDistance(item) > tolerances.gross);
  const offNeeded = Math.min(OFF_POSITIONS_MIN, charges.compared.length);
  if (off.length > 0 && off.length >= offNeeded) {
    return { fault: 'wrong_output', reason: 'evidence_far_off', count: off.length };
  }
  const clipped = charges.judgements.filter((judgement) => judgement.atClip >= CLIPPED_TOKENS_MIN);
  if (clipped.length >= 2) {
    return { fault: 'wrong_output', reason: 'tokens_at_clip', count: Math.min(...clipped.map((item) => item.atClip)) };
  }
  return null;
}

/**
 * Distance of two evidences of one position: the median difference of the logits of tokens that both list, in logits,
 * counted on differences of logits to the claimed token, so that a constant shift says nothing.
 */
export function logitDistance({ own, scored }: Pick<ComparedPosition, 'own' | 'scored'>): number {
  const theirs = new Map(scored.top);
  const differences = own.top.flatMap(([id, logit]) => {
    const other = theirs.get(id);
    if (other === undefined || id === own.chosen) return [];
    return [Math.abs(logit - own.chosenLogit - (other - scored.chosenLogit)) / LOGIT_SCALE];
  });
  // Two honest top-8 lists nearly coincide; lists that share less than half are as far apart as any.
  if (differences.length < Math.floor(Math.min(own.top.length, scored.top.length) / 2)) return Number.POSITIVE_INFINITY;
  differences.sort((a, b) => a - b);
  return differences[Math.floor(differences.length / 2)] ?? 0;
}
