/** The audit rate: what the equilibrium asks for, and what records and policies do to it (spec-money.md §11.11). */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CheatFigures, DEFAULT_DETECTION, zDetectionTable } from '../../gateway/audit/detection.ts';
import {
  AUDIT_RULES,
  auditRate,
  type Incentive,
  neededPpm,
  runProfitNano,
  takenNano,
} from '../../gateway/audit/equilibrium.ts';
import {
  C,
  cheatArb,
  incentiveArb,
  needOf,
  none,
  ppm,
  recordArb,
  rulesArb,
  standing,
  tableOf,
  whole,
} from './audit-rate-fixture.ts';

describe('the equilibrium', () => {
  // Column "p (d=1, r=0)" and "p (d=.9, r=1/3)" of the networks reference, by hand without its reward: 0.9 / (d (1 - r) S).
  test.each([
    [10n, 1_000, 0, 0.09],
    [100n, 1_000, 0, 0.009],
    [100n, 1_111, 333_333, 0.015],
    [1_000n, 1_000, 0, 0.0009],
  ])(
    'at a stake of %d requests, %d thousandths of an audit and %d ppm of accomplices is the published one',
    (stake, auditsMilli, collusionPpm, share) => {
      const needed = neededPpm(standing(stake, { collusionPpm }), whole({ auditsMilli }))!;
      expect(needed / 1e6).toBeGreaterThan(share * 0.9999);
      expect(needed / 1e6).toBeLessThan(share * 1.001 + 1e-6);
    },
  );

  test('covers the run before the slash: S >= g (1 / (p d (1 - r)) + L), so 241 requests of stake make 1% enough and 239 do not', () => {
    // Reference: d = .9, r = 1/3, L = 100, p = 1% gives 238 C less the reward 1.2 C; here there is no reward: 150 + 90 = 240.
    const cheat = whole({ auditsMilli: 1_111 });
    const lag = { lagNano: 100n * C, collusionPpm: 333_333 };
    expect(needOf(standing(241n, lag), cheat)).toBeLessThanOrEqual(10_000);
    expect(needOf(standing(239n, lag), cheat)).toBeGreaterThan(10_000);
  });

  test('asks for nothing where nothing is saved, and finds no rate where the slash is served away before it lands', () => {
    expect(neededPpm(standing(100n), whole({ savedPpm: 0 }))).toBe(0);
    expect(neededPpm(standing(90n, { lagNano: 100n * C }), whole())).toBeNull();
    expect(neededPpm(standing(100n, { collusionPpm: 1_000_000 }), whole())).toBeNull();
    expect(neededPpm(standing(100n, { freeNano: 0n }), whole())).toBeNull();
  });

  test('grows with price, saving, fraction, audits, lag and accomplices, and falls with the stake and the free part of it', () => {
    const pair = fc.tuple(incentiveArb, cheatArb);
    const rises = (change: (i: Incentive, c: CheatFigures, by: number) => [Incentive, CheatFigures], sign: 1 | -1) =>
      fc.assert(
        fc.property(pair, fc.integer({ min: 1, max: 1_000_000 }), ([incentive, cheat], by) => {
          const [before, after] = [needOf(incentive, cheat), needOf(...change(incentive, cheat, by))];
          expect(sign === 1 ? after >= before : after <= before).toBe(true);
        }),
      );
    const most = (value: number) => Math.min(1_000_000, value);
    rises((i, c, by) => [{ ...i, priceNano: i.priceNano + BigInt(by) }, c], 1);
    rises((i, c, by) => [{ ...i, lagNano: i.lagNano + BigInt(by) }, c], 1);
    rises((i, c, by) => [{ ...i, collusionPpm: most(i.collusionPpm + by) }, c], 1);
    rises((i, c, by) => [i, { ...c, savedPpm: most(c.savedPpm + by) }], 1);
    rises((i, c, by) => [i, { ...c, fractionPpm: most(c.fractionPpm + by) }], 1);
    rises((i, c, by) => [i, { ...c, auditsMilli: c.auditsMilli + by }], 1);
    rises((i, c, by) => [{ ...i, stakeNano: i.stakeNano + BigInt(by) * 1_000_000n }, c], -1);
    rises((i, c, by) => [{ ...i, freeNano: i.freeNano + BigInt(by) * 1_000_000n }, c], -1);
  });

  test('is the least: whoever is audited so loses, and at two millionths less does not', () => {
    fc.assert(
      fc.property(incentiveArb, cheatArb, (incentive, cheat) => {
        const needed = neededPpm(incentive, cheat);
        if (needed === null || needed === 0) return;
        const profit = runProfitNano(incentive, cheat, needed)!;
        expect(profit <= 0n).toBe(true);
        if (needed > 2) expect(runProfitNano(incentive, cheat, needed - 2)! >= 0n).toBe(true);
      }),
    );
  });
});

