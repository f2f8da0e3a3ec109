/** How often accomplices sit where it matters. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  auditCollusionPpm,
  drawnProbability,
  poolOf,
  quorumCapture,
  witnessedCapture,
} from '../../gateway/audit/collusion.ts';

const poolArb = fc
  .tuple(fc.integer({ min: 1, max: 60 }), fc.nat(60))
  .map(([operators, colluding]) => ({ operators, colluding: Math.min(operators, colluding) }));

/** Every set of seats, one by one: what a draw without replacement is. */
function counted(operators: number, colluding: number, seats: number, hits: number): number {
  let [of, all] = [0, 0];
  for (let set = 0; set < 2 ** operators; set++) {
    const members = Array.from({ length: operators }, (_, i) => (set >> i) & 1);
    if (members.reduce((sum, bit) => sum + bit, 0) !== seats) continue;
    all++;
    if (members.slice(0, colluding).reduce((sum, bit) => sum + bit, 0) === hits) of++;
  }
  return of / all;
}

describe('accomplices in a finite registry', () => {
  test('are drawn as often as in all sets of seats of twelve operators', () => {
    for (const [colluding, seats, hits] of [
      [3, 5, 0],
      [3, 5, 2],
      [6, 4, 4],
      [1, 12, 1],
      [2, 3, 3],
    ] as const) {
      expect(drawnProbability({ operators: 12, colluding }, seats, hits)).toBeCloseTo(
        counted(12, colluding, seats, hits),
        12,
      );
    }
  });

  test('have the majorities of the reference: of 30 with 6 bad, 9.4% of three seats and 1.6% of seven', () => {
    const pool = { operators: 30, colluding: 6 };
    const majority = (n: number) => {
      let sum = 0;
      for (let hits = (n + 1) / 2; hits <= n; hits++) sum += drawnProbability(pool, n, hits);
      return sum;
    };
    expect(majority(3)).toBeCloseTo(0.094, 3);
    expect(majority(7)).toBeCloseTo(0.016, 3);
  });

  test('come to 1 over all counts', () => {
    fc.assert(
      fc.property(poolArb, fc.integer({ min: 1, max: 15 }), (pool, wanted) => {
        const seats = Math.min(wanted, pool.operators);
        let sum = 0;
        for (let hits = 0; hits <= seats; hits++) sum += drawnProbability(pool, seats, hits);
        expect(sum).toBeCloseTo(1, 10);
      }),
    );
  });

  test('a fifth of five operators is one, of six two', () => {
    expect(poolOf(5, 0.2)).toEqual({ operators: 5, colluding: 1 });
    expect(poolOf(6, 0.2)).toEqual({ operators: 6, colluding: 2 });
    expect(poolOf(3, 1)).toEqual({ operators: 3, colluding: 3 });
    expect(poolOf(3, 0)).toEqual({ operators: 3, colluding: 0 });
  });

  test('audit each other as often as others are drawn, and always where nobody else is there', () => {
    expect(auditCollusionPpm({ operators: 30, colluding: 6 })).toBe(Math.ceil((5 / 29) * 1e6));
    expect(auditCollusionPpm({ operators: 30, colluding: 6 }, 2)).toBe(Math.ceil(((5 * 4) / (29 * 28)) * 1e6));
    expect(auditCollusionPpm({ operators: 5, colluding: 1 })).toBe(0);
    expect(auditCollusionPpm({ operators: 1, colluding: 1 })).toBe(1_000_000);
  });

  test('capture a lone seat by their share, and no committee where they are fewer than it takes', () => {
    expect(quorumCapture({ operators: 5, colluding: 1 }, 1, 1)).toBeCloseTo(0.2, 12);
    expect(quorumCapture({ operators: 5, colluding: 1 }, 3, 3)).toBe(0);
    expect(witnessedCapture({ operators: 5, colluding: 1 }, 3, 3)).toBe(0);
    expect(witnessedCapture({ operators: 9, colluding: 0 }, 3, 3)).toBe(0);
    // Three seats of accomplices, or two with two lying scorers, of 5 accomplices in 10: by hand over the draws of five.
    const [three, two, one] = [
      (5 * 4 * 3) / (10 * 9 * 8),
      (3 * 5 * 4 * 5) / (10 * 9 * 8),
      (3 * 5 * 5 * 4) / (10 * 9 * 8),
    ];
    const expected = three + two * ((3 * 2) / (7 * 6)) + one * ((4 * 3) / (7 * 6));
    expect(quorumCapture({ operators: 10, colluding: 5 }, 3, 2)).toBeGreaterThanOrEqual(
      three + two * ((3 * 2) / (7 * 6)) - 1e-12,
    );
    expect(quorumCapture({ operators: 10, colluding: 5 }, 3, 2)).toBeLessThanOrEqual(expected + 1e-12);
  });

  test('capture of a large registry what a binomial tail says: 10.4% of quorums of three would be lost to a bare majority, 1.1% of witnessed', () => {
    const pool = { operators: 4_000, colluding: 800 };
    expect(witnessedCapture(pool, 3, 3)).toBeCloseTo(0.2 ** 3 + 2 * 0.2 ** 2 * 0.8 * 0.2 ** 2, 3);
    // Three of three, or one or two that both fresh scorers support.
    expect(quorumCapture(pool, 3, 2)).toBeLessThan(0.2 ** 3 + 3 * 0.2 * 0.8 * 0.2 ** 2 + 1e-3);
    expect(quorumCapture(pool, 3, 2)).toBeGreaterThan(0.2 ** 3);
  });

  test('capture no less with one accomplice more, and no more where one more seat must agree', () => {
    fc.assert(
      fc.property(poolArb, fc.integer({ min: 2, max: 9 }), fc.integer({ min: 2, max: 9 }), (pool, wanted, k) => {
        const n = Math.min(wanted, pool.operators);
        const agree = Math.min(k, n);
        if (n < 2) return;
        const more = { ...pool, colluding: Math.min(pool.operators, pool.colluding + 1) };
        for (const capture of [quorumCapture, witnessedCapture]) {
          const now = capture(pool, n, agree);
          expect(now).toBeGreaterThanOrEqual(0);
          expect(now).toBeLessThanOrEqual(1);
          expect(capture(more, n, agree)).toBeGreaterThanOrEqual(now - 1e-12);
          if (agree < n) expect(capture(pool, n, agree + 1)).toBeLessThanOrEqual(now + 1e-12);
        }
      }),
      { numRuns: 60 },
    );
  });
});
