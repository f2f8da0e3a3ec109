/** What a provider says about one sampled token, its byte encoding and its limits (SPEC.md, "Evidence"). */

import { z } from 'zod';
import { gumbelNoise } from './philox.ts';
import type { Sampling } from './sampling.ts';
import { TOKEN_ID_MAX } from './sampling.ts';

/** How many of the best tokens the evidence of one position holds at most. */
export const EVIDENCE_TOP_MAX = 8;
/** One logit unit is 2^-16. */
export const LOGIT_SCALE = 2 ** 16;
/** Smallest logit that evidence can hold; also `lastKeptLogit` when nothing was cut off. */
export const LOGIT_Q16_MIN = -(2 ** 31);
/** Largest logit that evidence can hold. */
export const LOGIT_Q16_MAX = 2 ** 31 - 1;
/** Cumulative probability 1, which is also what an unrestricted position carries. */
export const MASS_Q32_ONE = 2 ** 32 - 1;
/** Distance in 2^-16 that stands for "no other token was kept", and where larger distances saturate. */
export const GAP_Q16_MAX = 2 ** 32 - 1;
/** Default clip of margins, in logits (DESIGN section 7). */
export const MARGIN_CLIP = 0.5;
/** One unit of 2^-16: how far recomputed scores may be out of order, for libraries whose logarithms differ. */
const ORDER_SLACK = 2 ** -16;
/** How far recomputed probabilities may be off; float64 sums over 2^20 tokens stay far below. */
const MASS_SLACK = 1e-6;
/** Bytes of the fixed part of one encoded position: 4 + 4 + 4 + 4 + 4 + 4 + 1. */
const EVIDENCE_HEAD_BYTES = 25;
/** Bytes of one (id, logit) pair. */
const EVIDENCE_PAIR_BYTES = 8;

/** Evidence of one output position; all logits are int32 in units of 2^-16, after penalties and bias. */
export interface TokenEvidence {
  /** The token of the transcript; in a scorer's evidence the claimed token. */
  readonly chosen: number;
  readonly chosenLogit: number;
  /** How many tokens top-k and top-p kept; the vocabulary size where neither restricts. */
  readonly keptCount: number;
  /** Smallest kept logit; `LOGIT_Q16_MIN` where neither restricts. */
  readonly lastKeptLogit: number;
  /**
   * Probability of the kept tokens among all, or among what top-k kept where top-p restricts as well, floor(p * (2^32 - 1));
   * `MASS_Q32_ONE` where neither restricts.
   */
  readonly massQ32: number;
  /** Best kept tokens by perturbed score (at temperature 0: by logit), best first, lower id first on ties. */
  readonly top: readonly (readonly [id: number, logit: number])[];
}

/** The form that reveals carry: the runner-up's id and its distance from the chosen token in 2^-16, saturating. */
export type ShortEvidence = readonly [runnerUpId: number, gapQ16: number];

const uint32Schema = z.int().min(0).max(TOKEN_ID_MAX);
const logitSchema = z.int().min(LOGIT_Q16_MIN).max(LOGIT_Q16_MAX);

/** Parses the evidence of one position from the wire; its meaning is checked by `evidenceConsistent`. */
export const tokenEvidenceSchema: z.ZodType<TokenEvidence> = z.strictObject({
  chosen: uint32Schema,
  chosenLogit: logitSchema,
  keptCount: uint32Schema.min(1),
  lastKeptLogit: logitSchema,
  massQ32: uint32Schema,
  top: z
    .array(z.tuple([uint32Schema, logitSchema]))
    .min(1)
    .max(EVIDENCE_TOP_MAX),
});

/** Parses one position's short evidence. */
export const shortEvidenceSchema: z.ZodType<ShortEvidence> = z.tuple([uint32Schema, uint32Schema]);

/**
 * Bytes that a transcript commits to for one position: position u32, chosen u32, chosenLogit i32, keptCount u32,
 * lastKeptLogit i32, massQ32 u32, n u8, n times (id u32, logit i32), all big endian.
 * @param position 0-based index of the output token, below 2^32.
 */
export function encodeEvidence(position: number, evidence: TokenEvidence): Uint8Array {
  const bytes = new Uint8Array(EVIDENCE_HEAD_BYTES + EVIDENCE_PAIR_BYTES * evidence.top.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, position);
  view.setUint32(4, evidence.chosen);
  view.setInt32(8, evidence.chosenLogit);
  view.setUint32(12, evidence.keptCount);
  view.setInt32(16, evidence.lastKeptLogit);
  view.setUint32(20, evidence.massQ32);
  view.setUint8(24, evidence.top.length);
  evidence.top.forEach(([id, logit], index) => {
    const at = EVIDENCE_HEAD_BYTES + EVIDENCE_PAIR_BYTES * index;
    view.setUint32(at, id);
    view.setInt32(at + 4, logit);
  });
  return bytes;
}

