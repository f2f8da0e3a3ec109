/** A slice of the soak: `npm run soak` runs a thousand. */
import { beforeAll, expect, test } from 'vitest';
import { runSoak } from '../bench/soak.ts';
import { ensureBuilt } from './program.ts';

beforeAll(ensureBuilt);

test('an honest network answers 60 mixed requests without a fault, provably, and its books balance', async () => {
  const { problems, counts, chargedNano } = await runSoak({ requests: 60, seed: 'slice', concurrency: 4 });
  expect(problems).toEqual([]);
  for (const kind of ['n=1', 'n=3', 'n=5', 'plain', 'streamed', 'greedy', 'sampled', 'stop']) {
    expect(counts[kind], kind).toBeGreaterThan(0);
  }
  expect(chargedNano).toBeGreaterThan(0n);
}, 300_000);
