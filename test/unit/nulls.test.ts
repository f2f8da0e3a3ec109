/** A small slice of `npm run bench:nulls`, and that its shortcuts are none: the same numbers as the judge's own functions. */
import { expect, test } from 'vitest';
import { LOGIT_Q16_MIN, LOGIT_SCALE, MARGIN_CLIP, MASS_Q32_ONE } from '#protocol/evidence';
import { GREEDY } from '#protocol/sampling';
import { BETS, bet, detectorOf, WEALTH_AT_START, wealthOf } from '#protocol/wealth';
import { responseFactors } from '../../gateway/judge/factors.ts';
import { copiesNull } from '../bench/nulls/copies.ts';
import { FastWealth } from '../bench/nulls/fast-wealth.ts';
import { meanWeight, rareProbability } from '../bench/nulls/importance.ts';
import { type Kind, MarginMaker, type MarginScenario, type Pool } from '../bench/nulls/margins.ts';
import { playNulls } from '../bench/nulls/nulls.ts';
import { OPENED_BETS, OpenedMaker } from '../bench/nulls/opened.ts';
import { gainTable, MARGIN_BETS } from '../bench/nulls/pool.ts';
import { OPENED_SCENARIOS, poolOf, SCENARIOS } from '../bench/nulls/scenarios.ts';
import { sampled } from './judge-fixture.ts';

const shared = SCENARIOS.find(({ dependence, client }) => dependence === 'shared' && client === 'near_ties')!;
const independent = SCENARIOS.find(({ dependence }) => dependence === 'independent')!;
const bought = SCENARIOS.find((scenario) => scenario.bought > 0)!;
const pools = new Map([shared, independent, bought].map((scenario) => [scenario, poolOf(scenario.law)]));
const poolFor = (scenario: MarginScenario): Pool => pools.get(scenario)!;
const makerOf = (scenario: MarginScenario, seed?: number) => new MarginMaker(scenario, poolFor(scenario), seed);

test('the tables give the factors that the judge gives', () => {
  // Evidence of the tables is of position 0 alone: a response of one token has nothing else.
  const maker = makerOf(shared, 3);
  const { positions } = poolFor(shared).near;
  for (let i = 0; i < 40; i++) {
    const range = i % shared.law.ranges.length;
    maker.take(poolFor(shared).near, [i], () => range);
    const [chosen, chosenLogit] = positions[i]!.tokens[range]!;
    const claimed = { tokens: [chosen], sampling: sampled({}), seed: 5n };
    const evidence = [{ ...positions[i]!.evidence, chosen, chosenLogit }];
    const factors = responseFactors({ claimed, evidence, bounds: shared.law.bounds })!;
    expect([...maker.factors]).toEqual(BETS.flatMap(({ test: kind }, at) => (kind === 'margin' ? [factors[at]!] : [])));
  }
});

test('the wealth in place is the wealth of the protocol', () => {
  const maker = makerOf(shared, 4);
  const path = new FastWealth(MARGIN_BETS);
  path.reset();
  let wealth = WEALTH_AT_START;
  for (let i = 0; i < 100; i++) {
    maker.next(1);
    path.bet(maker.factors);
    let margin = 0;
    wealth = bet(
      wealth,
      BETS.map(({ test: kind }) => (kind === 'margin' ? maker.factors[margin++]! : 1)),
    );
    expect(path.wealth).toBeCloseTo(wealthOf(wealth), 12);
    expect(path.alarm).toBeCloseTo(detectorOf(wealth), 9);
  }
});

test.each([
  ['ranges in common, near-ties alone', makerOf(shared)],
  ['independent ranges, heavy tails', makerOf(independent)],
  ['four of five requests bought', makerOf(bought)],
  ['opened evidence, ranges in common', new OpenedMaker(OPENED_SCENARIOS.at(-1)!)],
] as const)(
  '%s: whoever stops at the worst moment accuses one in a hundred at 100, one in a million at 10^6',
  (_, maker) => {
    const { reached, nulls } = playNulls(maker, 64, 1_500);
    // Three standard deviations above 15 of 1,500.
    expect(reached['1e2']).toBeLessThanOrEqual(0.01 * nulls + 3 * Math.sqrt(0.01 * nulls));
    const { hits, interval } = rareProbability(maker, 64, 400, 1e6);
    expect(hits).toBeGreaterThan(20);
    expect(interval[1]).toBeLessThan(1e-6);
  },
);

