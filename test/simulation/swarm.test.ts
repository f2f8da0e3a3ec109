/** A slice of the harder seeds: crashes at any touch of the world, partitions, full disks, wrong clocks, in random subsets. */
import { expect, test } from 'vitest';
import { runSeed, violationsOf } from './run-seed.ts';

/** Seeds of the slice at 0.25 CPU-s each: 45 s. */
const SEEDS = 180;

test.each(Array.from({ length: SEEDS }, (_, i) => i + 1))(
  'swarm seed %i: nothing wrong is accepted, nothing is lost, nothing hangs',
  async (seed) => {
    const violations = violationsOf(await runSeed(seed, 'swarm'));
    expect(violations, `replay: npm run sim -- --kind swarm --seed ${seed}`).toEqual([]);
  },
);

/** The same with text completions about several prompts, at 0.5 CPU-s each: 15 s. */
const PROMPT_SEEDS = 30;

test.each(Array.from({ length: PROMPT_SEEDS }, (_, i) => i + 1))(
  'prompts seed %i: every prompt has its own answer, and all that holds for one holds for several',
  async (seed) => {
    const violations = violationsOf(await runSeed(seed, 'prompts'));
    expect(violations, `replay: npm run sim -- --kind prompts --seed ${seed}`).toEqual([]);
  },
);

/** The same with answers that are witnessed or audited, at 0.4 CPU-s each: 12 s. */
const WATCHED_SEEDS = 30;

test.each(Array.from({ length: WATCHED_SEEDS }, (_, i) => i + 1))(
  'watched seed %i: witnesses and audits convict nobody honest, every promised audit is done, the books balance',
  async (seed) => {
    const violations = violationsOf(await runSeed(seed, 'watched'));
    expect(violations, `replay: npm run sim -- --kind watched --seed ${seed}`).toEqual([]);
  },
);

test('a seed with crashes runs the same way twice, event by event', async () => {
  const twice = [await runSeed(4, 'swarm'), await runSeed(4, 'swarm')];
  expect(twice[0]).toEqual(twice[1]);
});
