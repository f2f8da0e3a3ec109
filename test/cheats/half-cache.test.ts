/** The cheat that keeps its cache in half precision: what it rounds, and that it is another thing than honesty. */
import { expect, test } from 'vitest';
import { LOGIT_SCALE } from '#protocol/evidence';
import { GREEDY } from '#protocol/sampling';
import { halfToFloat } from '../../provider/engine/half.ts';
import { loadNodeRuntime } from '../../provider/engine/onnx/runtime.ts';
import { generated, openOnnx } from '../fixtures/engines.ts';
import { SeededRng } from '../simulation/seeded-rng.ts';
import { roundedToHalf, withHalfCache } from './lab/half-cache.ts';

/** All halves from 0 to 65504, ascending as their bit patterns are. */
const HALVES = halfToFloat(Uint16Array.from({ length: 0x7c00 }, (_, pattern) => pattern));

test('numbers of half precision stay what they are', () => {
  const moved = HALVES.filter((half) => roundedToHalf(half) !== half || roundedToHalf(-half) !== -half);
  expect([...moved]).toEqual([]);
});

test('whatever lies between two halves goes to the nearer one', () => {
  const rng = new SeededRng('halves');
  for (let i = 0; i < 5_000; i++) {
    const at = rng.between(0, HALVES.length - 2);
    const [below, above] = [HALVES[at]!, HALVES[at + 1]!];
    const value = Math.fround(below + (above - below) * rng.unit());
    const middle = (below + above) / 2;
    if (value === middle) continue;
    expect(roundedToHalf(value)).toBe(value < middle ? below : above);
  }
});

test('an engine over such a cache writes logits of its own, and none far from the honest ones', async () => {
  const [honest, halved] = await Promise.all([
    openOnnx({ batching: false }),
    openOnnx({ batching: false, runtime: withHalfCache(await loadNodeRuntime()) }),
  ]);
  const ask = { question: 'Tell me about Japan.', sampling: GREEDY, maxTokens: 24 };
  const [own, other] = await Promise.all([honest, halved].map((engine) => generated(engine, ask)));
  await Promise.all([honest.close(), halved.close()]);
  const logits = (tokens: typeof own) => tokens!.map(({ evidence }) => evidence.chosenLogit / LOGIT_SCALE);
  // The prompt's last logits come from the run that also fills the cache: nothing was rounded yet.
  expect(logits(other)[0]).toBe(logits(own)[0]);
  const differences = logits(own).map((logit, at) => Math.abs(logit - logits(other)[at]!));
  expect(Math.max(...differences)).toBeGreaterThan(0.0001);
  expect(Math.max(...differences)).toBeLessThan(0.1);
});
