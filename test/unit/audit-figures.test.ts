/** What a policy is worth, and the cheapest one for a wish. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cheapestOf, type PolicyOption, type SecurityTarget } from '../../gateway/audit/cheapest.ts';
import { captureOf, cheatLossNano } from '../../gateway/audit/figures.ts';
import { NO_BOUND } from '../fixtures/no-bound.ts';

const C = 1_000_000n;
const lone = { seatNano: C, stakeNano: 1_000n * C };
const pool = { operators: 30, colluding: 6 };

describe('the figures of a policy', () => {
  test('a lone seat is captured by the share of accomplices, and a pool that is too small is taken to be all seats', () => {
    expect(captureOf({ mode: 'single', n: 1, agree: 1 }, pool)).toBeCloseTo(0.2, 12);
    expect(captureOf({ mode: 'audited', n: 1, agree: 1 }, pool)).toBeCloseTo(0.2, 12);
    expect(captureOf({ mode: 'quorum', n: 3, agree: 3 }, { operators: 2, colluding: 0 })).toBe(0);
    expect(captureOf({ mode: 'quorum', n: 3, agree: 2 }, { operators: 2, colluding: 3 })).toBe(1);
  });

  test('cheating in single wins nine tenths of an answer, whatever the stake', () => {
    expect(cheatLossNano({ mode: 'single', n: 1, agree: 1 }, pool, lone)).toBe(-900_000n);
    expect(cheatLossNano({ mode: 'single', n: 1, agree: 1 }, pool, { ...lone, stakeNano: 10n ** 15n })).toBe(-900_000n);
  });

  test('a cheat without accomplices loses the whole penalty wherever others compare', () => {
    const alone = { operators: 5, colluding: 1 };
    for (const mode of ['quorum', 'witnessed']) {
      expect(cheatLossNano({ mode, n: 3, agree: 3 }, alone, lone)).toBe(200n * C - 900_000n);
    }
  });

  test('more accomplices never make a cheat lose more, more seats to agree never less', () => {
    const modes = fc.constantFrom('quorum', 'witnessed');
    fc.assert(
      fc.property(
        modes,
        fc.integer({ min: 2, max: 7 }),
        fc.nat(5),
        fc.integer({ min: 1, max: 19 }),
        (mode, n, lack, colluding) => {
          const agree = Math.max(2, n - lack);
          const at = (count: number, of: number) =>
            cheatLossNano({ mode, n, agree: of }, { operators: 20, colluding: count }, lone);
          expect(at(n, agree) <= at(1, agree)).toBe(true);
          if (agree < n) expect(at(colluding, agree + 1) >= at(colluding, agree)).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });
});

const optionArb: fc.Arbitrary<PolicyOption> = fc.record({
  quoteNano: fc.bigInt({ min: 0n, max: 20n }),
  priceMultiple: fc.integer({ min: 1, max: 15 }),
  captureProbability: fc.constantFrom(0, 0.01, 0.1, 0.2),
  stakeAtRiskNano: fc.bigInt({ min: 0n, max: 9n }),
  cheatLossNano: fc.bigInt({ min: -3n, max: 3n }),
  finalitySeconds: fc.constantFrom(0, 60),
});
const targetArb: fc.Arbitrary<SecurityTarget> = fc.record({
  maxCostNano: fc.option(fc.bigInt({ min: 0n, max: 20n })),
  priceMultipleMax: fc.option(fc.integer({ min: 1, max: 15 })),
  captureProbabilityMax: fc.option(fc.constantFrom(0, 0.05, 0.15, 1)),
  stakeAtRiskMinNano: fc.option(fc.bigInt({ min: 0n, max: 9n })),
  isDeterring: fc.boolean(),
  finalitySecondsMax: fc.option(fc.constantFrom(0, 59, 60)),
  colludingShare: fc.constant(0.2),
});

describe('the cheapest policy', () => {
  test('meets every bound, and none that does costs less; none is named only where none does', () => {
    fc.assert(
      fc.property(fc.array(optionArb, { maxLength: 12 }), targetArb, (options, target) => {
        const meets = (one: PolicyOption) =>
          !(
            (target.maxCostNano !== null && one.quoteNano > target.maxCostNano) ||
            (target.priceMultipleMax !== null && one.priceMultiple > target.priceMultipleMax) ||
            (target.captureProbabilityMax !== null && one.captureProbability > target.captureProbabilityMax) ||
            (target.stakeAtRiskMinNano !== null && one.stakeAtRiskNano < target.stakeAtRiskMinNano) ||
            (target.isDeterring && one.cheatLossNano <= 0n) ||
            (target.finalitySecondsMax !== null && one.finalitySeconds > target.finalitySecondsMax)
          );
        const chosen = cheapestOf(options, target);
        expect(chosen === null).toBe(!options.some(meets));
        if (chosen === null) return;
        expect(meets(chosen)).toBe(true);
        const isBudget =
          target.captureProbabilityMax === null && target.stakeAtRiskMinNano === null && !target.isDeterring;
        if (!isBudget) expect(options.some((one) => meets(one) && one.quoteNano < chosen.quoteNano)).toBe(false);
        else if (chosen.cheatLossNano <= 0n)
          expect(options.some((one) => meets(one) && one.cheatLossNano > 0n)).toBe(false);
      }),
    );
  });

  test('a budget alone buys the safest: one that deters before one that accomplices capture less often', () => {
    const base = { quoteNano: 1n, priceMultiple: 1, stakeAtRiskNano: 1n, finalitySeconds: 0 };
    const single = { ...base, captureProbability: 0.1, cheatLossNano: -1n };
    const audited = { ...base, quoteNano: 2n, captureProbability: 0.2, cheatLossNano: 5n };
    const quorum = { ...base, quoteNano: 9n, captureProbability: 0.01, cheatLossNano: 9n };
    expect(cheapestOf([single, audited, quorum], { ...NO_BOUND, maxCostNano: 5n })).toBe(audited);
    expect(cheapestOf([single, audited, quorum], { ...NO_BOUND, maxCostNano: 9n })).toBe(quorum);
    expect(cheapestOf([single, audited, quorum], { ...NO_BOUND, captureProbabilityMax: 0.15 })).toBe(single);
    expect(cheapestOf([single, audited, quorum], { ...NO_BOUND, isDeterring: true })).toBe(audited);
  });
});
