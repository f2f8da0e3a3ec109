import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  drawKey,
  drawKeyInTree,
  drawKeyPath,
  drawKeyTree,
  drawOrder,
  drawSeed,
  type Snapshot,
  type SnapshotEntry,
  seatsFrom,
  snapshotHash,
} from '#protocol/draw';
import { type Address, type Hash, sha256, toHex, u32, utf8 } from '#protocol/hash';

// The same cases on every run.
fc.configureGlobal({ seed: 8 });

const MODEL: Hash = toHex(sha256(utf8('model')));
const SECRET = sha256(utf8('epoch secret'));
const BODY: Hash = toHex(sha256(utf8('body')));
const NOBODY = { providers: new Set<Address>(), operators: new Set<string>() };
const addressAt = (i: number): Address => `0x${(i + 1).toString(16).padStart(40, '0')}`;

function entry(i: number, stakeNano: bigint, operator = `operator-${i}`): SnapshotEntry {
  return { address: addressAt(i), operator, stakeNano: stakeNano.toString(), modelDigests: [MODEL] };
}
const registry = (stakes: readonly bigint[], capNano = 1n << 62n): Snapshot => ({
  capNano: capNano.toString(),
  entries: stakes.map((stake, i) => entry(i, stake)),
});

const snapshots = fc
  .array(fc.tuple(fc.bigInt({ min: 0n, max: (1n << 63n) - 1n }), fc.integer({ min: 0, max: 4 }), fc.boolean()), {
    maxLength: 20,
  })
  .chain((rows) =>
    fc.bigInt({ min: 0n, max: (1n << 63n) - 1n }).map(
      (cap): Snapshot => ({
        capNano: cap.toString(),
        entries: rows.map(([stake, operator, serves], i) => ({
          ...entry(i, stake, `operator-${operator}`),
          modelDigests: serves ? [MODEL] : [],
        })),
      }),
    ),
  );
const seeds = fc.uint8Array({ minLength: 32, maxLength: 32 });

/** How often each provider comes first in `draws` draws. */
function firsts(snapshot: Snapshot, draws: number): number[] {
  const counts = snapshot.entries.map(() => 0);
  for (let i = 0; i < draws; i++) {
    const first = drawOrder(snapshot, MODEL, drawSeed(drawKey(SECRET, 0, i), BODY, null))[0]!;
    counts[snapshot.entries.findIndex((item) => item.address === first)]! += 1;
  }
  return counts;
}

describe('the order of a draw', () => {
  it('is a permutation of those that serve the model, whoever has no stake last', () => {
    fc.assert(
      fc.property(snapshots, seeds, (snapshot, seed) => {
        const serving = snapshot.entries.filter((item) => item.modelDigests.includes(MODEL));
        const order = drawOrder(snapshot, MODEL, seed);
        expect([...order].sort()).toEqual(serving.map((item) => item.address).sort());
        const staked = new Set(
          serving.filter((item) => item.stakeNano !== '0' && snapshot.capNano !== '0').map((item) => item.address),
        );
        expect(order.slice(0, staked.size).every((address) => staked.has(address))).toBe(true);
        expect(drawOrder(snapshot, MODEL, seed)).toEqual(order);
      }),
    );
  });

  it('puts heavier stake first in proportion', () => {
    // 1000 draws of shares 1:3:6; three standard deviations are at most 3 * sqrt(1000 * 0.6 * 0.4) = 47. Inputs are fixed.
    const counts = firsts(registry([10n, 30n, 60n]), 1000);
    for (const [i, expected] of [100, 300, 600].entries()) expect(Math.abs(counts[i]! - expected)).toBeLessThan(47);
  });

  it('counts stake up to the cap only, so that one whale does not buy every committee', () => {
    const counts = firsts(registry([1_000_000n, 10n], 10n), 1000);
    expect(Math.abs(counts[0]! - 500)).toBeLessThan(48);
    expect(firsts(registry([1_000_000n, 10n]), 100)[0]).toBe(100);
  });

  it('is a fair permutation among those without stake', () => {
    const counts = firsts(registry([0n, 0n]), 1000);
    expect(Math.abs(counts[0]! - 500)).toBeLessThan(48);
  });

  it('does not change when providers of other models come and go at the end of the registry', () => {
    const snapshot = registry([1n, 2n, 3n]);
    const more = { ...snapshot, entries: [...snapshot.entries, { ...entry(9, 1n << 60n), modelDigests: [] }] };
    const seed = sha256(utf8('seed'));
    expect(drawOrder(more, MODEL, seed)).toEqual(drawOrder(snapshot, MODEL, seed));
  });
});

