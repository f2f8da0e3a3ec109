import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256, toHex, u32 } from '#protocol/hash';
import {
  consistencyProof,
  inclusionProof,
  leafHash,
  merkleLevels,
  merkleRoot,
  nodeHash,
  pathIn,
  verifyConsistency,
  verifyInclusion,
} from '#protocol/merkle';

// The same cases on every run.
fc.configureGlobal({ seed: 3 });

/** Every shape of tree up to here is tried; 40 has two incomplete levels above 32. */
const SIZE_MAX = 40;
const leaves = Array.from({ length: SIZE_MAX }, (_, i) => leafHash(u32(i)));
const treeOf = (size: number): Uint8Array[] => leaves.slice(0, size);
const roots = Array.from({ length: SIZE_MAX + 1 }, (_, size) => merkleRoot(treeOf(size)));
const sizes = Array.from({ length: SIZE_MAX }, (_, i) => i + 1);

/** One assertion for many cases: thousands of single ones would take longer than the trees. */
function expectAll(cases: Iterable<readonly [name: string, actual: boolean, expected: boolean]>): void {
  const wrong: string[] = [];
  let count = 0;
  for (const [name, actual, expected] of cases) {
    count++;
    if (actual !== expected) wrong.push(name);
  }
  expect(wrong).toEqual([]);
  expect(count).toBeGreaterThan(SIZE_MAX);
}

function withBitTurned(bytes: Uint8Array, bit: number): Uint8Array {
  const out = bytes.slice();
  out[bit >> 3]! ^= 1 << (bit & 7);
  return out;
}

/** All small damages to a list of hashes. */
function damaged(path: readonly Uint8Array[]): Uint8Array[][] {
  const changed = path.map((hash, at) => path.with(at, withBitTurned(hash, 17)));
  const shorter = path.map((_, at) => path.filter((__, other) => other !== at));
  const short = path.map((hash, at) => path.with(at, hash.subarray(0, 31)));
  return [...changed, ...shorter, ...short, [...path, leaves[0]!], [leaves[0]!, ...path]];
}

describe('inclusion', () => {
  it('proves every leaf of every tree up to 40, at its own place only', () => {
    expectAll(
      sizes.flatMap((size) => {
        const levels = merkleLevels(treeOf(size));
        return treeOf(size).flatMap((leaf, index) =>
          Array.from({ length: size + 2 }, (_, place) => {
            const proven = verifyInclusion(leaf, place, size, pathIn(levels, index), roots[size]!);
            return [`leaf ${index} of ${size} at ${place}`, proven, place === index] as const;
          }),
        );
      }),
    );
  });

  it('gives the same paths from levels as from leaves', () => {
    for (const size of [1, 2, 7, 31, 32, 33]) {
      const levels = merkleLevels(treeOf(size));
      const paths = treeOf(size).map((_, index) => inclusionProof(treeOf(size), index));
      expect(treeOf(size).map((_, index) => pathIn(levels, index))).toEqual(paths);
    }
  });

  it('fails for every damaged path, another leaf and another root', () => {
    const other = leafHash(u32(1 << 20));
    expectAll(
      sizes.flatMap((size) => {
        const levels = merkleLevels(treeOf(size));
        return treeOf(size).flatMap((leaf, index) => {
          const [path, root] = [pathIn(levels, index), roots[size]!];
          const results = [
            ...damaged(path).map((bad) => verifyInclusion(leaf, index, size, bad, root)),
            verifyInclusion(other, index, size, path, root),
            verifyInclusion(leaf, index, size, path, withBitTurned(root, 0)),
          ];
          return results.map((proven, at) => [`leaf ${index} of ${size}, damage ${at}`, proven, false] as const);
        });
      }),
    );
  });

  it('takes no path beyond the root: who made the tree must not give a leaf a second size', () => {
    const [leaf, extra] = [leaves[0]!, leaves[1]!];
    expect(verifyInclusion(leaf, 0, 1, [extra], nodeHash(extra, leaf))).toBe(false);
    expect(verifyInclusion(leaf, 0, 1, [extra], nodeHash(leaf, extra))).toBe(false);
  });

  it.each([0, 31, 33, 64])('takes no sibling of %s bytes, also under a root that was made with it', (length) => {
    const sibling = new Uint8Array(length).fill(7);
    expect(verifyInclusion(leaves[0]!, 0, 2, [sibling], nodeHash(leaves[0]!, sibling))).toBe(false);
  });

  it('does not take an inner node for a leaf: a shorter tree with the same root has no proof', () => {
    const pair = [leafHash(u32(1)), leafHash(u32(2))];
    const four = [...pair, leafHash(u32(3)), leafHash(u32(4))];
    const data = new Uint8Array(64);
    data.set(pair[0]!, 0);
    data.set(pair[1]!, 32);
    // What an attacker would log to make one leaf stand for two: its leaf hash is not the node's.
    expect(verifyInclusion(leafHash(data), 0, 2, [merkleRoot(four.slice(2))], merkleRoot(four))).toBe(false);
  });

  it.each([Number.NaN, 0.5, -1, 2 ** 53, Number.POSITIVE_INFINITY])('refuses the index or size %s', (value) => {
    expect(verifyInclusion(leaves[0]!, value, 1, [], leaves[0]!)).toBe(false);
    expect(verifyInclusion(leaves[0]!, 0, value, [], leaves[0]!)).toBe(false);
    expect(() => inclusionProof(treeOf(3), value)).toThrow(RangeError);
  });

  it('has no levels, and no path, without leaves', () => {
    expect(() => merkleLevels([])).toThrow(RangeError);
    expect(() => inclusionProof([], 0)).toThrow(RangeError);
    expect(toHex(merkleRoot([]))).toBe(toHex(sha256(new Uint8Array(0))));
  });

  it('carries on past 2^31 leaves', () => {
    // A tree of 2^33 + 1 leaves whose last leaf hangs directly under the root.
    const [left, last] = [leaves[0]!, leaves[1]!];
    const root = merkleRoot([left, last]);
    expect(verifyInclusion(last, 2 ** 33, 2 ** 33 + 1, [left], root)).toBe(true);
    expect(verifyInclusion(last, 2 ** 33 - 1, 2 ** 33 + 1, [left], root)).toBe(false);
  });
});

