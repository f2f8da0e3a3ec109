/**
 * Tests of sampled text whose noise nobody else knows: upstream engines at T > 0 (spec-judge.md §7.10). Pure.
 *
 * The scorer's best by perturbed score is one draw from its own law, by the order's noise, which the upstream has not used.
 */
import { LOGIT_SCALE, type TokenEvidence } from '#protocol/evidence';
import type { Sampling } from '#protocol/sampling';
import type { DifferenceBounds } from './compensator.ts';

/** Standard deviations that one surprise counts at most. */
const SURPRISE_CLIP = 4;
/** Variance of surprise below which a position says nothing: one token has nearly all of the probability. */
const VARIANCE_MIN = 1e-6;

/** One position; positive where the token was likelier than a draw from the scorer's law, as under a lower temperature. */
export interface SeedlessTerm {
  /** Randomised probability integral transform, 1 - 2u: share of the law below the token less the share above it. -1 to 1. */
  readonly rank: number;
  /** Standardised surprise, clipped at 4 standard deviations, less its own mean; over 8. -1 to 1. */
  readonly surprise: number;
}

/**
 * Both tests' values at one position; each has mean 0 if the token was drawn from the scorer's law, whatever came before.
 *
 * Where everything kept is listed the law is known, and so are the exact mean and variance of the surprise. Elsewhere the law
 * is known through the scorer's own draw z alone: y and z are then exchangeable, so that the sign of the difference of their logits (u
 * randomised by our noise), and the difference itself, clipped, are symmetric about 0.
 */
export function seedlessTerm(evidence: TokenEvidence, { temperature }: Pick<Sampling, 'temperature'>): SeedlessTerm {
  const { top, keptCount, chosenLogit } = evidence;
  if (keptCount === top.length) return listedTerm(evidence, temperature);
  const difference = (chosenLogit - top[0]![1]) / LOGIT_SCALE / temperature;
  return { rank: Math.sign(difference), surprise: clipped(difference) / SURPRISE_CLIP };
}

function listedTerm({ top, chosenLogit }: TokenEvidence, temperature: number): SeedlessTerm {
  const highest = top.reduce((most, [, logit]) => Math.max(most, logit), chosenLogit);
  const logWeights = top.map(([, logit]) => (logit - highest) / LOGIT_SCALE / temperature);
  const total = logWeights.reduce((sum, weight) => sum + Math.exp(weight), 0);
  const law = logWeights.map((weight) => Math.exp(weight) / total);
  const own = (chosenLogit - highest) / LOGIT_SCALE / temperature;
  const rank = logWeights.reduce((sum, weight, i) => sum + law[i]! * Math.sign(own - weight), 0);
  const mean = logWeights.reduce((sum, weight, i) => sum + law[i]! * weight, 0);
  const variance = logWeights.reduce((sum, weight, i) => sum + law[i]! * (weight - mean) ** 2, 0);
  if (variance < VARIANCE_MIN) return { rank, surprise: 0 };
  const standard = (weight: number) => clipped((weight - mean) / Math.sqrt(variance));
  const centre = logWeights.reduce((sum, weight, i) => sum + law[i]! * standard(weight), 0);
  return { rank, surprise: (standard(own) - centre) / (2 * SURPRISE_CLIP) };
}

function clipped(value: number): number {
  return Math.min(SURPRISE_CLIP, Math.max(-SURPRISE_CLIP, value));
}

/**
 * How far the mean of a term may be from 0 for an honest generator of another class. Laws whose log odds differ by tie / T
 * at most are at most tanh(tie / 2T) apart in total variation, and values in [-1, 1] then differ by at most twice that.
 */
export function seedlessDrift({ tie }: Pick<DifferenceBounds, 'tie'>, { temperature }: Pick<Sampling, 'temperature'>) {
  return 2 * Math.tanh(tie / (2 * temperature));
}