/**
 * Reads what `encodeEvidence` wrote, for files of one's own: lengths are trusted.
 * @param at where the position begins
 * @returns the evidence, and where the next position begins
 * @throws RangeError where the bytes end too early
 */
export function decodeEvidence(bytes: Uint8Array, at: number): { evidence: TokenEvidence; end: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at);
  const first = EVIDENCE_HEAD_BYTES;
  const top = Array.from({ length: view.getUint8(24) }, (_, index): readonly [number, number] => [
    view.getUint32(first + EVIDENCE_PAIR_BYTES * index),
    view.getInt32(first + EVIDENCE_PAIR_BYTES * index + 4),
  ]);
  const evidence: TokenEvidence = {
    chosen: view.getUint32(4),
    chosenLogit: view.getInt32(8),
    keptCount: view.getUint32(12),
    lastKeptLogit: view.getInt32(16),
    massQ32: view.getUint32(20),
    top,
  };
  return { evidence, end: at + first + EVIDENCE_PAIR_BYTES * top.length };
}

/**
 * A logit in units of 2^-16: halves round up, the result is clamped to int32, NaN counts as the minimum.
 * @param logit natural-log units.
 */
export function quantiseLogit(logit: number): number {
  const scaled = Math.floor(logit * LOGIT_SCALE + 0.5);
  if (scaled >= LOGIT_Q16_MAX) return LOGIT_Q16_MAX;
  // This way round the comparison also catches NaN, which Math.max would not.
  if (scaled > LOGIT_Q16_MIN) return scaled;
  return LOGIT_Q16_MIN;
}

/** What the noise of one position depends on. */
export interface NoiseContext {
  readonly temperature: number;
  /** uint64, or int64 in two's complement. */
  readonly seed: bigint;
  /** 0-based index of the output token. */
  readonly position: number;
}

/** Perturbed score of a rounded logit, in logits. */
function scoreOf(logitQ16: number, id: number, { temperature, seed, position }: NoiseContext): number {
  const logit = logitQ16 / LOGIT_SCALE;
  return temperature === 0 ? logit : logit + temperature * gumbelNoise(seed, position, id);
}

/** The short form of one position: the best other token, and how far it stayed behind (rounded, saturating). */
export function shortEvidence(evidence: TokenEvidence, noise: NoiseContext): ShortEvidence {
  const runnerUp = evidence.top.find(([id]) => id !== evidence.chosen);
  if (runnerUp === undefined) return [evidence.chosen, GAP_Q16_MAX];
  const [id, logit] = runnerUp;
  const gap = scoreOf(evidence.chosenLogit, evidence.chosen, noise) - scoreOf(logit, id, noise);
  return [id, Math.min(GAP_Q16_MAX, Math.max(0, Math.round(gap * LOGIT_SCALE)))];
}

/** How a scorer's margin is taken; both values in logits. */
export interface MarginOptions extends NoiseContext {
  /** How far the restriction's border may honestly lie elsewhere (calibrated per class pair), at least 0. */
  readonly borderTolerance: number;
  /** Largest value that one token counts; `MARGIN_CLIP` by default. */
  readonly clip?: number;
}

/**
 * How far a claimed token is from the one that the scorer would have taken.
 *
 * Shrinking the support can only lower the best score, so the smaller margin is always that of the shrunk support;
 * growing it decides whether the claimed token is allowed at all. Where none of the listed tokens is in the shrunk
 * support, nothing is known to beat the claim, and the margin is 0.
 * @param evidence the scorer's own, with the claimed token as `chosen`.
 * @returns a margin in logits, 0 to clip; `atClip` also for a token outside the grown support.
 */
export function margin(evidence: TokenEvidence, options: MarginOptions): { margin: number; atClip: boolean } {
  const { borderTolerance, clip = MARGIN_CLIP } = options;
  const border = evidence.lastKeptLogit / LOGIT_SCALE;
  const restricted = evidence.lastKeptLogit !== LOGIT_Q16_MIN;
  if (restricted && evidence.chosenLogit / LOGIT_SCALE < border - borderTolerance)
    return { margin: clip, atClip: true };
  const claimed = scoreOf(evidence.chosenLogit, evidence.chosen, options);
  let best = claimed;
  for (const [id, logit] of evidence.top) {
    if (restricted && logit / LOGIT_SCALE < border + borderTolerance) continue;
    best = Math.max(best, scoreOf(logit, id, options));
  }
  const distance = best - claimed;
  return distance >= clip ? { margin: clip, atClip: true } : { margin: distance, atClip: false };
}

