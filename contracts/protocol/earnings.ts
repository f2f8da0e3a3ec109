/** Trees of what payees have earned in all, as `Settlement` reads them (spec-chain.md C5). Pure. */
import { z } from 'zod';
import { addressWord } from './chain-messages.ts';
import { type Address, concat, fromHex, type Hash, type Hex, keccak256, toHex, u8, u64, u128 } from './hash.ts';
import { type Join, merkleLevels, pathIn, rootIn, verifyInclusion } from './merkle.ts';
import { zAddress, zHash, zU32, zU128 } from './schema.ts';

const zBig = zU128.transform((text) => BigInt(text));
const zCount = zBig.refine((count) => count < 1n << 53n, 'expected less than 2^53');

const zEarningsRoot = z.strictObject({
  root: zHash,
  leafCount: zCount,
  total: zBig,
  logSize: zCount,
  logRoot: zHash,
});
const place = { cumulative: zBig, leafIndex: zU32, path: z.array(zHash).max(64) };

/** Reply of `GET /v1/earnings/{payee}`: what the payee can claim under the gateway's newest posted root (spec-chain.md C5). */
export const zEarningsProof = z.strictObject({
  /** Account of the gateway in the StakeRegistry. */
  gateway: zAddress,
  payee: zAddress,
  rootIndex: zU32,
  earnings: zEarningsRoot,
  ...place,
});
export type EarningsProof = z.output<typeof zEarningsProof>;
export type EarningsProofWire = z.input<typeof zEarningsProof>;

/** Reply of `GET /v1/earnings/{payee}/pending`: what the gateway's newest root will give the payee once it is active. */
export const zPendingEarnings = z.strictObject({
  gateway: zAddress,
  payee: zAddress,
  rootIndex: zU32,
  earnings: zEarningsRoot,
  /** What the root before it stands for; null where there is none, or none that the gateway has decided. */
  previous: zEarningsRoot.nullable(),
  /** The payee's leaf; where it has none, the leaves on both sides of its place, or the one at that end of the tree. */
  leaves: z
    .array(z.strictObject({ payee: zAddress, ...place }))
    .min(1)
    .max(2),
});
export type PendingEarnings = z.output<typeof zPendingEarnings>;
export type PendingEarningsWire = z.input<typeof zPendingEarnings>;

/** The proof as it crosses the wire: amounts and counts as decimal strings. */
export function earningsProofWire({ earnings, cumulative, ...proof }: EarningsProof): EarningsProofWire {
  const { leafCount, total, logSize, ...hashes } = earnings;
  return {
    ...proof,
    earnings: { ...hashes, leafCount: `${leafCount}`, total: `${total}`, logSize: `${logSize}` },
    cumulative: `${cumulative}`,
  };
}

/** What one payee has earned in all, in base units of the token (uint128). */
export interface Earning {
  readonly payee: Address;
  readonly cumulative: bigint;
}

/** A root as it is posted: the tree, its leaves, their sum, and the log head that it settles. */
export interface EarningsRoot {
  readonly root: Hash;
  readonly leafCount: bigint;
  readonly total: bigint;
  readonly logSize: bigint;
  readonly logRoot: Hash;
}

/** Where one payee stands in a tree. */
export interface EarningPlace {
  readonly leafIndex: number;
  readonly path: readonly Hash[];
}

/** A tree with everybody's place in it. */
export interface EarningsTree {
  /** By ascending address. */
  readonly entries: readonly Earning[];
  readonly root: Hash;
  readonly total: bigint;
  /** The place of a payee, or null where it has no leaf. */
  placeOf(payee: Address): EarningPlace | null;
}

/** Keccak-256(0x00 ‖ payee ‖ u128(cumulative)). @throws {RangeError} on what is no address, or outside uint128 */
export function earningsLeaf(payee: Address, cumulative: bigint): Uint8Array {
  return keccak256(concat(u8(0x00), addressWord(payee).subarray(12), u128(cumulative)));
}

/** Nodes of earnings: SPEC.md §3 with Keccak-256, of which a chain makes a quarter of the cost. */
const join: Join = (left, right) => keccak256(concat(u8(0x01), left, right));

/** The tree over all earnings. @throws {RangeError} without entries, on a payee who is there twice, on a sum outside uint128 */
export function earningsTree(earnings: readonly Earning[]): EarningsTree {
  const entries = [...earnings].sort((a, b) => (a.payee < b.payee ? -1 : 1));
  if (entries.some(({ payee }, at) => at > 0 && entries[at - 1]!.payee === payee)) {
    throw new RangeError('a payee is listed twice');
  }
  const total = entries.reduce((sum, { cumulative }) => sum + cumulative, 0n);
  u128(total);
  const leaves = entries.map(({ payee, cumulative }) => earningsLeaf(payee, cumulative));
  const levels = merkleLevels(leaves, join);
  const places = new Map(entries.map(({ payee }, at) => [payee, at]));
  return {
    entries,
    root: toHex(rootIn(levels)),
    total,
    placeOf(payee) {
      const leafIndex = places.get(payee);
      return leafIndex === undefined ? null : { leafIndex, path: pathIn(levels, leafIndex).map(toHex) };
    },
  };
}

/** Whether a payee's leaf stands where it is said to under a root. */
export function earningInTree({ payee, cumulative }: Earning, place: EarningPlace, earnings: EarningsRoot): boolean {
  const { leafIndex, path } = place;
  const leaf = earningsLeaf(payee, cumulative);
  return verifyInclusion(leaf, leafIndex, Number(earnings.leafCount), path.map(fromHex), fromHex(earnings.root), join);
}

/** What the contract keeps of a root: the first 26 bytes of keccak256(abi.encode(EarningsRoot)). */
export function earningsRootId({ root, leafCount, total, logSize, logRoot }: EarningsRoot): Hex {
  const word = (bytes: Uint8Array) => concat(new Uint8Array(32 - bytes.length), bytes);
  const words = [fromHex(root), word(u64(leafCount)), word(u128(total)), word(u64(logSize)), fromHex(logRoot)];
  return toHex(keccak256(concat(...words)).subarray(0, 26));
}