describe('the rate', () => {
  test('lets no cheat that one audit can convict pay, on whatever share of the requests, unless it says so', () => {
    fc.assert(
      fc.property(incentiveArb, cheatArb, recordArb, rulesArb, ppm, (incentive, some, record, rules, share) => {
        const power = some.auditsMilli;
        const always = { ...some, fractionPpm: 1_000_000 };
        const { ratePpm, undeterred } = auditRate(incentive, record, tableOf(always), rules);
        if (undeterred.length > 0) return;
        // The same power for each audited answer that it did cheat on: fewer of them, so more audits.
        const fractionPpm = Math.max(1, share);
        const mixed = { ...always, fractionPpm, auditsMilli: Math.ceil((power * 1e6) / fractionPpm) };
        const profit = runProfitNano(incentive, mixed, ratePpm);
        // Rounded up: twice by a nano, and audits by a thousandth of one, which is so much of what is taken.
        const roundedNano = 2n + takenNano(incentive, mixed, ratePpm)! / BigInt(mixed.auditsMilli);
        if (some.savedPpm > 0) expect(profit! <= roundedNano).toBe(true);
      }),
      // Smaller amounts are no simpler, and the search for them has no end.
      { endOnFailure: true },
    );
  });

  test('is between floor and ceiling, never below the equilibrium for any record, and names what pays', () => {
    fc.assert(
      fc.property(incentiveArb, cheatArb, cheatArb, recordArb, rulesArb, (incentive, a, b, record, rules) => {
        const other = { ...b, cheat: 'other' };
        const { ratePpm, equilibriumPpm, undeterred } = auditRate(incentive, record, tableOf(a, other), rules);
        expect(ratePpm).toBeGreaterThanOrEqual(
          Math.max(rules.floorPpm, Math.min(rules.ceilingPpm, equilibriumPpm ?? 1e6)),
        );
        expect(ratePpm).toBeLessThanOrEqual(rules.ceilingPpm);
        for (const cheat of [a, other]) {
          const profit = runProfitNano(incentive, cheat, ratePpm);
          const pays = profit === null || profit > 0n;
          if (pays) expect(undeterred).toContain(cheat.cheat);
        }
      }),
    );
  });

  test('falls as audits are passed, is highest for the new and the flagged, and never reaches the bare equilibrium', () => {
    const at = (passed: number, isFlagged = false) =>
      auditRate(standing(100n), { passed, isFlagged }, tableOf(whole()), { ...AUDIT_RULES, floorPpm: 0 }).ratePpm;
    expect(at(0)).toBe(36_004);
    expect(at(20)).toBe(Math.ceil(9_001 * 2.625));
    expect(at(1_000_000)).toBeGreaterThanOrEqual(Math.ceil(9_001 * 1.25));
    expect(at(1_000_000)).toBeLessThan(9_001 * 1.26);
    expect(at(1_000_000, true)).toBe(AUDIT_RULES.ceilingPpm);
    fc.assert(fc.property(fc.nat(10_000), fc.nat(10_000), (a, b) => at(Math.min(a, b)) >= at(Math.max(a, b))));
  });

  test('is the ceiling where nothing deters, and says what pays', () => {
    const { ratePpm, equilibriumPpm, undeterred } = auditRate(standing(1n), none, DEFAULT_DETECTION);
    expect({ ratePpm, equilibriumPpm }).toEqual({ ratePpm: AUDIT_RULES.ceilingPpm, equilibriumPpm: null });
    expect(undeterred).toEqual([...new Set(DEFAULT_DETECTION.cheats.map(({ cheat }) => cheat))]);
  });

  test('is proportional to the price of the request, so that cheating on long answers alone pays no better', () => {
    const rate = (priceNano: bigint) =>
      auditRate({ ...standing(10_000n), priceNano }, none, tableOf(whole()), { ...AUDIT_RULES, floorPpm: 0 }).ratePpm;
    expect(rate(100n * C) / rate(10n * C)).toBeCloseTo(10, 1);
  });

  test.each([
    [{ ...AUDIT_RULES, marginPpm: 999_999 }],
    [{ ...AUDIT_RULES, newPpm: 1_000_000 }],
    [{ ...AUDIT_RULES, floorPpm: 300_000 }],
    [{ ...AUDIT_RULES, ceilingPpm: 1_000_001 }],
    [{ ...AUDIT_RULES, recordHalf: 0 }],
  ])('refuses rules such as %j, by which a record would stand for a stake', (rules) => {
    expect(() => auditRate(standing(100n), none, DEFAULT_DETECTION, rules)).toThrow(RangeError);
  });
});

test('the table that ships is one that a file may hold, and what convicts without a penalty or before an audit is none', () => {
  expect(zDetectionTable.safeParse(DEFAULT_DETECTION).success).toBe(true);
  const broken = (change: object) => tableOf({ ...whole(), ...change });
  for (const change of [
    { fault: 'timeout' },
    { auditsMilli: 999 },
    { savedPpm: 1_000_001 },
    { fractionPpm: 0 },
    { x: 1 },
  ])
    expect(zDetectionTable.safeParse(broken(change)).success).toBe(false);
  expect(zDetectionTable.safeParse(tableOf()).success).toBe(false);
});
