/** From paired evidence of two engines to the calibration of their classes (spec-judge.md §7.2). Pure. */
import { type PairCalibration, type Survival, TIE_MAX, type Tolerances } from './calibration.ts';
import {
  EVIDENCE_TOP_MAX,
  LOGIT_Q16_MIN,
  LOGIT_SCALE,
  MARGIN_CLIP,
  type NoiseContext,
  type TokenEvidence,
} from './evidence.ts';
import { type Cluster, rateUpperBound } from './rate-bound.ts';
import { perturbedScore } from './sampler.ts';

/** Two engines at one position of one transcript; all values in logits. */
export interface PositionDifference {
  /** Largest less smallest difference (generator - scorer) of the tokens that either lists. */
  readonly range: number;
  /** The scorer's distance between its two best scores; infinite where it kept one token. */
  readonly nearest: number;
  /** How far the last kept logit moved against the claimed token's; null where nothing was cut off, or not the same number. */
  readonly border: number | null;
}

/** Positions whose two best scores are closer than this are near-ties: a quarter of the clip. */
export const NEAR_GAP = MARGIN_CLIP / 4;
/**
 * Gaps at which rates are bounded, fixed before anything is measured: 2^-13 (eight units of evidence) to `NEAR_GAP`, the
 * coarser the smaller, since an expected margin weighs a bound with the gap. Beyond the last one its bound holds.
 */
const GAPS = [-13, -11, -9, -7, -6, -5, -4, -3].map((power) => shortened(2 ** power));
/**
 * Shares of the error (Bonferroni: they sum to 1). Of positions that are no near-ties an expected margin reads the bound of
 * the last gap alone, since every other token is farther behind than that: it has half, and is 27% lower than with equal shares.
 */
export const ERROR_SHARES = Object.freeze({
  near: GAPS.map(() => 1 / 4 / GAPS.length),
  apart: GAPS.map((gap) => (gap === NEAR_GAP ? 1 / 2 : 1 / 4 / (GAPS.length - 1))),
});
const QUANTILES = [0.5, 0.9, 0.99, 0.999, 0.9999, 1];
/** What may still come that was not seen: a quarter more than the largest. */
const HEADROOM = 1.25;
/** Below this nothing is gained: 0.01 of 65,536 steps, a fiftieth of the clip. It leaves 200 times what fp32 engines differ by. */
const TIE_MIN = 0.01;
const REJECT_TIES = 5;
/** A third of the mean that int4 weights make on minnow-5m (3.2), 27 times what fp16 makes at most. */
const GROSS_MIN = 1;
const GROSS_TIES = 10;
/** Figures that steps of tolerances are rounded up to. */
const FIGURES = [1, 1.5, 2, 3, 5, 7, 10];

/**
 * Compares two engines' evidence for one token. Noise depends on seed, position and token alone, so that it cancels.
 * A token that only one side lists scored at most as much as the last listed one on the other side, which bounds its
 * difference from one side; the range so counted is never less than the scorer's margin for the generator's token.
 */
export function positionDifference(own: TokenEvidence, scored: TokenEvidence, noise: NoiseContext): PositionDifference {
  const theirs = new Map(scored.top).set(scored.chosen, scored.chosenLogit);
  const mine = new Map(own.top);
  const score = (id: number, logit: number) =>
    perturbedScore(logit / LOGIT_SCALE, noise.temperature, noise.seed, noise.position, id);
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  const seen = (difference: number) => {
    low = Math.min(low, difference);
    high = Math.max(high, difference);
  };
  for (const [id, logit] of mine) {
    const other = theirs.get(id);
    if (other !== undefined) seen((logit - other) / LOGIT_SCALE);
    else if (isCutByRank(scored)) high = Math.max(high, score(id, logit) - lastScore(scored, score));
  }
  for (const [id, logit] of scored.top) {
    if (!mine.has(id) && isCutByRank(own)) low = Math.min(low, lastScore(own, score) - score(id, logit));
  }
  const [first, second] = scored.top;
  const nearest = second ? score(...first!) - score(...second) : Number.POSITIVE_INFINITY;
  return { range: high > low ? high - low : 0, nearest, border: borderDifference(own, scored) };
}

/** Whether what is not listed was kept and scored less, rather than cut off by top-k or top-p. */
function isCutByRank({ top, lastKeptLogit }: TokenEvidence): boolean {
  return top.length === EVIDENCE_TOP_MAX && lastKeptLogit === LOGIT_Q16_MIN;
}

function lastScore({ top }: TokenEvidence, score: (id: number, logit: number) => number): number {
  return score(...top[top.length - 1]!);
}

function borderDifference(own: TokenEvidence, scored: TokenEvidence): number | null {
  if (own.lastKeptLogit === LOGIT_Q16_MIN || own.keptCount !== scored.keptCount) return null;
  return Math.abs(own.lastKeptLogit - own.chosenLogit - (scored.lastKeptLogit - scored.chosenLogit)) / LOGIT_SCALE;
}

/** What was compared. */
export interface PairMeasurement {
  readonly generator: string;
  readonly scorer: string;
  /** One entry a response: its positions. Responses must be independent of each other. */
  readonly units: readonly (readonly PositionDifference[])[];
}

/**
 * The calibration of a pair.
 * @param delta probability that any bound is wrong, divided among all gaps of both strata by `ERROR_SHARES`
 * @returns null where the classes are too far apart to be judged against one another, or nothing was measured
 */
