/** Incentives, cheats and records as tests of the audit rate change them. */
import fc from 'fast-check';
import type { CheatFigures } from '../../gateway/audit/detection.ts';
import { type AuditRules, type Incentive, neededPpm } from '../../gateway/audit/equilibrium.ts';
import { PENALTY_BPS, type ProviderFault } from '../../gateway/ledger/penalties.ts';

export const C = 1_000_000n;
/** Convicts with all of the stake, so that figures compare with the published ones. */
export const whole = (change: Partial<CheatFigures> = {}): CheatFigures => ({
  cheat: 'gross',
  fractionPpm: 1_000_000,
  savedPpm: 900_000,
  fault: 'equivocation',
  auditsMilli: 1_000,
  ...change,
});
export const standing = (stake: bigint, change: Partial<Incentive> = {}): Incentive => ({
  priceNano: C,
  stakeNano: stake * C,
  freeNano: stake * C,
  lagNano: 0n,
  collusionPpm: 0,
  ...change,
});
export const none = { passed: 0, isFlagged: false };

export const faults = (Object.keys(PENALTY_BPS) as ProviderFault[]).filter((fault) => PENALTY_BPS[fault] > 0n);
export const ppm = fc.integer({ min: 0, max: 1_000_000 });
export const cheatArb: fc.Arbitrary<CheatFigures> = fc.record({
  cheat: fc.constant('some'),
  fractionPpm: fc.integer({ min: 1, max: 1_000_000 }),
  savedPpm: ppm,
  fault: fc.constantFrom(...faults),
  auditsMilli: fc.integer({ min: 1_000, max: 1_000_000 }),
});
export const incentiveArb: fc.Arbitrary<Incentive> = fc
  .record({
    priceNano: fc.bigInt({ min: 1n, max: 10n ** 12n }),
    stakeNano: fc.bigInt({ min: 0n, max: 10n ** 17n }),
    freeBps: fc.bigInt({ min: 0n, max: 10_000n }),
    lagNano: fc.bigInt({ min: 0n, max: 10n ** 14n }),
    collusionPpm: ppm,
  })
  .map(({ freeBps, ...rest }) => ({ ...rest, freeNano: (rest.stakeNano * freeBps) / 10_000n }));
export const rulesArb: fc.Arbitrary<AuditRules> = fc
  .record({
    low: ppm,
    high: ppm,
    marginPpm: fc.integer({ min: 1_000_000, max: 3_000_000 }),
    extra: fc.integer({ min: 0, max: 9_000_000 }),
    recordHalf: fc.integer({ min: 1, max: 1_000 }),
  })
  .map(({ low, high, marginPpm, extra, recordHalf }) => ({
    floorPpm: Math.min(low, high),
    ceilingPpm: Math.max(low, high),
    marginPpm,
    newPpm: marginPpm + extra,
    recordHalf,
  }));
export const recordArb = fc.record({ passed: fc.nat(10_000), isFlagged: fc.boolean() });
export const tableOf = (...cheats: CheatFigures[]) => ({ source: 'made up', date: '2026-11-26', cheats });
/** A need as a number that can be compared: what no rate meets is above all rates. */
export const needOf = (incentive: Incentive, cheat: CheatFigures) =>
  neededPpm(incentive, cheat) ?? Number.POSITIVE_INFINITY;
