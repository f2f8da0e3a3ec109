/** What cheats save and how many audits convict them: the measured side of the audit rate (spec-money.md §11.11). Pure. */
import { z } from 'zod';
import { PPM } from '#protocol/log';
import { PENALTY_BPS, type ProviderFault } from '../ledger/penalties.ts';
import { MEASURED_CHEATS } from './measured-cheats.ts';

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
  audits50: z.int().min(1).max(AUDITS_MILLI_MAX).optional(),
  audits95: z.int().min(1).max(AUDITS_MILLI_MAX).optional(),
});

/** A table as it comes from a file. */
export const zDetectionTable: z.ZodType<DetectionTable> = z.strictObject({
  source: z.string().min(1).max(512),
  date: z.iso.date(),
  cheats: z.array(zCheat).min(1).max(CHEATS_MAX),
});

/** A figure of the laboratory with what it is a mean of. */
export interface MeasuredCheat extends CheatFigures {
  /** Audits until the conviction, in half and in 95 of 100 runs. */
  readonly audits50: number;
  readonly audits95: number;
}

/**
 * What a cheat saves, in millionths of what its answer costs: assumptions on the side of the cheat, no measurements of hardware.
 * - Another model, or an answer from a cache, by whatever evidence it is hidden: nine tenths (networks reference: g = 0.9 C), since the prompt is read, and
 *   something has to be answered.
 * - int4: a quarter of fp16's bytes are read for a token, and reading weights is most, not all, of the work of a small batch: half. In large batches,
 *   which compute more than they read, it saves less.
 * - int8: half of the bytes, by the same reasoning three tenths.
 * - Drafts of a small model that are let through unless they are far off: twice as fast, as speculative decoding is at its best.
 * - Half of the prompt: half of reading it, which is half of the price where prompts cost as much as answers.
 * Left out is what saves nothing: other seeds and temperatures, a hidden prompt, steering, which compute all of the model; and an early end, which is paid by
 * the token. Those are found (`npm run bench:detect`), and no rate has to pay for it. Left out too is what nothing finds: fp16 for fp32, and choices among ties.
 */
export const SAVED_PPM: Readonly<Record<string, number>> = Object.freeze({
  smaller_model: 900_000,
  replay: 900_000,
  forged: 900_000,
  raised: 900_000,
  int4: 500_000,
  drafts: 500_000,
  int8: 300_000,
  cut_prompt: 250_000,
});

/** Shares of its requests that a cheat may be on, in millionths, at which audits are measured. */
export const FRACTIONS_PPM = [PPM, PPM / 2, PPM / 4, PPM / 10] as const;
/**
 * Of so small a share nothing accumulates; audits come upon an answer that convicts by itself, K = 1 / (d · φ), at any share: so K · φ is never more than here, and
 * who is deterred from this is from every share. For int8 d is 4 in 256 (0.4% to 4%): of all figures the least certain.
 */
export const RARE_PPM = PPM / 100;

/** What the judge needs of audits, measured on the laboratory's recorded answers; `test/economy/detection-table.test.ts` makes it anew of the record. */
export const DEFAULT_DETECTION: DetectionTable = Object.freeze({
  source:
    'test/bench/results/detect-answers-2026-11-26.json: minnow-5m on a CPU, judged at temperature 1; savings are assumptions',
  date: '2026-11-26',
  cheats: MEASURED_CHEATS,
});
