/** What a provider makes of cheating until it is convicted: no way of it pays at the rate that is asked for (spec-money.md §11.11). */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { worthOf } from '../../gateway/audit/cheat-loss.ts';
import {
  answersToConviction,
  auditRate,
  type Incentive,
  lossByAnswerNano,
  neededPpm,
  runProfitNano,
  slashNano,
  takenNano,
} from '../../gateway/audit/equilibrium.ts';
import { C, cheatArb, incentiveArb, none, recordArb, standing, tableOf, whole } from './audit-rate-fixture.ts';

describe('the run of a cheat', () => {
  test('against a count of 20,000 made-up runs: answers until the conviction and what was saved', () => {
    const incentive = standing(100n, { lagNano: 5n * C, collusionPpm: 250_000 });
    const cheat = whole({ auditsMilli: 3_000, fractionPpm: 500_000 });
    const ratePpm = 40_000;
    // mulberry32, apart from every generator of the project.
    let state = 12_345;
    const unit = () => {
      state = (state + 0x6d2b79f5) | 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    };
    let [answers, saved] = [0, 0];
    const runs = 20_000;
    for (let run = 0; run < runs; run++) {
      for (let left = 3; left > 0; answers++) {
        if (unit() < 0.5) saved += 0.9;
        if (unit() < 0.04 && unit() >= 0.25) left--;
      }
      for (let i = 0; i < 5; i++) if (unit() < 0.5) saved += 0.9;
    }
    // 100 answers on average with a deviation of 57, so 0.4 for the mean of 20,000.
    expect(answersToConviction(incentive, cheat, ratePpm)).toBeCloseTo(100, 6);
    expect(answers / runs).toBeGreaterThan(98);
    expect(answers / runs).toBeLessThan(102);
    const predicted = Number(takenNano(incentive, cheat, ratePpm)!) / Number(C);
    expect(predicted).toBeCloseTo(0.45 * 105, 6);
    expect(Math.abs(saved / runs - predicted)).toBeLessThan(0.02 * predicted);
  });

  test('loses no more than what is free of the stake', () => {
    expect(slashNano(standing(100n, { freeNano: 7n * C }), whole({ fault: 'wrong_output' }))).toBe(7n * C);
    expect(slashNano(standing(100n), whole({ fault: 'wrong_output' }))).toBe(20n * C);
  });

  test('takes retained pay beside the stake, where the fault is one that pay is forfeited for', () => {
    const cheat = whole({ fault: 'wrong_output', auditsMilli: 10_000 });
    const retainedNano = 400n * C;
    // 9 C a conviction: of 20 C of stake 45%, with 400 C of pay a fiftieth of that.
    expect(neededPpm(standing(100n), cheat)).toBe(450_001);
    expect(neededPpm(standing(100n, { retainedNano }), cheat)).toBe(21_429);
    expect(neededPpm(standing(100n, { retainedNano }), { ...cheat, fault: 'lying_scorer' })).toBe(
      neededPpm(standing(100n), { ...cheat, fault: 'lying_scorer' }),
    );
    expect(auditRate(standing(100n, { retainedNano }), none, tableOf(cheat)).ratePpm).toBeLessThan(
      auditRate(standing(100n), none, tableOf(cheat)).ratePpm,
    );
    expect(() => auditRate(standing(100n, { retainedNano: -1n }), none, tableOf(cheat))).toThrow(RangeError);
  });

  test('of an answer is found by rate and power: 10% of nine tenths of 200 answers less nine tenths of one', () => {
    const cheat = whole({ fault: 'wrong_output', auditsMilli: 1_111 });
    const at = (change: Partial<Incentive>) => lossByAnswerNano(standing(1_000n, change), cheat, 100_000);
    expect(Number(at({}))).toBeCloseTo(((0.1 * 200) / 1.111) * 1e6 - 900_000, -1);
    expect(Number(at({ collusionPpm: 500_000 }))).toBeCloseTo(((0.05 * 200) / 1.111) * 1e6 - 900_000, -1);
    expect(at({ retainedNano: C }) > at({})).toBe(true);
  });

  test('of the best cheat is above 0 exactly where no cheat of the table is named as one that pays, but for roundings', () => {
    fc.assert(
      fc.property(incentiveArb, cheatArb, cheatArb, recordArb, (incentive, a, b, record) => {
        const table = tableOf(a, { ...b, cheat: 'other' });
        const { ratePpm, undeterred } = auditRate(incentive, record, table);
        const loss = worthOf(incentive, table, ratePpm).lossNano;
        if (undeterred.length === 0) expect(loss >= -2n).toBe(true);
        else expect(loss <= 0n || worthOf(incentive, table, Math.max(0, ratePpm - 1)).lossNano <= 0n).toBe(true);
      }),
      { endOnFailure: true },
    );
  });

  test('never ends where nobody honest audits', () => {
    expect(runProfitNano(standing(100n), whole(), 0)).toBeNull();
    expect(runProfitNano(standing(100n, { collusionPpm: 1_000_000 }), whole(), 500_000)).toBeNull();
    expect(answersToConviction({ collusionPpm: 0 }, whole(), 0)).toBe(Number.POSITIVE_INFINITY);
  });
});
