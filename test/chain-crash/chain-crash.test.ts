/** A slice of `npm run crash:chain`: a chain worker is killed while blocks come and go, and pays everybody once. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { provenFaults } from './proven-faults.ts';
import { TestChain } from './test-chain.ts';
import { runSeed } from './world.ts';

let chain: TestChain;
/** On a busy machine the deployment alone takes 20 s. */
beforeAll(async () => {
  chain = await TestChain.start();
}, 120_000);
afterAll(() => chain?.stop());

test.each(['slice-1', 'slice-2'])(
  'no payout is lost and none made twice, ledger equals chain: seed %s',
  {
    timeout: 120_000,
  },
  async (seed) => {
    const { problems, kills, transactions } = await runSeed(chain, seed);
    expect(problems).toEqual([]);
    // A seed in which nothing happens shows nothing.
    expect(kills.length).toBeGreaterThan(2);
    expect(transactions).toBeGreaterThan(3);
  },
);

test('a fault that signatures prove costs the whole stake on the chain, and weight in draws at once: all three kinds', {
  timeout: 120_000,
}, async () => {
  await chain.reset();
  const { convicted, countedBefore, countedAfter, calls } = await provenFaults(chain);
  expect(countedBefore).toEqual([500n, 500n, 500n]);
  expect(calls.every((state) => state === 'confirmed')).toBe(true);
  expect(convicted).toEqual([true, true, true]);
  expect(countedAfter).toEqual([0n, 0n, 0n]);
});
