/** Honest providers by every way to be convicted, in small numbers; and the same checks on those that are not. */
import { describe, expect, test } from 'vitest';
import { FastRng } from '../bench/nulls/fast-rng.ts';
import { OpenedMaker } from '../bench/nulls/opened.ts';
import { poolOf, SCENARIOS } from '../bench/nulls/scenarios.ts';
import { auditHonest, BOUNDED, measured, stretched } from './honest.ts';
import { leastHeadroom, measuredScenarios, singleFinding, WatchedMaker } from './honest-answers.ts';
import { openedFactors } from './honest-bets.ts';

const RULES = { reject: 0.5, gross: 1 };

describe('honest providers', () => {
  test('are not slashed in 10,000 audits as bad as calibrations allow', () => {
    const rows = auditHonest(10_000, 500, BOUNDED.slice(3, 4));
    expect(rows.reduce((sum, { audits }) => sum + audits, 0)).toBe(10_000);
    expect(rows.map(({ slashed }) => slashed)).toEqual([0]);
  });

  test('of measured pairs are neither convicted by one answer nor by their accounts', () => {
    const pairs = measured();
    expect(pairs.length).toBeGreaterThan(16);
    // The default engine with itself, and half precision, which is farthest from it.
    const rows = auditHonest(2_000, 250, pairs.slice(0, 2));
    for (const row of rows) {
      expect(row).toMatchObject({ audits: 1_000, slashed: 0, quarantined: 0, rejected: 0, convicting: 0 });
    }
  });

  test('are nine times as far from what convicts as any two machines were ever measured to be', () => {
    expect(leastHeadroom()).toBeGreaterThan(9);
    const [measuredOnce, far] = [1, 50_000].map((stretch) => stretched(400, stretch, 1));
    expect(measuredOnce).toMatchObject({ rejected: 0, convicting: 0 });
    expect(far!.convicting).toBeGreaterThan(0);
    expect(far!.rejected).toBeGreaterThanOrEqual(far!.convicting);
  });
});

describe('the checks of a single answer', () => {
  const [scenario] = SCENARIOS as [(typeof SCENARIOS)[number]];
  const pool = poolOf(scenario.law);
  const { ranges } = scenario.law;
  const answerOf = (range: number, tokens: number) => {
    const maker = new WatchedMaker(scenario, pool, 1);
    maker.take(
      pool.mixed,
      Array.from({ length: tokens }, (_, at) => at),
      () => range,
    );
    return maker;
  };

  test('convict where every token is as wrong as there is, by evidence that is far off; not where ranges are small', () => {
    const found = singleFinding(answerOf(ranges.length - 1, 16), RULES);
    expect(found.conviction).toMatchObject({ fault: 'wrong_output', reason: 'evidence_far_off', count: 16 });
    expect(singleFinding(answerOf(0, 16), RULES)).toEqual({ isRejected: false, conviction: null });
  });

  test('convict by tokens at the clip where evidence is near enough', () => {
    const found = singleFinding(answerOf(ranges.length - 1, 16), { reject: 0.5, gross: 1_000 });
    expect(found.conviction).toMatchObject({ reason: 'tokens_at_clip' });
  });

  test('do not convict of two tokens', () => {
    const maker = answerOf(ranges.length - 1, 16);
    maker.take(maker.kind!, maker.picked, (token) => (token < 2 ? ranges.length - 1 : 0));
    expect(singleFinding(maker, RULES).conviction).toBeNull();
  });
});

test('openings come with a quarter of the answers, and are of the answer that margins are bet on', () => {
  const [{ law }] = measuredScenarios() as [ReturnType<typeof measuredScenarios>[number]];
  const wide = { ...law, law: { ...law.law, ranges: [0, 2], probabilities: [1, 0] } };
  const [opened, rng] = [new OpenedMaker(wide), new FastRng(3)];
  const some = (range: number) =>
    Array.from({ length: 4_000 }, () => openedFactors(opened, { rng, ranges: [range, range, range, range] }));
  const [near, far] = [some(0), some(1)];
  for (const all of [near, far]) {
    const isOpened = all.filter((factors) => factors.some((factor) => factor !== 1));
    expect(isOpened.length).toBeGreaterThan(850);
    expect(isOpened.length).toBeLessThan(1_150);
  }
  expect(near.every((factors) => factors.every((factor) => factor <= 1))).toBe(true);
  expect(far.every((factors) => factors.every((factor) => factor >= 1))).toBe(true);
});
