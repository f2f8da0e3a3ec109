/**
 * What one scored token counts for, and the most that an honest generator's token counts for on average at that very
 * position (spec-judge.md §7.10). Pure.
 */
import type { Tolerances } from '#protocol/calibration';
import { LOGIT_Q16_MAX, LOGIT_Q16_MIN, LOGIT_SCALE, MARGIN_CLIP, type TokenEvidence } from '#protocol/evidence';
import { perturbedScore } from '#protocol/sampler';
import { massShift, mayBeDropped, type TokenOrder, tokenMargin } from './border.ts';

/** Upper bounds of P(range > gap), gaps ascending in logits; each holds up to the next gap, the last one for all beyond. */
export type SurvivalSteps = readonly { readonly gap: number; readonly upper: number }[];

/**
 * What the calibration of a class pair says about honest machines. A position's _range_ is the largest less the smallest
 * difference between the generator's logits and the scorer's: no two tokens moved apart by more.
 */
export interface DifferenceBounds extends Pick<Tolerances, 'tie' | 'border'> {
  /** Positions whose two best scores are closer than this, in logits, have bounds of their own. */
  readonly nearGap: number;
  readonly near: { readonly survival: SurvivalSteps };
  readonly apart: { readonly survival: SurvivalSteps };
}

/** One position, both in units of the clip. */
export interface TokenTerm {
  /** What the claimed token counts for, 0 to 1. */
  readonly observed: number;
  /** Bound of the mean of `observed` for an honest generator; no function of the claimed token. 0 to 1. */
  readonly expected: number;
  /** Distance of the scorer's two best scores, in logits; infinite where it kept one token. No function of the claimed token either. */
  readonly nearest: number;
}

/**
 * A position's term.
 *
 * `observed` is the margin of §7.4 over the clip, but 0 for a token outside the scorer's support and within its tolerance:
 * of such tokens the evidence does not say how many there are.
 *
 * `expected` bounds the mean of `observed`, given the scorer's listed logits and the noise, over the honest generator's
 * errors. Proof. Let R be the range, y its token, s the scorer's perturbed scores, and R < min(tie, border) where the support is
 * restricted. The tokens that count against y (`certain`) are then in the generator's own support, so y beat each of them
 * there: s_v - s_y <= eps_y - eps_v <= R. Hence the margin is at most R. It is m_j if y is the listed token j. If y is kept
 * and not listed, s_y is at most the last listed score, so that R >= u, the distance of the best certain token from
 * that score. So the margin is at most f(R) = max({m_j : m_j <= R}, R if R >= u), a function of R that the evidence fixes, and
 *   E min(f(R), clip) = integral over x from 0 to clip of P(f(R) > x)
 *                    <= sum over m_j < u of (m_j - m_(j-1)) P(R >= m_j) + (u - m_last) P(R >= u) + integral from u to clip of P(R > x),
 * each step clipped. Where the support is restricted, R >= min(tie, border) counts as the clip: one P(R >= tie) more.
 * The calibration bounds P(R > x) for the stratum that the scorer's own two best scores choose.
 */
export function tokenTerm(evidence: TokenEvidence, order: TokenOrder, bounds: DifferenceBounds): TokenTerm {
  const profile = profileOf(evidence, order, bounds);
  const expected = expectedOf(profile, bounds);
  return { observed: observedMargin(evidence, order, bounds), expected, nearest: profile.nearest };
}

function observedMargin(evidence: TokenEvidence, order: TokenOrder, bounds: DifferenceBounds): number {
  const { margin, atClip } = tokenMargin(evidence, order, tolerancesOf(bounds));
  const isOutside = evidence.lastKeptLogit !== LOGIT_Q16_MIN && evidence.chosenLogit < evidence.lastKeptLogit;
  if (isOutside) return atClip ? 1 : 0;
  return margin / MARGIN_CLIP;
}

/** Most that an honest token counts for on average, whatever was claimed; over the clip, 0 to 1. */
export function expectedMargin(evidence: TokenEvidence, order: TokenOrder, bounds: DifferenceBounds): number {
  return expectedOf(profileOf(evidence, order, bounds), bounds);
}

function expectedOf({ margins, unlistedFrom, nearest, isRestricted }: Profile, bounds: DifferenceBounds): number {
  const steps = (nearest <= bounds.nearGap ? bounds.near : bounds.apart).survival;
  let sum = 0;
  let reached = 0;
  for (const margin of margins) {
    const to = Math.min(margin, MARGIN_CLIP, unlistedFrom);
    if (to <= reached) continue;
    sum += (to - reached) * atLeast(steps, to);
    reached = to;
  }
  if (unlistedFrom < Number.POSITIVE_INFINITY && reached < MARGIN_CLIP) {
    const from = Math.max(reached, Math.min(unlistedFrom, MARGIN_CLIP));
    sum += (from - reached) * atLeast(steps, from) + areaOf(steps, from, MARGIN_CLIP);
  }
  const beyond = isRestricted ? atLeast(steps, Math.min(bounds.tie, bounds.border)) : 0;
  return Math.min(1, sum / MARGIN_CLIP + beyond);
}

