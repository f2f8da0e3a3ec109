/** A slice of `npm run sim:economy`: predictions hold, the breaks that THREAT-MODEL names are there, honest providers are left alone. */
import { beforeAll, describe, expect, test } from 'vitest';
import { DEFAULT_DETECTION } from '../../gateway/audit/detection.ts';
import { AUDIT_RULES } from '../../gateway/audit/equilibrium.ts';
import { FastRng } from '../bench/nulls/fast-rng.ts';
import { C_NANO } from './answer-prices.ts';
import { type KnownCheat, recordedAnswers } from './answers.ts';
import { contest, exits, leaks, profitOf } from './contests.ts';
import { binomialAtLeast, convictedWithin, type Detection, measureDetection } from './detection.ts';
import { COLLUSION_PPM } from './economy.ts';
import { EXAMINATION, honestLeavers, leaver } from './leavers.ts';
import { meanOf } from './statistics.ts';
import { always, hitAndRun, honest, repenting, sometimes } from './strategies.ts';
import { svgOf } from './svg.ts';
import { foundWithin, threshold } from './thresholds.ts';
import { TRIED_WORLD } from './tried-world.ts';
import { live, type World } from './world.ts';

const { honest: pool, cheats } = recordedAnswers();
const [smaller, int4, int8] = ['smaller_model', 'int4', 'int8'].map((name) => cheats.get(name)!) as [
  KnownCheat,
  KnownCheat,
  KnownCheat,
];
let found: Detection;
let foundInt4: Detection;
/** Pay leaves at once. */
let world: World;

beforeAll(() => {
  const tried = { trials: 200, most: 1_000, seed: 3, confirmingPpm: COLLUSION_PPM };
  found = measureDetection(smaller, pool, 1, tried);
  foundInt4 = measureDetection(int4, pool, 1, tried);
  world = {
    stakeNano: 1_000n * C_NANO,
    rate: { kind: 'fixed', ppm: 100_000 },
    ...TRIED_WORLD,
    payDelay: 0,
    honest: pool,
    horizon: 20_000,
    probes: 2_000,
  };
});

describe('the recorded answers', () => {
  test('of honest machines never convict, those of another model nearly always', () => {
    expect(pool.flat().some(({ isGross }) => isGross)).toBe(false);
    expect(found).toMatchObject({ stopped: 1, slashed: 1, figures: { fault: 'wrong_output' } });
    expect(found.figures.auditsMilli).toBeLessThan(2_000);
    expect(foundInt4.stopped).toBe(1);
    expect(foundInt4.figures.auditsMilli).toBeGreaterThan(found.figures.auditsMilli);
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

  test('cheats are convicted or in quarantine within the predicted number of answers in 95 of 100 lives', () => {
    for (const [cheat, detection] of [
      [smaller, found],
      [int4, foundInt4],
    ] as const) {
      const row = foundWithin(world, always(cheat), detection, 200, 5);
      expect(row.high).toBeGreaterThan(0.95);
      expect(row.share).toBeGreaterThan(0.88);
      expect(row.convicted + row.quarantined).toBeCloseTo(row.share, 9);
      expect(row.probed).toBeLessThanOrEqual(row.quarantined);
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
  /** The gateway's own table and rules; pay of 400 answers is retained. */
  const rated = (): World => {
    return {
      ...world,
      stakeNano: 100n * C_NANO,
      payDelay: 400,
      rate: { kind: 'equilibrium', table: DEFAULT_DETECTION, rules: AUDIT_RULES },
      horizon: 4_000,
    };
  };

  test('at a stake of 100 answers every way of cheating that goes on loses, and the honest lose nothing', () => {
    const at = rated();
    for (const strategy of [
      always(smaller),
      sometimes(smaller, 0.1),
      always(int4),
      always(int8),
      sometimes(int8, 0.5),
      repenting(int8),
    ]) {
      const { profit, half } = contest(at, strategy, 15, 6);
      expect(profit + half).toBeLessThan(0);
    }
    expect(contest(at, honest(pool), 3, 6)).toMatchObject({ profit: 0, endings: { served: 3 } });
  });

  test('without retained pay a repenting int8 would win there: it is the pay that deters it', () => {
    const { profit, half } = contest({ ...rated(), payDelay: 0 }, repenting(int8), 20, 6);
    expect(profit - half).toBeGreaterThan(0);
  });

  test('the rate falls with the record of an honest provider and with what it has to lose', () => {
    const { ratePpm, audits } = live(rated(), honest(pool), new FastRng(7));
    expect(audits).toBeGreaterThan(10);
    const short = live({ ...rated(), horizon: 100 }, honest(pool), new FastRng(7));
    expect(ratePpm).toBeLessThan(short.ratePpm);
    const unpaid = live({ ...rated(), payDelay: 100 }, honest(pool), new FastRng(7));
    expect(ratePpm).toBeLessThan(unpaid.ratePpm);
  });

  test('breaks: who is told which answers are audited, and who leaves before its audits land, wins', () => {
    const [blind, told] = leaks({ ...world, stakeNano: 100n * C_NANO }, smaller, [0.5, 0.99], 40, 8);
    expect(blind!.profit).toBeLessThan(0);
    expect(told!.profit).toBeGreaterThan(0);
    const slow: World = { ...world, lagMax: 200 };
    const [early, late] = exits(slow, smaller, [5], [0, 201], 200, 9);
    expect(early!.profit - early!.half).toBeGreaterThan(0);
    expect(late!.profit + late!.half).toBeLessThan(0);
  });

  test('convictions by single answers are foreseen as often as they come', () => {
    const rng = new FastRng(11);
    const lives = Array.from({ length: 1_000 }, () => live({ ...world, payDelay: 100 }, always(int4), rng));
    const { mean, half } = meanOf(
      lives.map(({ savedNano, slashNano, forfeitNano, ...life }) => {
        const profit = Number(savedNano - slashNano - forfeitNano) / Number(C_NANO);
        return profit - profitOf({ savedNano, slashNano, forfeitNano, ...life });
      }),
    );
    // Two intervals, so that one seed in some ten thousand is outside.
    expect(Math.abs(mean)).toBeLessThan(2 * half);
    expect(half).toBeGreaterThan(0);
  });

  test('who cheats on forty answers and leaves, at once or under honest ones, wins without examinations and loses with them', () => {
    for (const way of [
      { before: 0, cheated: 40, after: 0 },
      { before: 0, cheated: 40, after: 60 },
      { before: 0, cheated: 40, after: 500 },
    ]) {
      const at = (most: number) => leaver({ ...rated(), horizon: 1_500 }, int8, way, most, 40, 12);
      const [free, examined] = [at(0), at(EXAMINATION.first)];
      expect(free.profit + free.half).toBeGreaterThan(0);
      expect(examined.profit + examined.half).toBeLessThan(0);
    }
  });

  test('an honest leaver pays at most the scores of two examinations, and is not convicted', () => {
    const [few, many] = honestLeavers({ ...rated(), horizon: 1_500 }, [40, 600], 10, 13);
    expect([few!.convicted, many!.convicted]).toEqual([0, 0]);
    expect(few!.feeMax).toBeLessThan(40 * 0.45);
    expect(many!.feeMax).toBeLessThan(2 * 64 * 0.45);
  });

  test('breaks: what takes many audits can be done until just before, by leaving', () => {
    const left = contest({ ...world, stakeNano: 100n * C_NANO }, hitAndRun(int8, 20), 60, 10);
    expect(left.profit - left.half).toBeGreaterThan(0);
  });
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
