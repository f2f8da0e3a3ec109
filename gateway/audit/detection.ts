/** What cheats save and how many audits convict them: the measured side of the audit rate (spec-money.md §11.11). Pure. */
import { z } from 'zod';
import { PPM } from '#protocol/log';
import { PENALTY_BPS, type ProviderFault } from '../ledger/penalties.ts';

/** One way to cheat. */
export interface CheatFigures {
  readonly cheat: string;
  /** Share of its requests that the provider cheats on, in millionths, at least 1. */
  readonly fractionPpm: number;
  /** What it saves on a request that it cheats on, in millionths of what the answer costs. */
  readonly savedPpm: number;
  /** What it is convicted of, which decides the penalty. */
  readonly fault: ProviderFault;
  /**
   * Audits by honest auditors until it is convicted, on average, in thousandths: of all its audited answers, those that it did
   * not cheat on included. Where each audit of a cheated answer convicts with probability d, that is 1000 / (d · fraction).
   */
  readonly auditsMilli: number;
}

/** A table of cheats, and where its figures come from. */
export interface DetectionTable {
  /** Where the figures were measured or published. */
  readonly source: string;
  /** Day of the measurement, YYYY-MM-DD. */
  readonly date: string;
  readonly cheats: readonly CheatFigures[];
}

/** Most cheats of a table: the laboratory has some 20, at some fractions each. */
const CHEATS_MAX = 256;
/** Most audits of one conviction, in thousandths: a million audits; what takes more is no detection. */
const AUDITS_MILLI_MAX = 1_000_000_000;
const FAULTS = Object.keys(PENALTY_BPS) as ProviderFault[];

const zCheat: z.ZodType<CheatFigures> = z.strictObject({
  cheat: z.string().regex(/^[a-z0-9_]{1,64}$/),
  fractionPpm: z.int().min(1).max(PPM),
  savedPpm: z.int().min(0).max(PPM),
  fault: z.enum(FAULTS).refine((fault) => PENALTY_BPS[fault] > 0n, 'a fault without a penalty deters nobody'),
  // A conviction takes at least one audit.
  auditsMilli: z.int().min(1000).max(AUDITS_MILLI_MAX),
});

/** A table as it comes from a file. */
export const zDetectionTable: z.ZodType<DetectionTable> = z.strictObject({
  source: z.string().min(1).max(512),
  date: z.iso.date(),
  cheats: z.array(zCheat).min(1).max(CHEATS_MAX),
});

/**
 * Until the laboratory's own figures are there: published ones, taken on the side of the cheat.
 * - No cheat saves more than nine tenths of the cost: the prompt is read, and something has to be answered (networks reference: g = 0.9 C).
 * - `gross`: another model, an answer from a cache, a cut prompt, an early stop: one audit convicts (spec-judge.md §7.6) with d = 0.9, the
 *   power that is published for one response: 1000 / 0.9 = 1112 thousandths of an audit.
 * - `int4`: 300 tokens (2511.20621); an audited answer counts by its first blocks, some 8 short tokens at the worst: 300 / 8 = 38 answers.
 *   A quarter of the bytes of fp16 are read for a token: it saves half at most, the rest is not weights.
 * - `int8`: 6,200 tokens, the largest published figure; / 32 of a block = 194 answers. It saves three tenths at most.
 */
export const DEFAULT_DETECTION: DetectionTable = Object.freeze({
  source: 'published figures, on the side of the cheat; no measurement of this judge',
  date: '2026-11-26',
  cheats: [
    { cheat: 'gross', fractionPpm: PPM, savedPpm: 900_000, fault: 'wrong_output', auditsMilli: 1_112 },
    { cheat: 'int4', fractionPpm: PPM, savedPpm: 500_000, fault: 'model_substitution', auditsMilli: 38_000 },
    { cheat: 'int8', fractionPpm: PPM, savedPpm: 300_000, fault: 'model_substitution', auditsMilli: 194_000 },
  ],
} as const);
