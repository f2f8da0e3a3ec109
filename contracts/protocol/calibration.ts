/** How far two honest engines of one model differ, as measured: the file, its hash, and what judges read from it (spec-judge.md §7.2). Pure. */
import { z } from 'zod';
import { canonicalJson } from './canonical.ts';
import { type Hash, taggedHash, toHex, utf8 } from './hash.ts';
import { safeParse, zHash, zText } from './schema.ts';
import { TAGS } from './version.ts';

/** Tolerances of a class pair, all in logits. */
export interface Tolerances {
  /** Largest honest gap between the two best tokens at which two engines may choose differently. */
  readonly tie: number;
  /** How far the logit at the border of top-k or top-p may honestly move. */
  readonly border: number;
  /** Margin from which on no honest run took the token: the scorer rejects. Between tie and this it abstains. */
  readonly reject: number;
  /** A logit of one token that is off by more than this was not computed by the claimed model. */
  readonly gross: number;
}

/**
 * Classes that are farther apart than half the clip of margins cannot be judged against one another: honest tokens would
 * reach the clip, where tokens of any other model are.
 */
export const TIE_MAX = 0.25;
/** Gaps of one table: half octaves from 2^-15 to 2^-1 are 29. */
const GAPS_MAX = 64;
/** Class pairs of one model: 32 classes against one another. */
const PAIRS_MAX = 1024;
const TEXT_MAX = 256;
const COMMAND_MAX = 2048;

const zLogits = z.number().min(0).max(1024);
const zShare = z.number().min(0).max(1);
const zCount = z.int().min(0).max(1e12);

/** Upper bounds of P(range > gap); the bound of the largest gap holds for everything beyond it. */
const zSurvival = z
  .array(z.strictObject({ gap: zLogits, upper: zShare }))
  .min(1)
  .max(GAPS_MAX)
  .refine(
    (steps) =>
      steps.every((step, at) => at === 0 || (step.gap > steps[at - 1]!.gap && step.upper <= steps[at - 1]!.upper)),
    'gaps must ascend and bounds must not',
  );
export type Survival = z.output<typeof zSurvival>;

const zMeasured = z.strictObject({ positions: zCount, units: zCount, survival: zSurvival });

/**
 * One generator class as one scorer class sees it. With eps the generator's logit less the scorer's at a position, a
 * position's `range` is the largest less the smallest eps of the tokens that matter there: no two of them moved apart by more.
 */
const zPair = z.strictObject({
  generator: zText(TEXT_MAX),
  scorer: zText(TEXT_MAX),
  tie: zLogits.max(TIE_MAX),
  border: zLogits,
  reject: zLogits,
  gross: zLogits,
  /** Probability that any bound of this pair is wrong, over the drawing of the units. */
  delta: z.number().gt(0).max(0.5),
  /** Positions whose two best scores are at most this far apart, by the scorer, are counted by themselves: prompts can be chosen for them. */
  nearGap: zLogits,
  near: zMeasured,
  apart: zMeasured,
  /** Quantiles of the range over all positions, as measured; the last is the largest. */
  quantiles: z
    .array(z.strictObject({ share: zShare, range: zLogits }))
    .min(1)
    .max(32),
  /** Variance of the mean range with whole responses as units, over that with single positions. */
  designEffect: z.number().min(0).max(1e9),
  /** Largest difference between the two at the last token that top-k kept; null where nothing was restricted. */
  borderLargest: zLogits.nullable(),
});
export type PairCalibration = z.output<typeof zPair>;

/** A model's calibration file. */
export const zCalibration = z.strictObject({
  version: z.literal(1),
  model: zText(TEXT_MAX),
  modelDigest: zHash,
  /** What is independent of what: one response to one prompt. Positions of one response are not. */
  unit: z.literal('response'),
  pairs: z.array(zPair).max(PAIRS_MAX),
  provenance: z.strictObject({
    date: z.iso.date(),
    machine: zText(TEXT_MAX),
    runtime: zText(TEXT_MAX),
    /** How the bounds are made. */
    method: zText(COMMAND_MAX),
    command: zText(COMMAND_MAX),
    /** SHA-256 over all prompts, with their seeds and sampling, in order. */
    promptsHash: zHash,
    /** Prompts by where they come from. */
    prompts: z.record(z.string().max(64), zCount),
    tokensPerResponse: zCount,
  }),
});
export type Calibration = z.output<typeof zCalibration>;

/** Reads a calibration file's value; null where it is none. */
export function parseCalibration(value: unknown): Calibration | null {
  const parsed = safeParse(zCalibration, value);
  return parsed.success ? parsed.data : null;
}

/** H(assay/calibration/1, RFC 8785 form): what a dispute is judged by is named by it. */
export function calibrationHash(calibration: Calibration): Hash {
  return toHex(taggedHash(TAGS.calibration, utf8(canonicalJson(calibration))));
}

/** A calibration under the name that bundles carry. */
export interface KnownCalibration {
  readonly hash: Hash;
  readonly calibration: Calibration;
}

export function known(calibration: Calibration): KnownCalibration {
  return { hash: calibrationHash(calibration), calibration };
}

/** The measurement of this generator by this scorer; null where there is none, and then nothing may be concluded. */
export function pairOf(calibration: Calibration | null, generator: string, scorer: string): PairCalibration | null {
  return calibration?.pairs.find((pair) => pair.generator === generator && pair.scorer === scorer) ?? null;
}

/**
 * Upper bound of the probability that two tokens moved apart by more than `gap` between generator and scorer.
 * An honest generator takes a token that is `gap` behind in the scorer's eyes only if they did. With the gaps
 * g_1 <= g_2 <= ... of the tokens behind the scorer's best, its expected margin is at most
 * sum over j of (g_j - g_(j-1)) * survivalBound(pair, g_j, g_1), with g_0 = 0 and each g_j clipped; what is left between
 * the last listed gap and the clip goes to tokens that are not listed, with the bound of the last listed gap.
 * @param gap logits
 * @param nearest the scorer's distance between its two best scores at this position, in logits
 */
export function survivalBound(pair: PairCalibration, gap: number, nearest: number): number {
  const { survival } = nearest <= pair.nearGap ? pair.near : pair.apart;
  let bound = 1;
  for (const step of survival) {
    // Not strictly behind: at the very gap the order of ids decides, and it may be against the scorer's best.
    if (step.gap >= gap) break;
    bound = step.upper;
  }
  return bound;
}