describe('seats', () => {
  it('are the first of the order, one per operator, none excluded', () => {
    fc.assert(
      fc.property(snapshots, seeds, fc.integer({ min: 0, max: 15 }), (snapshot, seed, count) => {
        const order = drawOrder(snapshot, MODEL, seed);
        const excluded = { providers: new Set(order.slice(0, 1)), operators: new Set(['operator-0']) };
        const seats = seatsFrom(order, snapshot, count, excluded);
        const operatorOf = new Map(snapshot.entries.map((item) => [item.address, item.operator]));
        const operators = seats.map((address) => operatorOf.get(address)!);
        expect(new Set(operators).size).toBe(seats.length);
        expect(operators).not.toContain('operator-0');
        expect(seats).not.toContain(order[0]);
        expect(seats).toEqual(order.filter((address) => seats.includes(address)));
        const free = order.slice(1).map((address) => operatorOf.get(address)!);
        const possible = new Set(free.filter((operator) => operator !== 'operator-0')).size;
        expect(seats).toHaveLength(Math.min(count, possible));
      }),
    );
  });

  it('give an operator with many keys one seat: splitting stake buys no second vote', () => {
    const snapshot: Snapshot = {
      capNano: '100',
      entries: Array.from({ length: 12 }, (_, i) => entry(i, 10n, i < 10 ? 'sybil' : `honest-${i}`)),
    };
    for (let i = 0; i < 50; i++) {
      const order = drawOrder(snapshot, MODEL, sha256(u32(i)));
      const seats = seatsFrom(order, snapshot, 3, NOBODY);
      expect(seats).toHaveLength(3);
      expect(seats.filter((address) => address <= addressAt(9))).toHaveLength(1);
    }
  });
});

describe('the seed', () => {
  it('depends on the key, the body and the client’s nonce', () => {
    const key = drawKey(SECRET, 0, 0);
    const variants = [
      drawSeed(key, BODY, null),
      drawSeed(drawKey(SECRET, 0, 1), BODY, null),
      drawSeed(key, MODEL, null),
      drawSeed(key, BODY, 'nonce'),
    ].map(toHex);
    expect(new Set(variants).size).toBe(4);
  });

  it('has keys that differ by secret, epoch and index', () => {
    const keys = [drawKey(SECRET, 0, 0), drawKey(SECRET, 1, 0), drawKey(SECRET, 0, 1), drawKey(sha256(SECRET), 0, 0)];
    expect(new Set(keys).size).toBe(4);
  });
});

describe('the tree of keys', () => {
  it('opens every key at its own index, and no other key', () => {
    for (const size of [1, 2, 3, 8, 21]) {
      const { root, levels } = drawKeyTree(SECRET, 4, size);
      for (let index = 0; index < size; index++) {
        const [key, path] = [drawKey(SECRET, 4, index), drawKeyPath(levels, index)];
        expect(drawKeyInTree(index, key, path, size, root)).toBe(true);
        // What a gateway would do that wants another committee: another key, or another index of the same tree.
        expect(drawKeyInTree(index, drawKey(SECRET, 5, index), path, size, root)).toBe(false);
        expect(drawKeyInTree(index + 1, key, path, size + 1, root)).toBe(false);
        if (size > 1) expect(drawKeyInTree((index + 1) % size, key, path, size, root)).toBe(false);
      }
    }
  });

  it('needs a key', () => {
    expect(() => drawKeyTree(SECRET, 0, 0)).toThrow(RangeError);
  });
});

it('the registry’s hash covers stake, operator, models, cap and order', () => {
  const snapshot = registry([1n, 2n]);
  const [first, second] = [snapshot.entries[0]!, snapshot.entries[1]!];
  const variants: Snapshot[] = [
    snapshot,
    { ...snapshot, capNano: '1' },
    { ...snapshot, entries: [second, first] },
    { ...snapshot, entries: [first] },
    { ...snapshot, entries: [{ ...first, stakeNano: '3' }, second] },
    { ...snapshot, entries: [{ ...first, operator: 'x' }, second] },
    { ...snapshot, entries: [{ ...first, modelDigests: [] }, second] },
  ];
  expect(new Set(variants.map(snapshotHash)).size).toBe(variants.length);
});
