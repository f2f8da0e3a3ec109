/** Zod pieces that every wire schema is made of; each bounds its input (SPEC.md §1). */
import { z } from 'zod';
import type { Address, Hash, Hex } from './hash.ts';

/** SAFETY: checked with `abort`, since the check that follows would throw on text that is no number. */
const DECIMAL_20 = /^(0|[1-9][0-9]{0,19})$/;
const DECIMAL_19 = /^(0|[1-9][0-9]{0,18})$/;
/** What a schema made of a value. */
export type SafeParsed<T> =
  | { readonly success: true; readonly data: T }
  | { readonly success: false; readonly error: { readonly issues: readonly z.core.$ZodIssue[] } };

/** Stands for a value that no check could look at. */
const UNREADABLE: z.core.$ZodIssue = { code: 'custom', path: [], message: 'unreadable value', input: undefined };

/**
 * What a schema makes of any value; never throws.
 * RATIONALE: zod's own `safeParse` checks lengths on values of the wrong type too, and compares whatever their `length` is. JSON such as
 * `{"length": {"toString": 1}}` in place of a list or a text makes that comparison throw.
 */
export function safeParse<S extends z.ZodType>(schema: S, value: unknown): SafeParsed<z.output<S>> {
  try {
    return schema.safeParse(value);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return { success: false, error: { issues: [UNREADABLE] } };
  }
}

const hexOf = (bytes: number) => new RegExp(`^0x[0-9a-f]{${bytes * 2}}$`);

/** 32 bytes, lower-case hex. */
export const zHash = z.string().regex(hexOf(32), 'expected 32 bytes as lower-case hex') as unknown as z.ZodType<
  Hash,
  Hash
>;
/** 20 bytes, lower-case hex. */
export const zAddress = z.string().regex(hexOf(20), 'expected 20 bytes as lower-case hex') as unknown as z.ZodType<
  Address,
  Address
>;
/** r ‖ s ‖ v, 65 bytes, v 27 or 28. */
export const zSignature = z
  .string()
  .regex(/^0x[0-9a-f]{128}(1b|1c)$/, 'expected a 65-byte signature') as unknown as z.ZodType<Hex, Hex>;
/** Text that has a UTF-8 form, and so a hash: no lone surrogates. @param max UTF-16 code units */
export const zText = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    .refine((text) => !/\p{Surrogate}/u.test(text), 'expected well-formed Unicode');
export const zU8 = z.number().int().min(0).max(255);
export const zU32 = z.number().int().min(0).max(0xffffffff);
/** Milliseconds since the epoch; the maximum is the year 275760, JavaScript's own. */
export const zTimeMs = z.number().int().min(0).max(8.64e15);
/** Unsigned 64-bit integer as a decimal string without leading zeros. */
export const zU64 = z
  .string()
  .regex(DECIMAL_20, { error: 'expected an unsigned decimal integer', abort: true })
  .refine((text) => BigInt(text) < 1n << 64n, 'expected an unsigned 64-bit integer');
/** Money in nano-units: 0 to 2^63-1 as a decimal string. */
export const zNano = z
  .string()
  .regex(DECIMAL_19, { error: 'expected an unsigned decimal integer', abort: true })
  .refine((text) => BigInt(text) < 1n << 63n, 'expected less than 2^63');
/** Unsigned 128-bit integer as a decimal string: amounts on a chain, in base units of the token. */
export const zU128 = z
  .string()
  .regex(/^(0|[1-9][0-9]{0,38})$/, { error: 'expected an unsigned decimal integer', abort: true })
  .refine((text) => BigInt(text) < 1n << 128n, 'expected an unsigned 128-bit integer');
export const zTokenId = zU32;

/** Most tokens of one prompt or one answer that the protocol carries. */
export const TOKENS_MAX = 1 << 20;
/** Most scores of one choice: a split of 15 seats may take 5 for each, 75; an answer that took more is not attested. */
export const SCORES_MAX = 128;
/** Most chunks of one job: TOKENS_MAX at the smallest steady chunk of 16 would be 65,536; 4,096 bounds proofs. */
export const CHUNKS_MAX = 4096;
/** Slots of one round; n is 1 to 15, so that at least one slot is padding. */
export const ROUND_WIDTH = 16;
export const SEATS_MAX = ROUND_WIDTH - 1;
