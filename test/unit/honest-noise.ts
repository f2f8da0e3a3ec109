/** Honest generators that use their calibration to the full: errors of a known law, as bad as that law lets them be. */
import { LOGIT_SCALE, type TokenEvidence } from '#protocol/evidence';
import { chooseToken, evidenceFor, perturbedScore, type SamplerContext } from '#protocol/sampler';
import type { DifferenceBounds, SurvivalSteps } from '../../gateway/judge/compensator.ts';
import type { ScoredTranscript } from '../../gateway/judge/score.ts';
import type { SeededRng } from '../simulation/seeded-rng.ts';

/** Half octaves from 2^-15 to 2^-1, as calibrations have them. */
const GAPS = Array.from({ length: 29 }, (_, k) => 2 ** (-15 + k / 2));

/** P(range > x) = (1 + x / scale)^-power for x below `most`, 0 beyond: no moments to speak of at power 1. */
export interface NoiseLaw {
  readonly scale: number;
  readonly power: number;
  readonly most: number;
}

export const FP16_LIKE: NoiseLaw = { scale: 0.004, power: 2, most: 0.2 };
/** One position in nine moves by more than 0.1 logits. */
export const COARSE: NoiseLaw = { scale: 0.05, power: 2, most: 0.2 };
export const FP32_LIKE: NoiseLaw = { scale: 2e-5, power: 1, most: 0.2 };

function survival({ scale, power, most }: NoiseLaw, gap: number): number {
  return gap >= most ? 0 : (1 + gap / scale) ** -power;
}

/** The law's own calibration, exact at every gap. @param floor share of positions that the bounds allow beyond everything */
export function boundsOf(law: NoiseLaw, floor = 0): DifferenceBounds {
  const steps: SurvivalSteps = GAPS.map((gap) => ({ gap, upper: Math.min(1, survival(law, gap) + floor) }));
  return { tie: 0.25, border: 0.25, nearGap: 0.125, near: { survival: steps }, apart: { survival: steps } };
}

/** The range at which a share u of positions is above it. @param u uniform in (0, 1] */
export function rangeAt({ scale, power, most }: NoiseLaw, u: number): number {
  return Math.min(most, scale * (u ** (-1 / power) - 1));
}

/** A scorer's logits: a few likely tokens, a long tail. */
export function scorersLogits(rng: SeededRng, vocabSize: number, spread: number): Float32Array {
  return Float32Array.from({ length: vocabSize }, () => {
    const logit = spread * (rng.unit() + rng.unit() + rng.unit() - 1.5);
    return Math.round(logit * LOGIT_SCALE) / LOGIT_SCALE;
  });
}

/**
 * The generator's logits: one token is favoured by as much as the range allows, chosen so that the margin is as large as it can
 * be: the farthest token that is less than the range behind the best.
 */
export function worstLogits(logits: Float32Array, range: number, context: SamplerContext): Float32Array {
  const { sampling, seed, position } = context;
  const best = evidenceFor(logits, context, 0).top[0]!;
  const scoreOf = (id: number) => perturbedScore(logits[id]!, sampling.temperature, seed, position, id);
  const ahead = scoreOf(best[0]);
  let [chosen, farthest] = [best[0], 0];
  for (let id = 0; id < logits.length; id++) {
    const behind = ahead - scoreOf(id);
    if (behind < range && behind > farthest) [chosen, farthest] = [id, behind];
  }
  // Two roundings of 2^-17 may add a unit of 2^-16 to the range.
  const shift = Math.max(0, range - 2 / LOGIT_SCALE);
  return logits.map((logit, id) => (id === chosen ? logit + shift / 2 : logit - shift / 2));
}

/** Errors that favour nobody: each token's own, together as wide as the range. */
export function blindLogits(logits: Float32Array, range: number, rng: SeededRng): Float32Array {
  const shift = Math.max(0, range - 2 / LOGIT_SCALE);
  return logits.map((logit) => logit + shift * (rng.unit() - 0.5));
}

export interface ScoredPosition {
  readonly token: number;
  readonly evidence: TokenEvidence;
}

/** What an honest generator takes, and how the scorer sees it. */
export function honestPosition(logits: Float32Array, own: Float32Array, context: SamplerContext): ScoredPosition {
  const { id } = chooseToken(own, context);
  return { token: id, evidence: evidenceFor(logits, context, id) };
}

export interface HonestResponse {
  readonly claimed: ScoredTranscript;
  readonly evidence: TokenEvidence[];
}

/**
 * One response of a generator as bad as its law allows.
 * @param shared whether all positions of the response have one and the same range: nothing is more dependent
 */
export function honestResponse(
  rng: SeededRng,
  law: NoiseLaw,
  {
    sampling,
    tokens,
    shared,
    spread = 4,
  }: { sampling: ScoredTranscript['sampling']; tokens: number; shared: boolean; spread?: number },
): HonestResponse {
  const seed = BigInt(rng.between(0, 2 ** 31));
  const u = 1 - rng.unit();
  const positions = Array.from({ length: tokens }, (_, position) => {
    const context: SamplerContext = { sampling, seed, position, outputCounts: new Map() };
    const logits = scorersLogits(rng, 32, spread);
    const range = rangeAt(law, shared ? u : 1 - rng.unit());
    return honestPosition(logits, worstLogits(logits, range, context), context);
  });
  return {
    claimed: { tokens: positions.map(({ token }) => token), sampling, seed },
    evidence: positions.map(({ evidence }) => evidence),
  };
}
