/** What a provider says about one sampled token, its byte encoding and its limits (SPEC.md, "Evidence"). */

import { z } from 'zod';
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
  /** Probability of the kept tokens among all, floor(p * (2^32 - 1)); `MASS_Q32_ONE` where neither restricts. */
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
 * A logit in units of 2^-16: halves round up (`Math.round`), the result is clamped to int32, NaN counts as the minimum.
 * @param logit natural-log units.
 */
export function quantiseLogit(logit: number): number {
  const scaled = Math.round(logit * LOGIT_SCALE);
  if (scaled >= LOGIT_Q16_MAX) return LOGIT_Q16_MAX;
  // The negated comparison also catches NaN; adding 0 turns -0 into 0.
  return scaled > LOGIT_Q16_MIN ? scaled + 0 : LOGIT_Q16_MIN;
}