/** Why evidence contradicts itself; a closed list. */
export type EvidenceContradiction =
  | 'wrong_top_count'
  | 'duplicate_token'
  | 'wrong_order'
  | 'chosen_not_best'
  | 'wrong_kept_count'
  | 'wrong_border'
  | 'wrong_mass';

/** Outcome of `evidenceConsistent`. */
export type EvidenceCheck = { readonly ok: true } | { readonly ok: false; readonly reason: EvidenceContradiction };

/** What a judge knows about a position besides the evidence. */
export interface EvidenceContext {
  readonly sampling: Sampling;
  readonly seed: bigint;
  readonly position: number;
  /** Size of the model's vocabulary. */
  readonly vocabSize: number;
}

/**
 * Whether a generator's evidence is what an honest run of the sampler could have produced from some logits.
 * It says nothing about the logits themselves. Not for a scorer's evidence, whose `chosen` is somebody else's token.
 */
export function evidenceConsistent(evidence: TokenEvidence, context: EvidenceContext): EvidenceCheck {
  const reason = topContradiction(evidence, context) ?? supportContradiction(evidence, context);
  return reason === undefined ? { ok: true } : { ok: false, reason };
}

function topContradiction(
  { chosen, chosenLogit, keptCount, top }: TokenEvidence,
  { sampling, seed, position, vocabSize }: EvidenceContext,
): EvidenceContradiction | undefined {
  if (top.length === 0 || top.length !== Math.min(EVIDENCE_TOP_MAX, keptCount)) return 'wrong_top_count';
  if (new Set(top.map(([id]) => id)).size !== top.length || top.some(([id]) => id >= vocabSize)) {
    return 'duplicate_token';
  }
  const noise = { temperature: sampling.temperature, seed, position };
  const scores = top.map(([id, logit]) => scoreOf(logit, id, noise));
  for (let at = 1; at < top.length; at++) {
    if (scores[at]! > scores[at - 1]! + (noise.temperature === 0 ? 0 : ORDER_SLACK)) return 'wrong_order';
    if (scores[at] === scores[at - 1] && top[at]![0] < top[at - 1]![0]) return 'wrong_order';
  }
  return top[0]![0] === chosen && top[0]![1] === chosenLogit ? undefined : 'chosen_not_best';
}

function supportContradiction(
  { keptCount, lastKeptLogit, massQ32, top }: TokenEvidence,
  { sampling, vocabSize }: EvidenceContext,
): EvidenceContradiction | undefined {
  const { temperature, topK, topP } = sampling;
  if (temperature === 0 || (topK === 0 && topP === 1)) {
    if (keptCount !== vocabSize) return 'wrong_kept_count';
    if (lastKeptLogit !== LOGIT_Q16_MIN) return 'wrong_border';
    return massQ32 === MASS_Q32_ONE ? undefined : 'wrong_mass';
  }
  const mostKept = topK === 0 ? vocabSize : Math.min(topK, vocabSize);
  if (keptCount > mostKept || (topP === 1 && keptCount !== mostKept)) return 'wrong_kept_count';
  const lowest = Math.min(...top.map(([, logit]) => logit));
  if (lowest < lastKeptLogit || (keptCount === top.length && lowest !== lastKeptLogit)) return 'wrong_border';
  const mass = massQ32 / MASS_Q32_ONE;
  if (keptCount === vocabSize && massQ32 !== MASS_Q32_ONE) return 'wrong_mass';
  if (topP < 1) {
    if (topK > 0 && keptCount === mostKept && massQ32 !== MASS_Q32_ONE) return 'wrong_mass';
    if (mass < topP - MASS_SLACK) return 'wrong_mass';
    // Without its last token the support must not have reached top-p. The last token has at most this share of it:
    // the listed tokens weigh what their logits say, the others at least as much as the last.
    const weights = top.map(([, logit]) => Math.exp((logit - lastKeptLogit) / LOGIT_SCALE / temperature));
    const known = weights.reduce((sum, weight) => sum + weight, keptCount - top.length);
    if (keptCount > 1 && mass * (1 - 1 / known) >= topP + MASS_SLACK) return 'wrong_mass';
  }
  return undefined;
}
