/** A slice of `npm run sim:economy`: predictions hold, the breaks that THREAT-MODEL names are there, honest providers are left alone. */
import { beforeAll, describe, expect, test } from 'vitest';
import { AUDIT_RULES } from '../../gateway/audit/equilibrium.ts';
import { FastRng } from '../bench/nulls/fast-rng.ts';
import { SCENARIOS } from '../bench/nulls/scenarios.ts';
import { type AnswerPool, CHEATS, HONEST, poolOfMachine } from './answers.ts';
import { contest, exits, leaks } from './contests.ts';
import {
  binomialAtLeast,
  convictedWithin,
  type Detection,
  type KnownCheat,
  measureDetection,
  tableOf,
} from './detection.ts';
import { COLLUSION_PPM } from './economy.ts';
import { auditHonest } from './honest.ts';
import { always, hitAndRun, honest, repenting, sometimes } from './strategies.ts';
import { svgOf } from './svg.ts';
import { foundWithin, threshold } from './thresholds.ts';
import { C_NANO, live, type World } from './world.ts';

const DATE = '2026-11-26';
let pool: AnswerPool;
let smaller: KnownCheat;
let int4: KnownCheat;
let found: Detection;
let foundInt4: Detection;
let world: World;

beforeAll(() => {
  pool = poolOfMachine(HONEST, 20, 1);
  const [coarse, fine] = [
    CHEATS.find(({ name }) => name === 'smaller_model')!,
    CHEATS.find(({ name }) => name === 'int4')!,
  ];
  smaller = { machine: coarse, pool: poolOfMachine(coarse, 40, 2) };
  int4 = { machine: fine, pool: poolOfMachine(fine, 40, 2) };
  const tried = { trials: 200, most: 1_000, seed: 3, confirmingPpm: COLLUSION_PPM };
  found = measureDetection(smaller, pool, 1, tried);
  foundInt4 = measureDetection(int4, pool, 1, tried);
  world = {
    stakeNano: 1_000n * C_NANO,
    rate: { kind: 'fixed', ppm: 100_000 },
    collusionPpm: COLLUSION_PPM,
    confirmingPpm: COLLUSION_PPM,
    lagMax: 8,
    unbonding: 9,
    ownShare: 0.2,
    clients: 20,
    honest: pool,
    horizon: 20_000,
    probes: 2_000,
  };
});

const cheaper = ({ machine, pool: answers }: KnownCheat) => ({
  name: machine.name,
  pool: answers,
  savedPpm: machine.savedPpm,
});

describe('the machines', () => {
  test('look to the judge like what was measured: int4 takes another token in 4 to 12 of 100, the honest in less than one of 500', () => {
    const share = (answers: AnswerPool) => {
      const all = answers.flat();
      return (
        all.reduce((sum, { other, tokens }) => sum + other * tokens, 0) /
        all.reduce((sum, { tokens }) => sum + tokens, 0)
      );
    };
    expect(share(int4.pool)).toBeGreaterThan(0.04);
    expect(share(int4.pool)).toBeLessThan(0.12);
    expect(share(pool)).toBeLessThan(0.002);
    expect(pool.flat().some(({ isGross }) => isGross)).toBe(false);
  });

  test('another model is convicted by its first audits, int4 by a few more, and neither escapes', () => {
    expect(found).toMatchObject({ stopped: 1, slashed: 1, figures: { fault: 'wrong_output' } });
    expect(found.figures.auditsMilli).toBeLessThan(2_000);
    expect(foundInt4.stopped).toBe(1);
    expect(foundInt4.figures.auditsMilli).toBeGreaterThan(3_000);
  });
});

describe('predicted and simulated', () => {
  test('cheating stops to pay at the predicted rate, within the interval of the lives', () => {
    for (const stake of [100n, 1_000n]) {
      const row = threshold({ ...world, horizon: 200_000, stakeNano: stake * C_NANO }, smaller, found, 300, 4)!;
      // Two intervals, so that one in some thousand slices is outside.
      expect(row.low - (row.high - row.low) / 2).toBeLessThan(row.predictedPpm);
      expect(row.high + (row.high - row.low) / 2).toBeGreaterThan(row.predictedPpm);
    }
  });

  test('cheats are found within the predicted number of answers in 95 of 100 lives', () => {
    for (const [cheat, detection] of [
      [smaller, found],
      [int4, foundInt4],
    ] as const) {
      const row = foundWithin(world, cheat, detection, 200, 5);
      expect(row.high).toBeGreaterThan(0.95);
      expect(row.share).toBeGreaterThan(0.88);
    }
  });

  test('the prediction is a binomial tail: by hand for three audits of five, and never above a count of audits', () => {
    expect(binomialAtLeast(5, 0.5, 3)).toBeCloseTo(16 / 32, 12);
    expect(binomialAtLeast(4, 0.2, 1)).toBeCloseTo(1 - 0.8 ** 4, 12);
    expect(convictedWithin([3], 1, 0.95)).toBe(3);
    // One audit at 5%: 0.95^58 = 0.051, 0.95^59 = 0.048.
    expect(convictedWithin([1], 0.05, 0.95)).toBe(59);
  });
});

