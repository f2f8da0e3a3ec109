/** Wealth: a fair mixture of bets, the same bits at every replay. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { eBhThreshold } from '#protocol/e-bh';
import { BETS, bet, detectorOf, EPOCH_RESPONSES, WEALTH_AT_START, type Wealth, wealthOf } from '#protocol/wealth';

const all = (factor: number) => BETS.map(() => factor);

function after(responses: number, factor: number, before: Wealth = WEALTH_AT_START): Wealth {
  let wealth = before;
  for (let i = 0; i < responses; i++) wealth = bet(wealth, all(factor));
  return wealth;
}

test('the shares of the bets are one stake', () => {
  expect(BETS.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 12);
  expect(wealthOf(WEALTH_AT_START)).toBe(1);
});

test('fair factors leave the mean wealth at 1, over every path of 20 responses and two starts', () => {
  // Four responses of chance, eight that say nothing, in every order of outcomes: exact, not simulated.
  const means = (depth: number, wealth: Wealth): number => {
    if (depth === 0) return wealthOf(wealth);
    const quiet = after(4, 1, wealth);
    return (means(depth - 1, bet(quiet, all(1.75))) + means(depth - 1, bet(quiet, all(0.25)))) / 2;
  };
  expect(means(8, WEALTH_AT_START)).toBeCloseTo(1, 12);
});

test('factors of a mean below 1 lower the mean wealth, a factor of 0 ends no later start', () => {
  expect(wealthOf(after(10, 0.9))).toBeLessThan(1);
  const ruined = after(EPOCH_RESPONSES, 0);
  expect(wealthOf(ruined)).toBe(0.5);
  expect(wealthOf(after(60, 2, ruined))).toBeGreaterThan(1e6);
});

test.each([100, 1_000, 10_000])(
  'a defection after %i honest responses is found at a cost of its logarithm',
  (honest) => {
    const before = after(honest, 0.999);
    let wealth = before;
    let responses = 0;
    while (wealthOf(wealth) < 1e6) {
      wealth = bet(wealth, all(2));
      responses++;
    }
    const starts = honest / EPOCH_RESPONSES;
    expect(responses).toBeLessThanOrEqual(EPOCH_RESPONSES + Math.log2(1e6) + 2 * Math.log2(starts + 2) + 2);
  },
);

test('the detector forgets honest responses at once', () => {
  const before = after(10_000, 0.5);
  expect(detectorOf(before)).toBeLessThanOrEqual(1);
  expect(detectorOf(after(20, 2, before))).toBeCloseTo(2 ** 20, 0);
});

test('a replay gives the same bits, also through JSON', () => {
  const factors = fc.array(fc.double({ min: 0, max: 128, noNaN: true }), {
    minLength: BETS.length,
    maxLength: BETS.length,
  });
  fc.assert(
    fc.property(fc.array(factors, { maxLength: 60 }), fc.nat(60), (responses, cut) => {
      const whole = responses.reduce(bet, WEALTH_AT_START);
      const first = responses.slice(0, cut).reduce(bet, WEALTH_AT_START);
      const stored = JSON.parse(JSON.stringify(first)) as Wealth;
      const replayed = responses.slice(cut).reduce(bet, stored);
      expect(replayed).toStrictEqual(JSON.parse(JSON.stringify(whole)));
      expect(Number.isFinite(wealthOf(whole))).toBe(true);
    }),
    { numRuns: 50 },
  );
});

describe('across a fleet', () => {
  test('the largest k with e_(k) >= n / (level k) decides', () => {
    // n = 4, level 0.5: 8 / k. Sorted 9, 5, 3, 1: 9 >= 8, 5 >= 4, 3 >= 2.67, 1 < 2.
    expect(eBhThreshold([1, 5, 9, 3], 0.5)).toBe(3);
    expect(eBhThreshold([1, 1, 7.9, 3.9], 0.5)).toBe(Number.POSITIVE_INFINITY);
    expect(eBhThreshold([], 0.5)).toBe(Number.POSITIVE_INFINITY);
  });

  test('a fleet of 10,000 asks more of one than a fleet of 10', () => {
    const fleet = (size: number) => [2e6, ...Array.from({ length: size - 1 }, () => 1)];
    expect(eBhThreshold(fleet(10), 1e-3)).toBe(2e6);
    expect(eBhThreshold(fleet(10_000), 1e-3)).toBe(Number.POSITIVE_INFINITY);
  });
});
