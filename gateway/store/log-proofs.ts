/** Roots and proofs of the log out of stored subtrees: O(log² n) reads at most, whatever its size (RFC 6962 §2.1). */
import { ProtocolError } from '#protocol/errors';
import type { Hash } from '#protocol/hash';
import { fromHex, toHex } from '#protocol/hash';
import { merkleRoot, nodeHash } from '#protocol/merkle';
import type { Handle } from './handle.ts';
import type { NodePlace } from './log-repo.ts';
import { logNodes, logSize, nodeKey } from './log-repo.ts';

/** Leaves from `start` to `end − 1` of the log, as one subtree of RFC 6962. */
interface Range {
  readonly start: number;
  readonly end: number;
}

/** Root of the first `size` entries. @throws {ProtocolError} not_found beyond the end of the log */
export async function logRoot(handle: Handle, size: number): Promise<Hash> {
  await requireSize(handle, size);
  if (size === 0) return toHex(merkleRoot([]));
  return (await hashesOf(handle, [{ start: 0, end: size }]))[0]!;
}

/** Audit path of an entry in the tree of `size`. @throws {ProtocolError} not_found outside of the tree */
export async function logInclusion(handle: Handle, logIndex: number, size: number): Promise<readonly Hash[]> {
  await requireSize(handle, size);
  if (!Number.isInteger(logIndex) || logIndex < 0 || logIndex >= size) throw outside();
  return hashesOf(handle, inclusionRanges(logIndex, size));
}

/** Proof that the tree of `oldSize` is a prefix of the tree of `size`. @throws {ProtocolError} not_found outside of the log */
export async function logConsistency(handle: Handle, oldSize: number, size: number): Promise<readonly Hash[]> {
  await requireSize(handle, size);
  if (!Number.isInteger(oldSize) || oldSize < 1 || oldSize > size) throw outside();
  return hashesOf(handle, consistencyRanges(oldSize, size));
}

/** RFC 6962 §2.1.1: the siblings on the way to the leaf, from the leaf upwards. */
function inclusionRanges(index: number, size: number): readonly Range[] {
  const path: Range[] = [];
  let start = 0;
  let end = size;
  while (end - start > 1) {
    const middle = start + splitPoint(end - start);
    if (index < middle) {
      path.push({ start: middle, end });
      end = middle;
    } else {
      path.push({ start, end: middle });
      start = middle;
    }
  }
  return path.reverse();
}

/** RFC 6962 §2.1.2: the old tree's own last subtree is left out where it is the whole old tree. */
function consistencyRanges(oldSize: number, size: number): readonly Range[] {
  const path: Range[] = [];
  let start = 0;
  let end = size;
  while (oldSize !== end) {
    const middle = start + splitPoint(end - start);
    if (oldSize <= middle) {
      path.push({ start: middle, end });
      end = middle;
    } else {
      path.push({ start, end: middle });
      start = middle;
    }
  }
  if (start > 0) path.push({ start, end });
  return path.reverse();
}

async function hashesOf(handle: Handle, ranges: readonly Range[]): Promise<readonly Hash[]> {
  const parts = ranges.map(fullSubtrees);
  const hashes = await logNodes(handle, parts.flat());
  return parts.map((places) => {
    // The right-most subtree is the innermost one: fold from the right.
    const [last, ...others] = places.map((place) => fromHex(hashes.get(nodeKey(place))!)).reverse();
    return toHex(others.reduce((right, left) => nodeHash(left, right), last!));
  });
}

/** The full subtrees that a range falls into, left to right, largest first. */
function fullSubtrees(range: Range): readonly NodePlace[] {
  const places: NodePlace[] = [];
  let { start } = range;
  while (start < range.end) {
    let level = 0;
    while (start % 2 ** (level + 1) === 0 && start + 2 ** (level + 1) <= range.end) level += 1;
    places.push({ level, nodeIndex: start / 2 ** level });
    start += 2 ** level;
  }
  return places;
}

/** The largest power of two below `n`. */
function splitPoint(n: number): number {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

async function requireSize(handle: Handle, size: number): Promise<void> {
  if (!Number.isInteger(size) || size < 0 || size > (await logSize(handle))) throw outside();
}

function outside(): ProtocolError {
  return new ProtocolError('not_found', 'The log is not that long.');
}
