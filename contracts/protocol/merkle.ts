/** Merkle trees with RFC 6962 hashing (§2.1): log, evidence, draw keys and, with width 16, the rounds (SPEC.md §3). */
import { concat, equalBytes, sha256, u8 } from './hash.ts';

const LEAF = u8(0x00);
const NODE = u8(0x01);

/** sha256(0x00 ‖ data). */
export function leafHash(data: Uint8Array): Uint8Array {
  return sha256(concat(LEAF, data));
}

/** sha256(0x01 ‖ left ‖ right). */
export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  return sha256(concat(NODE, left, right));
}

/** How two nodes become the one above them. */
export type Join = (left: Uint8Array, right: Uint8Array) => Uint8Array;

/** The largest power of two smaller than `n` (n >= 2). */
function splitPoint(n: number): number {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

/** Root over leaf hashes; the empty tree's root is sha256(""). */
export function merkleRoot(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return sha256(new Uint8Array(0));
  return rootOf(leaves, 0, leaves.length);
}

function rootOf(leaves: readonly Uint8Array[], start: number, end: number): Uint8Array {
  const size = end - start;
  if (size === 1) return leaves[start]!;
  const k = splitPoint(size);
  return nodeHash(rootOf(leaves, start, start + k), rootOf(leaves, start + k, end));
}

const HASH_BYTES = 32;

/** All levels of a tree, leaves first, each its hashes side by side: built once, it gives every path in O(log n), and 64 bytes a leaf hold it. */
export type MerkleLevels = readonly Uint8Array[];

/**
 * Levels of the RFC 6962 tree: neighbours are joined in pairs and an odd last node moves up as it is, which gives the same
 * tree as splitting at the largest power of two. @throws {RangeError} without leaves
 */
export function merkleLevels(leaves: readonly Uint8Array[], join: Join = nodeHash): MerkleLevels {
  if (leaves.length === 0) throw new RangeError('a tree needs a leaf');
  const levels = [packed(leaves)];
  for (let level = levels[0]!; level.length > HASH_BYTES; level = levels[levels.length - 1]!) {
    const above: Uint8Array[] = [];
    for (let i = 0; i < level.length / HASH_BYTES; i += 2) {
      const right = nodeAt(level, i + 1);
      above.push(right ? join(nodeAt(level, i)!, right) : nodeAt(level, i)!);
    }
    levels.push(packed(above));
  }
  return levels;
}

/** The tree's root. */
export function rootIn(levels: MerkleLevels): Uint8Array {
  return levels[levels.length - 1]!.slice();
}

/** Audit path of leaf `index`, from the leaf upwards. @throws {RangeError} outside the tree */
export function pathIn(levels: MerkleLevels, index: number): Uint8Array[] {
  if (!Number.isInteger(index) || index < 0 || index >= levels[0]!.length / HASH_BYTES)
    throw new RangeError('leaf outside the tree');
  return levels
    .slice(0, -1)
    .flatMap((level, height) => nodeAt(level, Math.floor(index / 2 ** height) ^ 1)?.slice() ?? []);
}

function packed(hashes: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(hashes.length * HASH_BYTES);
  for (const [i, hash] of hashes.entries()) bytes.set(hash, i * HASH_BYTES);
  return bytes;
}

function nodeAt(level: Uint8Array, i: number): Uint8Array | undefined {
  const start = i * HASH_BYTES;
  return start < level.length ? level.subarray(start, start + HASH_BYTES) : undefined;
}

/** Audit path of leaf `index`, from the leaf upwards (RFC 6962 §2.1.1). @throws {RangeError} outside the tree */
export function inclusionProof(leaves: readonly Uint8Array[], index: number): Uint8Array[] {
  if (leaves.length === 0) throw new RangeError('leaf outside the tree');
  return pathIn(merkleLevels(leaves), index);
}

/** Whether `path` leads from `leaf` at `index` to `root` in a tree of `size` leaves (RFC 9162 §2.1.3.2). */
export function verifyInclusion(
  leaf: Uint8Array,
  index: number,
  size: number,
  path: readonly Uint8Array[],
  root: Uint8Array,
  join: Join = nodeHash,
): boolean {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size) || index < 0 || index >= size) return false;
  let node = index;
  let last = size - 1;
  let hash = leaf;
  for (const sibling of path) {
    if (last === 0 || sibling.length !== 32) return false;
    if (node % 2 === 1 || node === last) {
      hash = join(sibling, hash);
      while (node % 2 === 0 && node !== 0) {
        node = Math.floor(node / 2);
        last = Math.floor(last / 2);
      }
    } else {
      hash = join(hash, sibling);
    }
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 && equalBytes(hash, root);
}

/** Proof that the first `size` leaves are a prefix of the tree (RFC 6962 §2.1.2). @throws {RangeError} unless 0 < size <= n */
export function consistencyProof(leaves: readonly Uint8Array[], size: number): Uint8Array[] {
  if (!Number.isInteger(size) || size <= 0 || size > leaves.length) throw new RangeError('size outside the tree');
  const path: Uint8Array[] = [];
  let start = 0;
  let end = leaves.length;
  let known = true;
  while (end - start > 1 && size !== end - start) {
    const k = splitPoint(end - start);
    if (size <= k) {
      path.push(rootOf(leaves, start + k, end));
      end = start + k;
    } else {
      path.push(rootOf(leaves, start, start + k));
      start += k;
      size -= k;
      known = false;
    }
  }
  if (!known) path.push(rootOf(leaves, start, end));
  return path.reverse();
}

/** Whether a tree of `newSize` and `newRoot` extends one of `oldSize` and `oldRoot` (RFC 9162 §2.1.4.2). */
export function verifyConsistency(
  oldSize: number,
  oldRoot: Uint8Array,
  newSize: number,
  newRoot: Uint8Array,
  path: readonly Uint8Array[],
): boolean {
  if (!Number.isSafeInteger(oldSize) || !Number.isSafeInteger(newSize) || oldSize < 1 || oldSize > newSize)
    return false;
  if (oldSize === newSize) return path.length === 0 && equalBytes(oldRoot, newRoot);
  const proof = isPowerOfTwo(oldSize) ? [oldRoot, ...path] : [...path];
  if (proof.length === 0 || path.some((hash) => hash.length !== 32)) return false;
  let node = oldSize - 1;
  let last = newSize - 1;
  while (node % 2 === 1) {
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  let older = proof[0]!;
  let newer = proof[0]!;
  for (const sibling of proof.slice(1)) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      older = nodeHash(sibling, older);
      newer = nodeHash(sibling, newer);
      while (node % 2 === 0 && node !== 0) {
        node = Math.floor(node / 2);
        last = Math.floor(last / 2);
      }
    } else {
      newer = nodeHash(newer, sibling);
    }
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 && equalBytes(older, oldRoot) && equalBytes(newer, newRoot);
}

/** Exact for every safe integer: Math.log2 rounds 2^49 + 1 to 49. */
function isPowerOfTwo(n: number): boolean {
  let odd = n;
  while (odd % 2 === 0) odd /= 2;
  return odd === 1;
}