export function measurePair({ generator, scorer, units }: PairMeasurement, delta: number): PairCalibration | null {
  const ranges = Float64Array.from(units.flatMap((unit) => unit.map(({ range }) => range))).sort();
  const largest = ranges[ranges.length - 1];
  if (largest === undefined) return null;
  const borders = units.flatMap((unit) => unit.flatMap(({ border }) => border ?? []));
  const borderLargest = borders.length === 0 ? null : borders.reduce((most, border) => Math.max(most, border), 0);
  const tolerances = tolerancesFor(largest, borderLargest ?? 0);
  if (tolerances.tie > TIE_MAX) return null;
  const stratum = (shares: readonly number[], isIn: (position: PositionDifference) => boolean) => {
    const inside = units.map((unit) => unit.filter(isIn)).filter((unit) => unit.length > 0);
    const positions = inside.reduce((sum, unit) => sum + unit.length, 0);
    const survival = survivalOf(
      inside,
      shares.map((share) => share * delta),
    );
    return { positions, units: inside.length, survival };
  };
  return {
    generator,
    scorer,
    ...tolerances,
    delta,
    nearGap: NEAR_GAP,
    near: stratum(ERROR_SHARES.near, ({ nearest }) => nearest <= NEAR_GAP),
    apart: stratum(ERROR_SHARES.apart, ({ nearest }) => nearest > NEAR_GAP),
    quantiles: QUANTILES.map((share) => ({ share, range: shortened(ranges[Math.ceil(share * ranges.length) - 1]!) })),
    designEffect: shortened(designEffect(units)),
    borderLargest: borderLargest === null ? null : shortened(borderLargest),
  };
}

/** Of measurements of one class pair by engines that run it differently (threads, batches) the widest of everything. */
export function widestOf(variants: readonly PairCalibration[]): PairCalibration {
  return variants.reduce(wider);
}

function wider(a: PairCalibration, b: PairCalibration): PairCalibration {
  const borders = [a.borderLargest, b.borderLargest].flatMap((border) => border ?? []);
  return {
    ...a,
    tie: Math.max(a.tie, b.tie),
    border: Math.max(a.border, b.border),
    reject: Math.max(a.reject, b.reject),
    gross: Math.max(a.gross, b.gross),
    // Each variant's bounds hold but for its own delta.
    delta: Math.min(0.5, shortened(a.delta + b.delta)),
    near: widestMeasured(a.near, b.near),
    apart: widestMeasured(a.apart, b.apart),
    quantiles: a.quantiles.map((item, at) => ({ ...item, range: Math.max(item.range, b.quantiles[at]!.range) })),
    designEffect: Math.max(a.designEffect, b.designEffect),
    borderLargest: borders.length === 0 ? null : Math.max(...borders),
  };
}

type Measured = PairCalibration['near'];

/** Both have the same gaps. Positions and responses are those of the smaller measurement. */
function widestMeasured(a: Measured, b: Measured): Measured {
  return {
    positions: Math.min(a.positions, b.positions),
    units: Math.min(a.units, b.units),
    survival: a.survival.map((step, at) => ({ ...step, upper: Math.max(step.upper, b.survival[at]!.upper) })),
  };
}

/** Tolerances by the largest differences that honest engines showed, in logits. */
export function tolerancesFor(largestRange: number, largestBorder: number): Tolerances {
  const tie = Math.max(TIE_MIN, roundedUp(HEADROOM * largestRange));
  const border = Math.max(tie, roundedUp(HEADROOM * largestBorder));
  return { tie, border, reject: shortened(REJECT_TIES * tie), gross: Math.max(GROSS_MIN, shortened(GROSS_TIES * tie)) };
}

/** Bounds at all gaps, each with its error. What is above a larger gap is above a smaller one, so that bounds never ascend. */
function survivalOf(units: readonly (readonly PositionDifference[])[], deltas: readonly number[]): Survival {
  const bounds = GAPS.map((gap, at) => {
    const clusters: Cluster[] = units.map((unit) => ({
      events: unit.reduce((sum, { range }) => sum + (range > gap ? 1 : 0), 0),
      positions: unit.length,
    }));
    return rateUpperBound(clusters, deltas[at]!);
  });
  return GAPS.map((gap, at) => ({ gap, upper: upwards(Math.min(...bounds.slice(0, at + 1))) }));
}

/** Variance of the mean range if responses are the units, over that if positions were (linearised ratio; Kish 1965, section 5.4). */
export function designEffect(units: readonly (readonly Pick<PositionDifference, 'range'>[])[]): number {
  const all = units.flat();
  const mean = all.reduce((sum, { range }) => sum + range, 0) / all.length;
  const single = all.reduce((sum, { range }) => sum + (range - mean) ** 2, 0);
  const clustered = units.reduce(
    (sum, unit) => sum + unit.reduce((total, { range }) => total + (range - mean), 0) ** 2,
    0,
  );
  return single === 0 ? 1 : clustered / single;
}

function roundedUp(value: number): number {
  if (value === 0) return 0;
  const unit = 10 ** Math.floor(Math.log10(value));
  return shortened(FIGURES.find((figure) => figure * unit >= value)! * unit);
}

/** Six figures: what a file carries. */
function shortened(value: number): number {
  return Number(value.toPrecision(6));
}

/** Six figures, never less than the value. */
function upwards(value: number): number {
  const short = shortened(value);
  return short >= value
    ? short
    : Math.min(1, Number((short + 10 ** (Math.floor(Math.log10(value)) - 5)).toPrecision(6)));
}