interface Profile {
  /** Margins of the listed tokens, ascending. */
  readonly margins: readonly number[];
  /** Least range at which an honest machine takes a token that is kept and not listed; infinite where all are listed. */
  readonly unlistedFrom: number;
  /** Distance of the two best scores. */
  readonly nearest: number;
  readonly isRestricted: boolean;
}

function profileOf(evidence: TokenEvidence, order: TokenOrder, bounds: DifferenceBounds): Profile {
  return isUnrestricted(evidence) ? plainProfile(evidence, order) : restrictedProfile(evidence, order, bounds);
}

function isUnrestricted({ lastKeptLogit }: TokenEvidence): boolean {
  return lastKeptLogit === LOGIT_Q16_MIN;
}

function scoresOf({ top }: TokenEvidence, { sampling, seed, position }: TokenOrder): number[] {
  return top.map(([id, logit]) => perturbedScore(logit / LOGIT_SCALE, sampling.temperature, seed, position, id));
}

function plainProfile(evidence: TokenEvidence, order: TokenOrder): Profile {
  const scores = scoresOf(evidence, order);
  const best = scores[0]!;
  const margins = scores.map((score) => Math.max(0, best - score)).sort((a, b) => a - b);
  const isCut = evidence.keptCount > scores.length;
  return {
    margins,
    unlistedFrom: isCut ? margins[margins.length - 1]! : Number.POSITIVE_INFINITY,
    nearest: margins[1] ?? Number.POSITIVE_INFINITY,
    isRestricted: false,
  };
}

function restrictedProfile(evidence: TokenEvidence, order: TokenOrder, bounds: DifferenceBounds): Profile {
  const scores = scoresOf(evidence, order);
  const { margins, certain } = listedMargins(evidence, order, bounds, scores);
  const last = scores[scores.length - 1]!;
  const isCut = evidence.keptCount > scores.length;
  return {
    margins: [...margins].sort((a, b) => a - b),
    unlistedFrom: isCut ? Math.max(0, ...certain.map((score) => score - last)) : Number.POSITIVE_INFINITY,
    nearest: scores.length > 1 ? scores[0]! - scores[1]! : Number.POSITIVE_INFINITY,
    isRestricted: true,
  };
}

/**
 * The margins (§7.4) that listed tokens would have as claims, without clip, and the scores of those that are in every honest support
 * whichever token was taken. Whether a token is light enough to be dropped is asked once; the claim only says which may not be.
 */
export function listedMargins(
  evidence: TokenEvidence,
  order: TokenOrder,
  bounds: Pick<DifferenceBounds, 'tie' | 'border'>,
  scores: readonly number[] = scoresOf(evidence, order),
): { margins: readonly number[]; certain: readonly number[] } {
  const { top, lastKeptLogit } = evidence;
  const tolerances = tolerancesOf(bounds);
  const edge = lastKeptLogit / LOGIT_SCALE + bounds.border;
  // With the highest logit there is as the claimed one, no token is kept for being likelier than the claim.
  const highest = { ...evidence, chosenLogit: LOGIT_Q16_MAX };
  const shift = massShift(evidence, order.sampling, tolerances);
  const counts = top.map(([, logit]) => logit / LOGIT_SCALE >= edge);
  const isLight = top.map(
    ([, logit], i) => counts[i]! && order.sampling.topP < 1 && mayBeDropped(highest, logit, order, tolerances, shift),
  );
  const margins = top.map(([, claimed], j) => {
    const against = top.flatMap(([, logit], i) => {
      const isDropped = isLight[i]! && logit <= claimed + bounds.tie * LOGIT_SCALE;
      return counts[i]! && !isDropped ? [scores[i]! - scores[j]!] : [];
    });
    return Math.max(0, ...against);
  });
  return { margins, certain: scores.filter((_, i) => counts[i]! && !isLight[i]!) };
}

/** Most that min(range, clip) is on average, in logits, wherever the position is. */
export function areaBound({ near, apart }: DifferenceBounds): number {
  return Math.max(areaOf(near.survival, 0, MARGIN_CLIP), areaOf(apart.survival, 0, MARGIN_CLIP));
}

/** Margins read `tie` and `border` alone. */
function tolerancesOf({ tie, border }: Pick<DifferenceBounds, 'tie' | 'border'>): Tolerances {
  return { tie, border, reject: Number.POSITIVE_INFINITY, gross: Number.POSITIVE_INFINITY };
}

/** Bound of P(range >= gap): of the largest gap strictly below. */
function atLeast(steps: SurvivalSteps, gap: number): number {
  let bound = 1;
  for (const step of steps) {
    if (step.gap >= gap) break;
    bound = step.upper;
  }
  return bound;
}

/** Integral of the bound of P(range > x) over x. */
function areaOf(steps: SurvivalSteps, from: number, to: number): number {
  let [area, at, bound] = [0, from, 1];
  for (const { gap, upper } of steps) {
    if (gap >= to) break;
    if (gap > at) {
      area += (gap - at) * bound;
      at = gap;
    }
    bound = upper;
  }
  return area + Math.max(0, to - at) * bound;
}
