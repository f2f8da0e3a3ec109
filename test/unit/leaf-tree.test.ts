/** The watcher's tree against the plain one: every root and path of every size, at the cost of what is new. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromHex, type Hash, sha256, toHex, utf8 } from '#protocol/hash';
import { merkleLevels, merkleRoot, pathIn } from '#protocol/merkle';
import { LeafTree } from '../../provider/watch/leaf-tree.ts';

const leavesOf = (count: number): Hash[] => Array.from({ length: count }, (_, i) => toHex(sha256(utf8(`leaf ${i}`))));
const plainRoot = (leaves: readonly Hash[]) => toHex(merkleRoot(leaves.map(fromHex)));

test('roots of every prefix and paths of every leaf are those of the whole tree, up to 70 leaves', () => {
  const leaves = leavesOf(70);
  const tree = new LeafTree(leaves);
  for (let size = 0; size <= leaves.length; size++) {
    const prefix = leaves.slice(0, size);
    expect(tree.rootOf(size)).toBe(plainRoot(prefix));
    if (size === 0) continue;
    const levels = merkleLevels(prefix.map(fromHex));
    for (let index = 0; index < size; index++) {
      expect(tree.pathUnder(index, size)).toEqual(pathIn(levels, index).map(toHex));
    }
  }
});

test('what is forgotten and appended anew gives the same tree as if it had never been there', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 12 }), (sizes) => {
      const leaves = leavesOf(40);
      const tree = new LeafTree();
      for (const size of sizes) {
        // Something else first, which no head covers.
        for (const other of leavesOf(45).slice(40)) tree.append(other);
        tree.truncate(Math.min(size, tree.size - 5));
        for (const leaf of leaves.slice(tree.size, size)) tree.append(leaf);
        expect(tree.size).toBe(size);
        expect(tree.rootOf(size)).toBe(plainRoot(leaves.slice(0, size)));
      }
    }),
  );
});

test('what is not there has no root and no path', () => {
  const tree = new LeafTree(leavesOf(3));
  expect(() => tree.rootOf(4)).toThrow(RangeError);
  expect(() => tree.pathUnder(3, 3)).toThrow(RangeError);
  expect(() => tree.pathUnder(0, 4)).toThrow(RangeError);
  expect(tree.at(3)).toBeUndefined();
});
