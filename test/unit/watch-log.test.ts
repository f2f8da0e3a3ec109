/** What a watcher holds against a log: heads that contradict what it has seen, and nothing else (SPEC.md §9, spec-chain.md C10). */
import { describe, expect, test } from 'vitest';
import { type Address, fromHex, type Hash, toHex, utf8 } from '#protocol/hash';
import type { ChainCheckpoint } from '#protocol/log';
import { merkleRoot, verifyInclusion } from '#protocol/merkle';
import { LeafTree } from '../../provider/watch/leaf-tree.ts';
import { leafOfEntry, lookAt, type Mirror } from '../../provider/watch/log-mirror.ts';

const ADDRESS: Address = `0x${'11'.repeat(20)}`;
const entry = (n: number) => ({ n, type: 'answer' });
const log = (...numbers: number[]) => numbers.map(entry);
const rootOf = (entries: readonly object[]): Hash => toHex(merkleRoot(entries.map((one) => fromHex(leafOfEntry(one)))));

function head(entries: readonly object[], origin = 'gateway.test/log'): ChainCheckpoint {
  return { origin, size: entries.length, root: rootOf(entries), address: ADDRESS, signature: toHex(utf8('signed')) };
}

/** What is served, a page of two at a time. */
const serving = (entries: readonly object[]) => {
  const asked: number[] = [];
  const read = async (start: number, end: number) => {
    asked.push(start);
    return entries.slice(start, Math.min(end, start + 2));
  };
  return { read, asked };
};
const nothing = serving([]).read;

async function seen(...entries: object[][]): Promise<Mirror> {
  let mirror: Mirror = { leaves: new LeafTree(), heads: [] };
  for (const log of entries) {
    const look = await lookAt(mirror, head(log), serving(log).read);
    expect([look.proofs, look.problem]).toEqual([[], null]);
    mirror = look.mirror;
  }
  return mirror;
}

describe('a head that is of the log as it was seen', () => {
  test('is remembered, and only what is new is asked for', async () => {
    const mirror = await seen(log(0, 1, 2));
    const { read, asked } = serving(log(0, 1, 2, 3, 4, 5, 6));
    const look = await lookAt(mirror, head(log(0, 1, 2, 3, 4, 5, 6)), read);
    expect([look.proofs, look.problem, asked]).toEqual([[], null, [3, 5]]);
    expect([look.mirror.leaves.size, look.mirror.heads.map(({ size }) => size)]).toEqual([7, [3, 7]]);
  });

  test('may be an older one, or an empty one, and is asked nothing', async () => {
    const mirror = await seen(log(0, 1, 2));
    for (const older of [log(0, 1), log(0, 1, 2), []]) {
      const look = await lookAt(mirror, head(older), nothing);
      expect([look.proofs, look.problem]).toEqual([[], null]);
    }
  });
});

describe('a head that contradicts the log as it was seen', () => {
  test('of one size and another root is proven by the two heads', async () => {
    const mirror = await seen(log(0, 1, 2));
    const { proofs, problem, mirror: after } = await lookAt(mirror, head(log(0, 1, 9)), nothing);
    expect(proofs).toMatchObject([{ functionName: 'proveForkedLog', fault: 'forked_log', key: ADDRESS }]);
    expect([problem, after]).toEqual([null, mirror]);
  });

  test('of another log’s name is no twin', async () => {
    const mirror = await seen(log(0, 1, 2));
    const { proofs } = await lookAt(mirror, head(log(0, 1, 9), 'other.test/log'), nothing);
    expect(proofs).toEqual([]);
  });

  test.each([
    ['smaller', log(0, 9)],
    ['larger', log(0, 9, 2, 3, 4)],
  ])(
    'and is %s is proven by the first leaf that differs, under the newest head that covers it',
    async (_, rewritten) => {
      // An old head was shown again last: it does not cover the leaf.
      const mirror = await seen(log(0, 1, 2), log(0));
      const theirs = head(rewritten);
      const { proofs, problem } = await lookAt(mirror, theirs, serving(rewritten).read);
      expect([proofs.length, problem]).toEqual([1, null]);
      const [first, , ours, second, , their] = proofs[0]!.args as [Signed, unknown, Placed, Signed, unknown, Placed];
      expect([first.size, second.size, ours.index, their.index]).toEqual([3n, BigInt(rewritten.length), 1n, 1n]);
      expect(ours.leaf).not.toBe(their.leaf);
      expect([under(ours, first), under(their, second)]).toEqual([true, true]);
    },
  );

  test('but whose entries are not served is reported, proven not, and forgotten', async () => {
    const mirror = await seen(log(0, 1, 2));
    for (const shown of [log(0, 1, 2, 3), log(0, 1, 2, 3, 4, 8), []]) {
      const { proofs, problem, mirror: after } = await lookAt(mirror, head(log(0, 1, 2, 3, 4, 5)), serving(shown).read);
      expect([proofs, problem]).toEqual([[], 'the entries that are served are not those of checkpoint 6']);
      expect([after.leaves.size, after.leaves.rootOf(3)]).toEqual([3, rootOf(log(0, 1, 2))]);
    }
    // The true ones are taken in afterwards.
    const whole = log(0, 1, 2, 3, 4, 5);
    expect((await lookAt(mirror, head(whole), serving(whole).read)).problem).toBeNull();
  });

  test('and of which no remembered head covers the leaf is reported', async () => {
    const mirror = { ...(await seen(log(0, 1, 2))), heads: [] };
    const rewritten = log(0, 9, 2, 3);
    const { proofs, problem } = await lookAt(mirror, head(rewritten), serving(rewritten).read);
    expect([proofs, problem]).toEqual([[], 'checkpoint 4 does not extend the log that was seen before']);
  });
});

interface Signed {
  readonly size: bigint;
  readonly root: Hash;
}

interface Placed {
  readonly leaf: Hash;
  readonly index: bigint;
  readonly path: readonly Hash[];
}

function under({ leaf, index, path }: Placed, { size, root }: Signed): boolean {
  return verifyInclusion(fromHex(leaf), Number(index), Number(size), path.map(fromHex), fromHex(root));
}
