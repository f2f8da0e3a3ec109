/** Sealed rounds: commitments, padded roots of 16 slots, permissions (SPEC.md §5). Pure. */
import { type Address, concat, equalBytes, fromHex, type Hash, sha256, taggedHash, toHex, u8, u32 } from './hash.ts';
import { leafHash, merkleLevels, pathIn, rootIn, verifyInclusion } from './merkle.ts';
import { ROUND_WIDTH, SEATS_MAX } from './schema.ts';
import type { Opening } from './typed.ts';
import { TAGS } from './version.ts';

/** The hash that seals one chunk; `opening.jobId` and `opening.index` say which. */
export function commitmentHash(provider: Address, opening: Opening): Hash {
  return toHex(
    taggedHash(
      TAGS.commitment,
      fromHex(opening.jobId),
      fromHex(provider),
      u32(opening.index),
      fromHex(opening.previous),
      fromHex(opening.previousRoot),
      u32(opening.tokenCount),
      u8(opening.last ? 1 : 0),
      fromHex(opening.tokensHash),
      fromHex(opening.evidenceRoot),
      fromHex(opening.salt),
    ),
  );
}

/** H(padSeed), which every ticket of the wave carries. */
export function padHash(padSeed: Hash): Hash {
  return toHex(taggedHash(TAGS.pad, fromHex(padSeed)));
}

/**
 * Slots of the wave's members, in the order of their seats: a Fisher-Yates permutation of 0..15 driven by padSeed.
 * @param seats 1 to 15
 * @throws {RangeError} outside that range
 */
export function memberSlots(padSeed: Hash, roundId: Hash, seats: number): number[] {
  if (!Number.isInteger(seats) || seats < 1 || seats > SEATS_MAX) throw new RangeError('seats out of range');
  const slots = Array.from({ length: ROUND_WIDTH }, (_, slot) => slot);
  const seedBytes = fromHex(padSeed);
  const roundBytes = fromHex(roundId);
  for (let i = ROUND_WIDTH - 1; i > 0; i--) {
    const hash = taggedHash(TAGS.slots, seedBytes, roundBytes, u8(i));
    // 64 bits modulo at most 16: the bias is below 2^-60.
    const j = Number(new DataView(hash.buffer, hash.byteOffset).getBigUint64(0) % BigInt(i + 1));
    [slots[i], slots[j]] = [slots[j]!, slots[i]!];
  }
  return slots.slice(0, seats);
}

/** leafHash(roundId ‖ index ‖ slot ‖ commitment). */
export function roundLeaf(roundId: Hash, index: number, slot: number, commitment: Hash): Uint8Array {
  return leafHash(concat(fromHex(roundId), u32(index), u8(slot), fromHex(commitment)));
}

/** sha256(0x02 ‖ padSeed ‖ roundId ‖ index ‖ slot): an empty slot, recognisable once padSeed is open. */
export function paddingLeaf(padSeed: Hash, roundId: Hash, index: number, slot: number): Uint8Array {
  return sha256(concat(u8(0x02), fromHex(padSeed), fromHex(roundId), u32(index), u8(slot)));
}

/** One closed round: its root and the path of every slot. */
export interface SealedRound {
  readonly root: Hash;
  path(slot: number): Hash[];
}

/**
 * Closes round `index` over the commitments that arrived; all other slots become padding.
 * @param commitments by slot, 0..15
 */
export function sealRound(
  roundId: Hash,
  index: number,
  padSeed: Hash,
  commitments: ReadonlyMap<number, Hash>,
): SealedRound {
  const leaves = Array.from({ length: ROUND_WIDTH }, (_, slot) => {
    const commitment = commitments.get(slot);
    return commitment === undefined
      ? paddingLeaf(padSeed, roundId, index, slot)
      : roundLeaf(roundId, index, slot, commitment);
  });
  const levels = merkleLevels(leaves);
  return { root: toHex(rootIn(levels)), path: (slot) => pathIn(levels, slot).map(toHex) };
}

/** Whether `commitment` stands at `slot` under the round's root: what a provider checks before it opens anything. */
export function commitmentInRound(
  round: { roundId: Hash; index: number; roundRoot: Hash },
  slot: number,
  commitment: Hash,
  path: readonly Hash[],
): boolean {
  if (path.length !== Math.log2(ROUND_WIDTH)) return false;
  const leaf = roundLeaf(round.roundId, round.index, slot, commitment);
  return verifyInclusion(leaf, slot, ROUND_WIDTH, path.map(fromHex), fromHex(round.roundRoot));
}

/** Hash of the roots that a provider has opened under, in order; folded into its claim. */
export function rootsHash(roots: readonly Hash[]): Hash {
  return toHex(taggedHash(TAGS.roots, u32(roots.length), ...roots.map(fromHex)));
}

/** Whether an opening hashes to the commitment and continues the chain it must continue. */
export function openingFits(
  provider: Address,
  opening: Opening,
  expected: { commitment: Hash; previous: Hash; previousRoot: Hash },
): boolean {
  return (
    opening.previous === expected.previous &&
    opening.previousRoot === expected.previousRoot &&
    equalBytes(fromHex(commitmentHash(provider, opening)), fromHex(expected.commitment))
  );
}
