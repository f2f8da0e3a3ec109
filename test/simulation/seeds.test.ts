/** A slice of the simulation; `npm run sim -- --seeds 2000` runs more, `--kind usual --seed S` replays one. */
import { expect, test } from 'vitest';
import { REGRESSIONS } from './regressions.ts';
import { runSeed, violationsOf } from './run-seed.ts';

/** Seeds of the slice at 0.2 CPU-s each: 20 s. */
const SEEDS = 100;

test.each(Array.from({ length: SEEDS }, (_, i) => i + 1))(
  'seed %i: nothing wrong is accepted, nothing hangs',
  async (seed) => {
    expect(violationsOf(await runSeed(seed)), `replay: npm run sim -- --kind usual --seed ${seed}`).toEqual([]);
  },
);

test.each(REGRESSIONS)('%s seed %i stays fixed: %s', async (kind, seed) => {
  expect(violationsOf(await runSeed(seed, kind))).toEqual([]);
});

test('one seed runs the same way twice, event by event', async () => {
  for (const seed of [3, 12]) expect(await runSeed(seed)).toEqual(await runSeed(seed));
});
