/** Halves of the recorded answers: one predicts, the other is what providers answer with. */
import { describe, expect, test } from 'vitest';
import { FastRng } from '../bench/nulls/fast-rng.ts';
import { LAB } from '../cheats/lab/lab.ts';
import { C_NANO } from './answer-prices.ts';
import { halvesOf, recordedAnswers, resampled } from './answers.ts';
import { COLLUSION_PPM } from './economy.ts';
import { subjectsOf, withinOf } from './predictions.ts';
import { TRIED_WORLD } from './tried-world.ts';
import type { World } from './world.ts';

const recorded = recordedAnswers();
const [first, second] = halvesOf(recorded);

describe('halves', () => {
  test('share no answer, have all of them together, and differ by one in size at most', () => {
    for (const [name, { pool }] of recorded.cheats) {
      for (const [length, answers] of pool.entries()) {
        const [a, b] = [first, second].map(({ cheats }) => cheats.get(name)!.pool[length]!);
        expect(a!.filter((answer) => b!.includes(answer))).toEqual([]);
        expect(new Set([...a!, ...b!])).toEqual(new Set(answers));
        expect(a!.length - b!.length).toBeGreaterThanOrEqual(0);
        expect(a!.length - b!.length).toBeLessThanOrEqual(1);
      }
    }
  });

  test('resampled have as many answers, none of another pool', () => {
    const again = resampled(first.honest, new FastRng(1));
    expect(again.map(({ length }) => length)).toEqual(first.honest.map(({ length }) => length));
    expect(again.every((answers, length) => answers.every((one) => first.honest[length]!.includes(one)))).toBe(true);
  });
});

test('every cheat of the laboratory is predicted but what nothing finds', () => {
  const unseen = ['honest', 'fp16', 'fp16_kv', 'steer_tie'];
  const names = subjectsOf(recorded).map(({ cheat }) => cheat.name);
  expect(names.toSorted()).toEqual(
    Object.keys(LAB)
      .filter((name) => !unseen.includes(name))
      .toSorted(),
  );
  const shares = subjectsOf(recorded).flatMap(({ cheat, share }) => (share < 1 ? [[cheat.name, share]] : []));
  expect(shares).toEqual([
    ['mixed', 0.25],
    ['mixed_tenth', 0.1],
  ]);
});

test('each half predicts every cheat once; most of the other half is convicted or in quarantine within', () => {
  const world: World = {
    stakeNano: 1_000n * C_NANO,
    rate: { kind: 'fixed', ppm: 200_000 },
    ...TRIED_WORLD,
    payDelay: 0,
    honest: recorded.honest,
    horizon: 20_000,
    probes: 500,
  };
  const rows = withinOf(world, recorded, { trials: 40, most: 1_000, seed: 1, confirmingPpm: COLLUSION_PPM }, 40, 2);
  expect(rows.map(({ predictedBy }) => predictedBy)).toEqual([...Array(17).fill(0), ...Array(17).fill(1)]);
  for (const { cheat, share, within95 } of rows) {
    expect([cheat, share > 0.6]).toEqual([cheat, true]);
    expect(within95).toBeGreaterThan(9);
  }
});
