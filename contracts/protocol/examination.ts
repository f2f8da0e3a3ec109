/** Entries of the log about examinations: of what a provider answered alone, before its pay leaves for the first and for the last time (SPEC.md §8.4, §9.1). */
import { z } from 'zod';
import { AUDIT_KINDS, AUDIT_OUTCOMES } from './audit-words.ts';
import { zAddress, zHash, zNano, zText, zTimeMs, zU32 } from './schema.ts';

/** `first`: before any of its pay has left. `last`: it leaves, or has fallen silent. */
export const OCCASIONS = ['first', 'last'] as const;
export type Occasion = (typeof OCCASIONS)[number];

/** How many answers were drawn, before any of them is looked at: each of them then has its entry. */
export const zExaminationEntry = z.strictObject({
  type: z.literal('examination'),
  examination: zHash,
  provider: zAddress,
  occasion: z.enum(OCCASIONS),
  /** Answers that were drawn, and those that could have been. */
  drawn: zU32,
  of: zU32,
  atMs: zTimeMs,
});

export const zExaminedEntry = z.strictObject({
  type: z.literal('examined'),
  examination: zHash,
  requestId: zText(128),
  choice: zU32,
  /** Whose answer it was. */
  provider: zAddress,
  kind: z.enum(AUDIT_KINDS),
  /** Null where nobody could be had. */
  auditor: zAddress.nullable(),
  outcome: z.enum(AUDIT_OUTCOMES),
  /** Of what the auditors signed; zero where there is none. */
  evidenceHash: zHash,
  atMs: zTimeMs,
});

/** From here on pay leaves by its age again. */
export const zExaminationEndEntry = z.strictObject({
  type: z.literal('examination_end'),
  examination: zHash,
  provider: zAddress,
  /** What the provider has paid for it. */
  feeNano: zNano,
  atMs: zTimeMs,
});
