import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Hash, sha256, toHex, utf8, ZERO_HASH } from '#protocol/hash';
import {
  commitmentHash,
  commitmentInRound,
  memberSlots,
  openingFits,
  paddingLeaf,
  rootsHash,
  roundLeaf,
  sealRound,
} from '#protocol/round';
import { ROUND_WIDTH, SEATS_MAX } from '#protocol/schema';
import type { Opening } from '#protocol/typed';

// The same cases on every run.
fc.configureGlobal({ seed: 3 });

const named = (name: string): Hash => toHex(sha256(utf8(name)));
const PAD_SEED = named('pad');
const ROUND_ID = named('round');
const PROVIDER = `0x${'11'.repeat(20)}` as const;
const ALL_SLOTS = Array.from({ length: ROUND_WIDTH }, (_, slot) => slot);

const hash = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => toHex(bytes));
/** Any subset of slots, each with a commitment. */
const sealed = fc
  .uniqueArray(fc.integer({ min: 0, max: ROUND_WIDTH - 1 }), { maxLength: ROUND_WIDTH })
  .chain((slots) => fc.tuple(...slots.map((slot) => fc.tuple(fc.constant(slot), hash))))
  .map((entries) => new Map(entries));

describe('a sealed round', () => {
  it('proves every commitment at its own slot, and nothing else', () => {
    fc.assert(
      fc.property(sealed, fc.integer({ min: 0, max: 4095 }), hash, (commitments, index, stranger) => {
        const { root, path } = sealRound(ROUND_ID, index, PAD_SEED, commitments);
        const round = { roundId: ROUND_ID, index, roundRoot: root };
        for (const slot of ALL_SLOTS) {
          const own = commitments.get(slot);
          expect(path(slot)).toHaveLength(4);
          expect(commitmentInRound(round, slot, stranger, path(slot))).toBe(false);
          if (own === undefined) continue;
          const places = ALL_SLOTS.filter((place) => commitmentInRound(round, place, own, path(place)));
          expect(places).toEqual([slot]);
          expect(ALL_SLOTS.filter((place) => commitmentInRound(round, place, own, path(slot)))).toEqual([slot]);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('never passes padding off as a member, whatever commitment is claimed for it', () => {
    const { root, path } = sealRound(ROUND_ID, 0, PAD_SEED, new Map([[3, named('c')]]));
    const round = { roundId: ROUND_ID, index: 0, roundRoot: root };
    for (const slot of ALL_SLOTS.filter((place) => place !== 3)) {
      const padding = toHex(paddingLeaf(PAD_SEED, ROUND_ID, 0, slot));
      expect(commitmentInRound(round, slot, padding, path(slot))).toBe(false);
    }
  });

  it('holds for its own id, index and root only', () => {
    const commitment = named('c');
    const { root, path } = sealRound(ROUND_ID, 5, PAD_SEED, new Map([[7, commitment]]));
    const round = { roundId: ROUND_ID, index: 5, roundRoot: root };
    expect(commitmentInRound(round, 7, commitment, path(7))).toBe(true);
    for (const change of [{ roundId: named('other') }, { index: 6 }, { roundRoot: named('other') }]) {
      expect(commitmentInRound({ ...round, ...change }, 7, commitment, path(7))).toBe(false);
    }
  });

  it('has no path but one of four hashes: a root over a lone leaf would let others commit later', () => {
    const commitment = named('c');
    const { root, path } = sealRound(ROUND_ID, 0, PAD_SEED, new Map([[0, commitment]]));
    const round = { roundId: ROUND_ID, index: 0, roundRoot: root };
    expect(commitmentInRound(round, 0, commitment, path(0).slice(0, 3))).toBe(false);
    expect(commitmentInRound(round, 0, commitment, [...path(0), ZERO_HASH])).toBe(false);
    const alone = toHex(roundLeaf(ROUND_ID, 0, 0, commitment));
    expect(commitmentInRound({ ...round, roundRoot: alone }, 0, commitment, [])).toBe(false);
  });

  it('has another root when one member is hidden as padding or added late', () => {
    const two = new Map([
      [1, named('a')],
      [2, named('b')],
    ]);
    const one = new Map([[1, named('a')]]);
    const roots = [two, one].map((members) => sealRound(ROUND_ID, 0, PAD_SEED, members).root);
    expect(roots[0]).not.toBe(roots[1]);
    expect(sealRound(ROUND_ID, 0, named('other pad'), two).root).not.toBe(roots[0]);
  });
});

describe('member slots', () => {
  it('are distinct, inside the round, and the same whoever else sits', () => {
    fc.assert(
      fc.property(hash, hash, fc.integer({ min: 1, max: SEATS_MAX }), (padSeed, roundId, seats) => {
        const slots = memberSlots(padSeed, roundId, seats);
        expect(new Set(slots).size).toBe(seats);
        expect(slots.every((slot) => slot >= 0 && slot < ROUND_WIDTH)).toBe(true);
        expect(memberSlots(padSeed, roundId, SEATS_MAX).slice(0, seats)).toEqual(slots);
      }),
    );
  });

  it('tell a member nothing about its seat: every slot comes about equally often', () => {
    const rounds = 1600;
    const counts = new Array<number>(ROUND_WIDTH).fill(0);
    for (let i = 0; i < rounds; i++) counts[memberSlots(PAD_SEED, named(`round ${i}`), 1)[0]!]! += 1;
    // 100 each; chi-squared with 15 degrees of freedom is above 37.7 in one of a thousand, and the inputs are fixed.
    const chiSquared = counts.reduce((sum, count) => sum + (count - 100) ** 2 / 100, 0);
    expect(chiSquared).toBeLessThan(37.7);
  });

  it.each([0, 16, -1, 1.5, Number.NaN])('refuse %s seats', (seats) => {
    expect(() => memberSlots(PAD_SEED, ROUND_ID, seats)).toThrow(RangeError);
  });
});

describe('an opening', () => {
  const opening: Opening = {
    jobId: named('job'),
    index: 1,
    previous: named('c0'),
    previousRoot: named('r0'),
    tokenCount: 4,
    last: false,
    tokensHash: named('tokens'),
    evidenceRoot: named('evidence'),
    salt: named('salt'),
  };
  const commitment = commitmentHash(PROVIDER, opening);
  const expected = { commitment, previous: opening.previous, previousRoot: opening.previousRoot };

  it('fits its commitment in its place of the chain', () => {
    expect(openingFits(PROVIDER, opening, expected)).toBe(true);
  });

  it.each<[string, Partial<Opening>]>([
    ['jobId', { jobId: named('x') }],
    ['index', { index: 2 }],
    ['previous', { previous: named('x') }],
    ['previousRoot', { previousRoot: named('x') }],
    ['tokenCount', { tokenCount: 5 }],
    ['last', { last: true }],
    ['tokensHash', { tokensHash: named('x') }],
    ['evidenceRoot', { evidenceRoot: named('x') }],
    ['salt', { salt: named('x') }],
  ])('does not fit with another %s', (_, change) => {
    expect(commitmentHash(PROVIDER, { ...opening, ...change })).not.toBe(commitment);
    expect(openingFits(PROVIDER, { ...opening, ...change }, expected)).toBe(false);
  });

  it('does not fit for another provider, so that a copied commitment cannot be opened', () => {
    expect(openingFits(`0x${'12'.repeat(20)}`, opening, expected)).toBe(false);
  });

  it.each(['previous', 'previousRoot'] as const)('does not fit when it continues another %s', (key) => {
    const moved = { ...opening, [key]: ZERO_HASH };
    const own = { ...expected, commitment: commitmentHash(PROVIDER, moved) };
    expect(openingFits(PROVIDER, moved, own)).toBe(false);
  });
});

it('the hash over roots depends on their order and number', () => {
  const [a, b] = [named('a'), named('b')];
  const hashes = [[], [a], [b], [a, b], [b, a], [a, a]].map((roots) => rootsHash(roots));
  expect(new Set(hashes).size).toBe(hashes.length);
});