test.each([
  ['margins', makerOf(shared, 9), makerOf(shared)],
  ['margins, most requests bought', makerOf(bought, 9), makerOf(bought)],
  ['opened evidence', new OpenedMaker({ ...OPENED_SCENARIOS[3]!, seed: 9 }), new OpenedMaker(OPENED_SCENARIOS[3]!)],
] as const)('%s: importance sampling estimates what counting finds', (_, maker, tilted) => {
  const nulls = 4_000;
  let hits = 0;
  const path = new FastWealth(maker.bets);
  for (let i = 0; i < nulls; i++) {
    path.reset();
    let isHit = false;
    for (let response = 0; response < 32 && !isHit; response++) {
      maker.next(path.wealth);
      path.bet(maker.factors);
      isHit = path.wealth >= 5;
    }
    if (isHit) hits++;
  }
  const { interval } = rareProbability(tilted, 32, 2_000, 5);
  const error = Math.sqrt(hits) / nulls;
  expect(hits).toBeGreaterThan(20);
  expect(interval[0]).toBeLessThan(hits / nulls + 3 * error);
  expect(interval[1]).toBeGreaterThan(hits / nulls - 3 * error);
});

test.each([
  ['margins', makerOf(independent)],
  ['margins, most requests bought', makerOf(bought)],
  ['opened evidence, independent ranges', new OpenedMaker(OPENED_SCENARIOS[0]!)],
  ['opened evidence, ranges in common', new OpenedMaker(OPENED_SCENARIOS[3]!)],
] as const)('%s: paths are drawn by the ratios that they count by, so that all weights together are 1', (_, maker) => {
  const { mean, error } = meanWeight(maker, 48, 1_000);
  expect(error).toBeLessThan(0.1);
  expect(Math.abs(mean - 1)).toBeLessThan(3.5 * error);
});

test('a compensator of a tenth of the right one is noticed: the slice could fail', () => {
  const near = poolFor(shared).near.positions.map((position) => ({ ...position, expected: position.expected / 10 }));
  const wrong: Kind = { positions: near, gains: gainTable(shared.law, near) };
  const { reached, nulls } = playNulls(new MarginMaker(shared, { ...poolFor(shared), near: wrong }), 512, 200);
  expect(reached['1e2']).toBeGreaterThan(0.1 * nulls);
  expect(MARGIN_BETS).toHaveLength(11);
});

test('tables of opened evidence give the factors that the judge gives', () => {
  const scenario = OPENED_SCENARIOS[0]!;
  const { ranges, bounds } = scenario.law;
  const maker = new OpenedMaker(scenario);
  const top = Array.from({ length: 8 }, (_, id) => [id, -id * LOGIT_SCALE] as const);
  const rest = { chosen: 0, chosenLogit: 0, keptCount: 8, lastKeptLogit: LOGIT_Q16_MIN, massQ32: MASS_Q32_ONE };
  const scored = { ...rest, top };
  for (let count = 1; count <= 16; count++) {
    // Every other token moves by the range: no median is farther, and nothing changes places.
    const rangeOf = (position: number) => (position * 5 + count) % ranges.length;
    const opened = Array.from({ length: count }, (_, position) => {
      const by = Math.ceil(Math.min(ranges[rangeOf(position)]!, 2 * MARGIN_CLIP) * LOGIT_SCALE);
      const own = { ...scored, top: top.map(([id, logit]) => [id, id === 0 ? logit : logit - by] as const) };
      return { position, own, scored };
    });
    maker.take(count, rangeOf);
    const claimed = { tokens: Array.from({ length: count }, () => 0), sampling: GREEDY, seed: 5n };
    const factors = responseFactors({ claimed, evidence: claimed.tokens.map(() => scored), bounds, opened })!;
    const judged = BETS.flatMap(({ test: kind }, at) => (kind === 'opened' ? [factors[at]!] : []));
    expect(judged).toHaveLength(OPENED_BETS.length);
    // Gaps below 2^-16 are rounded up to it.
    for (const [i, factor] of judged.entries()) {
      expect(factor).toBeGreaterThanOrEqual(maker.factors[i]!);
      expect(factor).toBeCloseTo(maker.factors[i]!, 1);
    }
  }
});

test('an honest provider would have to write the same by chance four times before copies slash it', () => {
  expect(copiesNull(4_096, 1e2)).toMatchObject({ coincidences: 2 });
  expect(copiesNull(4_096, 1e2).bound).toBeCloseTo((4_096 * 4_095 * 1e-18) / 2, 20);
  expect(copiesNull(4_096, 1e6)).toMatchObject({ coincidences: 4 });
  expect(copiesNull(4_096, 1e6).bound).toBeLessThan(1e-20);
  expect(copiesNull(16, 1e6).coincidences).toBe(4);
});
