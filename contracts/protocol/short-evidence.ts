/** Short evidence as reveals carry it: packed, some 6.7 characters a token where JSON takes 12 (SPEC.md §12.2). */
import { z } from 'zod';
import { fromBase64Url, toBase64Url } from './base64-url.ts';
import type { ShortEvidence } from './evidence.ts';
import { TOKENS_MAX } from './schema.ts';

/** A uint32 in groups of 7 bits takes five bytes at most. */
const NUMBER_BYTES_MAX = 5;
/** Two numbers a token: 10 bytes, 13 1/3 characters. */
const TEXT_MAX = Math.ceil((2 * NUMBER_BYTES_MAX * TOKENS_MAX * 4) / 3);

/** The runner-up and its gap of each position in turn, as unsigned LEB128 in base64url. @param items uint32 both */
export function packShortEvidence(items: readonly ShortEvidence[]): string {
  const bytes = new Uint8Array(2 * NUMBER_BYTES_MAX * items.length);
  let end = 0;
  for (const item of items) {
    for (const number of item) {
      let rest = number;
      while (rest > 0x7f) {
        bytes[end++] = (rest & 0x7f) | 0x80;
        rest >>>= 7;
      }
      bytes[end++] = rest;
    }
  }
  return toBase64Url(bytes.subarray(0, end));
}

/**
 * Reads what `packShortEvidence` wrote: the one text of each list. The length is the caller's to compare with its tokens.
 * @returns null for any other text: a number that is cut short, above uint32 or longer than it must be, or half a pair
 */
export function unpackShortEvidence(text: string): ShortEvidence[] | null {
  const bytes = text.length > TEXT_MAX ? null : fromBase64Url(text);
  if (bytes === null) return null;
  const numbers: number[] = [];
  let at = 0;
  while (at < bytes.length) {
    let [number, weight] = [0, 1];
    for (let length = 1; ; length++) {
      const byte = bytes[at++];
      if (byte === undefined || length > NUMBER_BYTES_MAX) return null;
      number += (byte & 0x7f) * weight;
      weight *= 0x80;
      if (byte >= 0x80) continue;
      // A last group of zeros would be a second form of the same number.
      if ((byte === 0 && length > 1) || number > 0xffff_ffff) return null;
      break;
    }
    numbers.push(number);
  }
  if (numbers.length % 2 !== 0 || numbers.length > 2 * TOKENS_MAX) return null;
  return Array.from({ length: numbers.length / 2 }, (_, i): ShortEvidence => [numbers[2 * i]!, numbers[2 * i + 1]!]);
}

/** Parses the packed form from the wire. */
export const zShortEvidence = z
  .string()
  .max(TEXT_MAX)
  .transform((text, context): ShortEvidence[] => {
    const items = unpackShortEvidence(text);
    if (items !== null) return items;
    context.addIssue({ code: 'custom', message: 'expected packed pairs of uint32' });
    return z.NEVER;
  });
