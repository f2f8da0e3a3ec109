/** A small slice of `npm run bench:nulls`, and that its shortcuts are none: the same numbers as the judge's own functions. */
import { expect, test } from 'vitest';
import { BETS, bet, detectorOf, WEALTH_AT_START, wealthOf } from '#protocol/wealth';
import { responseFactors } from '../../gateway/judge/factors.ts';
import { FastWealth } from '../bench/nulls/fast-wealth.ts';
import { rareProbability } from '../bench/nulls/importance.ts';
import { type Kind, type NullScenario, type Pool, playNulls, ResponseMaker } from '../bench/nulls/nulls.ts';
import { gainTable, MARGIN_BETS } from '../bench/nulls/pool.ts';
import { poolOf, SCENARIOS } from '../bench/nulls/scenarios.ts';
import { sampled } from './judge-fixture.ts';

const shared = SCENARIOS.find(({ dependence, client }) => dependence === 'shared' && client === 'near_ties')!;
const independent = SCENARIOS.find(({ dependence }) => dependence === 'independent')!;
const pools = new Map([shared, independent].map((scenario) => [scenario, poolOf(scenario.law)]));
const poolFor = (scenario: NullScenario): Pool => pools.get(scenario)!;

test('the tables give the factors that the judge gives', () => {
  // Evidence of the tables is of position 0 alone: a response of one token has nothing else.
  const maker = new ResponseMaker(shared, 3);
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
  const maker = new ResponseMaker(shared, 4);
  const path = new FastWealth();
  path.reset();
  let wealth = WEALTH_AT_START;
  for (let i = 0; i < 100; i++) {
    maker.next(poolFor(shared), 1);
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
  ['ranges in common, near-ties alone', shared],
  ['independent ranges, heavy tails', independent],
] as const)(
  '%s: whoever stops at the worst moment accuses one in a hundred at 100, one in a million at 10^6',
  (_, scenario) => {
    const { reached, nulls } = playNulls(scenario, poolFor(scenario), 1_500);
    // Three standard deviations above 15 of 1,500.
    expect(reached['1e2']).toBeLessThanOrEqual(0.01 * nulls + 3 * Math.sqrt(0.01 * nulls));
    const { hits, interval } = rareProbability(scenario, poolFor(scenario), 400, 1e6);
    expect(hits).toBeGreaterThan(20);
    expect(interval[1]).toBeLessThan(1e-6);
  },
);

test('importance sampling estimates what counting finds', () => {
  const scenario = { ...shared, responses: 32 };
  const nulls = 4_000;
  let hits = 0;
  const maker = new ResponseMaker(scenario, 9);
  const path = new FastWealth();
  for (let i = 0; i < nulls; i++) {
    path.reset();
    let isHit = false;
    for (let response = 0; response < scenario.responses && !isHit; response++) {
      maker.next(poolFor(shared), path.wealth);
      path.bet(maker.factors);
      isHit = path.wealth >= 10;
    }
    if (isHit) hits++;
  }
  const { interval } = rareProbability(scenario, poolFor(shared), 2_000, 10);
  const error = Math.sqrt(hits) / nulls;
  expect(hits).toBeGreaterThan(20);
  expect(interval[0]).toBeLessThan(hits / nulls + 3 * error);
  expect(interval[1]).toBeGreaterThan(hits / nulls - 3 * error);
});

test('a compensator of a tenth of the right one is noticed: the slice could fail', () => {
  const near = poolFor(shared).near.positions.map((position) => ({ ...position, expected: position.expected / 10 }));
  const wrong: Kind = { positions: near, gains: gainTable(shared.law, near) };
  const { reached, nulls } = playNulls({ ...shared, responses: 512 }, { ...poolFor(shared), near: wrong }, 200);
  expect(reached['1e2']).toBeGreaterThan(0.1 * nulls);
  expect(MARGIN_BETS).toHaveLength(11);
});