describe('strategies', () => {
  const rated = (): World => {
    const table = tableOf([found, foundInt4], DATE);
    return { ...world, rate: { kind: 'equilibrium', table, rules: AUDIT_RULES }, horizon: 2_000 };
  };

  test('at the equilibrium rate always, sometimes and after a while cheating lose, and the honest lose nothing', () => {
    const at = rated();
    for (const strategy of [always(cheaper(smaller)), sometimes(cheaper(smaller), 0.1), always(cheaper(int4))]) {
      const { profit, half } = contest(at, strategy, 40, 6);
      expect(profit + half).toBeLessThan(0);
    }
    expect(contest(at, honest(pool), 10, 6)).toMatchObject({ profit: 0, endings: { served: 10 } });
  });

  test('the rate falls with the record of an honest provider', () => {
    const { ratePpm, audits } = live(rated(), honest(pool), new FastRng(7));
    expect(audits).toBeGreaterThan(10);
    const short = live({ ...rated(), horizon: 100 }, honest(pool), new FastRng(7));
    expect(ratePpm).toBeLessThan(short.ratePpm);
  });

  test('breaks: who is told which answers are audited, and who leaves before its audits land, wins', () => {
    const [blind, told] = leaks({ ...world, stakeNano: 100n * C_NANO }, cheaper(smaller), [0.5, 0.99], 40, 8);
    expect(blind!.profit).toBeLessThan(0);
    expect(told!.profit).toBeGreaterThan(0);
    const slow: World = { ...world, lagMax: 200 };
    const [early, late] = exits(slow, cheaper(smaller), [20], [0, 201], 40, 9);
    expect(early!.profit).toBeGreaterThan(0);
    expect(late!.profit).toBeLessThan(0);
  });

  test('breaks: what takes many audits can be done until just before, by leaving or by repenting in quarantine', () => {
    const machine = CHEATS.find(({ name }) => name === 'int8')!;
    const int8 = cheaper({ machine, pool: poolOfMachine(machine, 20, 2) });
    const left = contest(world, hitAndRun(int8, 100), 20, 10);
    expect(left.profit - left.half).toBeGreaterThan(0);
    const [repents, goesOn] = [repenting(int8), always(int8)].map((strategy) => contest(world, strategy, 20, 10));
    expect(repents!.endings.locked).toBeGreaterThan(0);
    expect(repents!.profit - repents!.half).toBeGreaterThan(0);
    expect(goesOn!.profit).toBeLessThan(repents!.profit);
  });
});

test('no honest provider is slashed in 14,000 audits as bad as calibrations allow', () => {
  const rows = auditHonest(14_000, 500, SCENARIOS.slice(3, 4));
  expect(rows.reduce((sum, { audits }) => sum + audits, 0)).toBe(14_000);
  expect(rows.every(({ slashed, quarantined }) => slashed === 0 && quarantined === 0)).toBe(true);
});

test('a plot is one SVG with every point, its words escaped', () => {
  const svg = svgOf({
    title: 'a < b & c',
    x: { title: 'x', isLog: true },
    y: { title: 'y' },
    series: [
      {
        name: 'one',
        style: 'line',
        points: [
          [1, 2],
          [10, 3],
          [100, -1],
        ],
      },
    ],
    marks: [{ y: 0, name: 'zero' }],
    note: 'note',
  });
  expect(svg).toContain('a &lt; b &amp; c');
  expect(svg.match(/<circle/g)).toHaveLength(4);
  expect(svg.match(/<svg/g)).toHaveLength(1);
  // A decade apart on a logarithmic axis: equal steps.
  const [a, b, c] = [...svg.matchAll(/<circle cx="([\d.]+)" cy="[\d.]+" r="3"/g)].map(([, x]) => Number(x));
  expect(b! - a!).toBeCloseTo(c! - b!, 0);
});
