/** First divergence of two transcripts: an honest near-tie, or somebody is wrong (spec-judge.md §7.3; DESIGN §7). Pure. */
import type { Tolerances } from '#protocol/calibration';
import { LOGIT_SCALE, type TokenEvidence } from '#protocol/evidence';
import { perturbedScore } from '#protocol/sampler';
import type { Sampling } from '#protocol/sampling';

/** First position at which two token lists differ (the shorter one's length where it is a prefix), or null. */
export function firstDivergence(a: readonly number[], b: readonly number[]): number | null {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) if (a[i] !== b[i]) return i;
  return a.length === b.length ? null : shared;
}

/** One side at the divergence: the token it took, and the evidence it had committed there. */
export interface DivergenceSide {
  readonly token: number;
  readonly evidence: TokenEvidence;
}

/** Where the divergence is, and the noise that both sides had to use. */
export interface DivergencePlace {
  readonly position: number;
  readonly seed: bigint;
  readonly sampling: Sampling;
}

/**
 * `tie`: by its own evidence each side holds the other's token within tolerance of its own choice.
 * `parted`: at least one side does not. `uncalibrated`: nothing can be said about this class pair.
 */
export type Divergence = 'tie' | 'parted' | 'uncalibrated';

export function judgeDivergence(
  a: DivergenceSide,
  b: DivergenceSide,
  place: DivergencePlace,
  tolerances: Tolerances | null,
): Divergence {
  if (tolerances === null) return 'uncalibrated';
  return holds(a, b.token, place, tolerances) && holds(b, a.token, place, tolerances) ? 'tie' : 'parted';
}

/** Whether `side` would have taken `other` instead of its own token after a change of at most the tie tolerance. */
function holds(side: DivergenceSide, other: number, place: DivergencePlace, tolerances: Tolerances): boolean {
  const { evidence } = side;
  if (evidence.chosen !== side.token) return false;
  const listed = evidence.top.find(([id]) => id === other);
  if (listed === undefined) return false;
  const score = (id: number, logit: number) =>
    perturbedScore(logit / LOGIT_SCALE, place.sampling.temperature, place.seed, place.position, id);
  return score(evidence.chosen, evidence.chosenLogit) - score(other, listed[1]) <= tolerances.tie;
}
