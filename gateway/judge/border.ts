/** The margin of one token, with the border of top-k and top-p moved as far as honest machines move it (spec-judge.md §7.4). Pure. */
import type { Tolerances } from '#protocol/calibration';
import { LOGIT_Q16_MIN, LOGIT_SCALE, MASS_Q32_ONE, margin, type TokenEvidence } from '#protocol/evidence';
import { perturbedScore } from '#protocol/sampler';
import type { Sampling } from '#protocol/sampling';

/** The order that a token was sampled under. */
export interface TokenOrder {
  readonly sampling: Sampling;
  /** uint64. */
  readonly seed: bigint;
  /** 0-based index of the output token. */
  readonly position: number;
}

/** Least Gumbel noise: word 0 gives -ln(-ln(2^-33)) = -ln(22.874) = -3.12999, rounded down. */
const NOISE_MIN = -3.13;
/** How much smaller a token's share may be than estimated from the listed tokens: a sample of seven is off by 2 at most. */
const ESTIMATE_SLACK = 4;

/**
 * A scorer's margin for the claimed token, the smaller over all supports that an honest machine of the other class may
 * have had. Logits move by half of `tie` at most. That moves the border of top-k by as little, but the border of top-p
 * lies where a sum of probabilities reaches p, and there the next token may be far away.
 */
export function tokenMargin(
  evidence: TokenEvidence,
  { sampling, seed, position }: TokenOrder,
  tolerances: Tolerances | null,
): { margin: number; atClip: boolean } {
  const options = { temperature: sampling.temperature, seed, position, borderTolerance: tolerances?.border ?? 0 };
  const restricted = evidence.lastKeptLogit !== LOGIT_Q16_MIN;
  if (tolerances === null || !restricted || sampling.topP === 1) return margin(evidence, options);
  const shift = massShift(evidence, sampling, tolerances);
  const border = evidence.lastKeptLogit - tolerances.border * LOGIT_SCALE;
  if (evidence.chosenLogit < border && mayHaveGrown(evidence, sampling, shift)) {
    // Outside the scorer's support and perhaps inside the member's: then it had to win against all that is listed.
    return margin({ ...evidence, lastKeptLogit: LOGIT_Q16_MIN }, options);
  }
  const order = { sampling, seed, position };
  const top = evidence.top.filter(([, logit]) => !mayBeDropped(evidence, logit, order, tolerances, shift));
  return margin({ ...evidence, top }, options);
}

/** How far the kept share M may differ: odds change by exp(±tie/T), so |ΔM| ≤ M(1 − M)(exp(tie/T) − 1). */
export function massShift({ massQ32 }: TokenEvidence, { temperature }: Sampling, { tie }: Tolerances): number {
  const mass = massQ32 / MASS_Q32_ONE;
  return Math.min(1, mass * (1 - mass) * Math.expm1(tie / temperature));
}

/** Whether the member's own sum may have fallen short of top-p where the scorer's reached it. */
function mayHaveGrown({ massQ32, keptCount }: TokenEvidence, { topK, topP }: Sampling, shift: number): boolean {
  return (topK === 0 || keptCount < topK) && massQ32 / MASS_Q32_ONE - topP <= shift;
}

/**
 * Whether the member's sum may have reached top-p before this kept token: never one that is likelier than the claimed
 * token by more than a tie, since a support is a prefix of the order of logits; and only one that is light enough.
 */
export function mayBeDropped(
  evidence: TokenEvidence,
  logit: number,
  order: TokenOrder,
  { tie }: Tolerances,
  shift: number,
): boolean {
  if (logit > evidence.chosenLogit + tie * LOGIT_SCALE) return false;
  const { temperature, topP } = order.sampling;
  const { top, keptCount, lastKeptLogit } = evidence;
  const mass = evidence.massQ32 / MASS_Q32_ONE;
  const weightOf = (other: number) => Math.exp((other - logit) / LOGIT_SCALE / temperature);
  const sumOf = (logits: readonly number[]) => logits.reduce((sum, other) => sum + weightOf(other), 0);
  const listed = top.map(([, other]) => other);
  // Where the lightest kept token is not listed, its logit is known all the same.
  const known = keptCount > top.length && !listed.includes(lastKeptLogit) ? [...listed, lastKeptLogit] : listed;
  const estimated = keptWeight(evidence, logit, order);
  // With it go all that are lighter by more than a tie: a support is a prefix of the order of logits.
  const tail = 1 + sumOf(known.filter((other) => other < logit - tie * LOGIT_SCALE));
  const most = sumOf(known) + (keptCount - known.length) * weightOf(heaviestUnlisted(evidence, order));
  const own = keptCount === top.length ? tail / estimated : Math.max(tail / estimated / ESTIMATE_SLACK, tail / most);
  return mass * own <= mass - topP + shift;
}

/** No token that is not listed has a higher logit: with the least noise that there is, its score would still be listed. */
function heaviestUnlisted({ top }: TokenEvidence, { sampling, seed, position }: TokenOrder): number {
  const [lastId, lastLogit] = top[top.length - 1]!;
  const score = perturbedScore(lastLogit / LOGIT_SCALE, sampling.temperature, seed, position, lastId);
  return (score - sampling.temperature * NOISE_MIN) * LOGIT_SCALE;
}

/**
 * Sum of all kept tokens' weights, in weights of a token with logit `unit`: exact where all are listed. Else estimated,
 * since the best by Gumbel-perturbed score are a sample without replacement, in which a token is with probability
 * 1 - exp(-exp((logit - last listed score) / T)) (Kool, van Hoof, Welling 2019, section 4.1).
 */
function keptWeight({ top, keptCount }: TokenEvidence, unit: number, { sampling, seed, position }: TokenOrder): number {
  const { temperature } = sampling;
  const weights = top.map(([, logit]) => Math.exp((logit - unit) / LOGIT_SCALE / temperature));
  const [lastId, lastLogit] = top[top.length - 1]!;
  const threshold = perturbedScore(lastLogit / LOGIT_SCALE, temperature, seed, position, lastId);
  const chances = top.map(([, logit]) => -Math.expm1(-Math.exp((logit / LOGIT_SCALE - threshold) / temperature)));
  if (keptCount === top.length) return weights.reduce((sum, weight) => sum + weight, 0);
  return weights.slice(0, -1).reduce((sum, weight, i) => sum + weight / chances[i]!, 0);
}
