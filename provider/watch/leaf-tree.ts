/** Leaves of a log with the roots of all its full subtrees, so that a head or a path costs what is new and not the whole log (RFC 6962 §2.1). */
import { fromHex, type Hash, toHex } from '#protocol/hash';
import { merkleRoot, nodeHash } from '#protocol/merkle';

export class LeafTree {
  /** Node i of level l is the root of leaves i·2^l to (i+1)·2^l − 1; only full ones are kept. */
  readonly #levels: Uint8Array[][] = [[]];

  constructor(leaves: Iterable<Hash> = []) {
    for (const leaf of leaves) this.append(leaf);
  }

  get size(): number {
    return this.#levels[0]!.length;
  }

  /** The leaf at an index; undefined beyond the last. */
  at(index: number): Hash | undefined {
    const leaf = this.#levels[0]![index];
    return leaf && toHex(leaf);
  }

  /** Leaves from an index on, oldest first. */
  from(index: number): readonly Uint8Array[] {
    return this.#levels[0]!.slice(index);
  }

  /** Joins what the new leaf makes full: one hash a leaf on average. */
  append(leaf: Hash): void {
    let node = fromHex(leaf);
    for (let height = 0; ; height++) {
      this.#levels[height] ??= [];
      const level = this.#levels[height]!;
      level.push(node);
      if (level.length % 2 === 1) return;
      node = nodeHash(level[level.length - 2]!, node);
    }
  }

  /** Forgets the newest leaves. @param size how many stay */
  truncate(size: number): void {
    for (const [height, level] of this.#levels.entries())
      level.length = Math.min(level.length, Math.floor(size / 2 ** height));
  }

  /** Root of the first `size` leaves, from at most two subtrees of each level. @throws {RangeError} where there are fewer */
  rootOf(size: number): Hash {
    if (size > this.size) throw new RangeError('the tree has fewer leaves');
    return toHex(size === 0 ? merkleRoot([]) : this.#root(0, size));
  }

  /** Audit path of a leaf under the root of the first `size`, from the leaf upwards. @throws {RangeError} where it is not among them */
  pathUnder(index: number, size: number): Hash[] {
    if (index < 0 || index >= size || size > this.size) throw new RangeError('leaf outside the tree');
    const path: Uint8Array[] = [];
    let [start, end] = [0, size];
    while (end - start > 1) {
      const middle = start + splitOf(end - start);
      if (index < middle) {
        path.push(this.#root(middle, end));
        end = middle;
      } else {
        path.push(this.#root(start, middle));
        start = middle;
      }
    }
    return path.reverse().map(toHex);
  }

  /** Of leaves that begin at a multiple of the largest power of two that fits: what splitting a tree leaves. */
  #root(start: number, end: number): Uint8Array {
    const size = end - start;
    const split = splitOf(size);
    // A full subtree is kept, or is one leaf.
    if (size === 1 || split * 2 === size) {
      const height = Math.log2(size);
      return this.#levels[height]![start / size]!;
    }
    return nodeHash(this.#root(start, start + split), this.#root(start + split, end));
  }
}

/** The largest power of two smaller than `size`; 1 for 1. */
function splitOf(size: number): number {
  let split = 1;
  while (split * 2 < size) split *= 2;
  return split;
}
