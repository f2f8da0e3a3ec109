/** A slice of the simulation; `npm run sim -- --seeds 2000` runs more, `--seed S` replays one. */
import { expect, test } from 'vitest';
import { runSeed, violationsOf } from './run-seed.ts';

/** Seeds of the slice: about 15 s on one core. */
const SEEDS = 60;
/** Seeds that once broke a rule, each with what it broke. */
const REGRESSIONS: readonly (readonly [seed: number, broke: string])[] = [
  [117, 'a chunk of maxTokens tokens that was not sealed as the last one stood behind the answer'],
];

test.each(Array.from({ length: SEEDS }, (_, i) => i + 1))(
  'seed %i: nothing wrong is accepted, nothing hangs',
  async (seed) => {
    expect(violationsOf(await runSeed(seed)), `replay: npm run sim -- --seed ${seed}`).toEqual([]);
  },
);

test.each(REGRESSIONS)('seed %i stays fixed: %s', async (seed) => {
  expect(violationsOf(await runSeed(seed))).toEqual([]);
});

test('one seed runs the same way twice, event by event', async () => {
  for (const seed of [3, 12]) expect(await runSeed(seed)).toEqual(await runSeed(seed));
});