describe('consistency', () => {
  it('proves every prefix of every tree up to 40, and no other size', () => {
    expectAll(
      sizes.flatMap((size) =>
        sizes.slice(0, size).flatMap((old) => {
          const path = consistencyProof(treeOf(size), old);
          return Array.from({ length: size + 2 }, (_, claimed) => {
            const proven = verifyConsistency(claimed, roots[old]!, size, roots[size]!, path);
            return [`${old} of ${size} claimed as ${claimed}`, proven, claimed === old] as const;
          });
        }),
      ),
    );
  });

  it('fails for every damaged path and for either root changed', () => {
    expectAll(
      sizes.flatMap((size) =>
        sizes.slice(0, size).flatMap((old) => {
          const [path, oldRoot, root] = [consistencyProof(treeOf(size), old), roots[old]!, roots[size]!];
          const results = [
            ...damaged(path).map((bad) => verifyConsistency(old, oldRoot, size, root, bad)),
            verifyConsistency(old, withBitTurned(oldRoot, 3), size, root, path),
            verifyConsistency(old, oldRoot, size, withBitTurned(root, 3), path),
          ];
          return results.map((proven, at) => [`${old} of ${size}, damage ${at}`, proven, false] as const);
        }),
      ),
    );
  });

  it('takes no path beyond the root, and no hash of another length, also under a root that was made with it', () => {
    const [old, next, extra] = [leaves[0]!, leaves[1]!, leaves[2]!];
    const grown = nodeHash(old, next);
    expect(verifyConsistency(1, old, 2, grown, [next])).toBe(true);
    expect(verifyConsistency(1, old, 2, nodeHash(grown, extra), [next, extra])).toBe(false);
    const forked = [nodeHash(extra, old), nodeHash(extra, grown)] as const;
    expect(verifyConsistency(1, forked[0], 2, forked[1], [next, extra])).toBe(false);
    const short = next.subarray(0, 31);
    expect(verifyConsistency(1, old, 2, nodeHash(old, short), [short])).toBe(false);
    expect(verifyConsistency(3, old, 4, old, [])).toBe(false);
  });

  it('shows a rewritten log: whatever old leaf was changed, no honest proof fits', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: SIZE_MAX }), fc.nat(), fc.nat(), (size, a, b) => {
        const old = 1 + (a % (size - 1));
        const rewritten = treeOf(size).with(b % old, leafHash(u32(1 << 20)));
        const path = consistencyProof(rewritten, old);
        expect(verifyConsistency(old, roots[old]!, size, merkleRoot(rewritten), path)).toBe(false);
      }),
    );
  });

  it.each([0, 4, -1, 0.5, Number.NaN])('has no proof from size %s of 3', (size) => {
    expect(() => consistencyProof(treeOf(3), size)).toThrow(RangeError);
    expect(verifyConsistency(size, roots[3]!, 3, roots[3]!, [])).toBe(false);
  });

  it('holds for 2^49 + 1 leaves, whose logarithm rounds to that of a power of two', () => {
    const [left, one, two] = [leaves[0]!, leaves[1]!, leaves[2]!];
    const [oldRoot, newRoot] = [nodeHash(left, one), nodeHash(left, nodeHash(one, two))];
    const size = 2 ** 49 + 1;
    expect(verifyConsistency(size, oldRoot, size + 1, newRoot, [one, two, left])).toBe(true);
    expect(verifyConsistency(size, oldRoot, size + 1, newRoot, [two, left])).toBe(false);
  });
});
