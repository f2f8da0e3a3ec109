/** Where a chain that was read and the chain as it is now part (spec-chain.md C9.4). Pure: headers are looked up by the caller. */
import type { Hash } from '#protocol/hash';

/** A block, as far as a follower needs it. */
export interface Header {
  readonly number: number;
  readonly hash: Hash;
  readonly parentHash: Hash;
  readonly atSeconds: number;
}

export type Ancestor =
  /** The newest stored block that is still canonical; the tip itself where nothing was reorganised. */
  | { readonly kind: 'found'; readonly number: number }
  /** None of the stored blocks is: the chain has changed below what was kept. */
  | { readonly kind: 'none' };

/**
 * @param stored headers that were read, by ascending number
 * @param hashAt of the canonical chain now; null beyond its head
 */
export async function commonAncestor(
  stored: readonly Pick<Header, 'number' | 'hash'>[],
  hashAt: (number: number) => Promise<Hash | null>,
): Promise<Ancestor> {
  // From the tip: reorganisations are a block or two, and a follower that looked from below would ask for all.
  for (const { number, hash } of stored.toReversed()) {
    if ((await hashAt(number)) === hash) return { kind: 'found', number };
  }
  return { kind: 'none' };
}

/** What to read after the tip. */
export type Reading =
  | { readonly kind: 'nothing' }
  /** One block with its header: near the head every block can still go, and each is checked against its parent. */
  | { readonly kind: 'block'; readonly number: number }
  /** Events of many blocks at once, none of which can go any more. */
  | { readonly kind: 'range'; readonly from: number; readonly to: number };

/** Most blocks of one range: nodes limit what they answer. */
export const RANGE_BLOCKS_MAX = 1_000;

/** @param tip number of the newest block that was read @param kept headers that are kept behind the head */
export function nextReading(tip: number, headNumber: number, kept: number): Reading {
  if (tip >= headNumber) return { kind: 'nothing' };
  const final = headNumber - kept;
  // A range of one block costs as much as the block.
  if (final - tip < 2) return { kind: 'block', number: tip + 1 };
  return { kind: 'range', from: tip + 1, to: Math.min(tip + RANGE_BLOCKS_MAX, final) };
}
