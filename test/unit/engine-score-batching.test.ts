/** Score orders that share runs of the model: each is, to the last bit, what it is alone. */
import { fileURLToPath } from 'node:url';
import { InferenceSession } from 'onnxruntime-node';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { GREEDY } from '#protocol/sampling';
import type { Engine } from '../../provider/engine/engine.ts';
import { readModelFolder } from '../../provider/engine/model-folder.ts';
import { createOnnxEngine } from '../../provider/engine/onnx/onnx-engine.ts';

const MINNOW = fileURLToPath(new URL('../../provider/models/minnow/dist/minnow-5m', import.meta.url));
const VOCAB = 4096;

let engine: Engine;
beforeAll(async () => {
  engine = await createOnnxEngine(await readModelFolder(MINNOW));
});
afterAll(() => engine.close());
afterEach(() => vi.restoreAllMocks());

const order = (promptTokens: number, outputTokens: number, at: number) => ({
  promptIds: Array.from({ length: promptTokens }, (_, index) => (index * 37 + at * 101) % VOCAB),
  outputIds: Array.from({ length: outputTokens }, (_, index) => (index * 53 + at * 211) % VOCAB),
  sampling: { ...GREEDY, temperature: at % 2 },
  seed: BigInt(at),
});

/** Runs of the model while `work` goes on, by the number of sequences in each. */
async function runsDuring(work: () => Promise<unknown>): Promise<number[]> {
  const rows: number[] = [];
  const run = InferenceSession.prototype.run;
  vi.spyOn(InferenceSession.prototype, 'run').mockImplementation(function (this: InferenceSession, ...args: never[]) {
    const [feeds] = args as unknown as [Record<string, { dims: readonly number[] }>];
    rows.push(feeds.input_ids!.dims[0]!);
    return (run as (...all: never[]) => ReturnType<typeof run>).apply(this, args);
  } as typeof run);
  await work();
  return rows;
}

test('orders that come in together share runs and keep their bits, also beside longer ones', async () => {
  // Two contenders of a split; witnesses of choices; one too long for any run; one of a single token.
  const orders = [
    order(12, 30, 1),
    order(12, 30, 2),
    order(12, 28, 3),
    order(40, 100, 4),
    order(200, 120, 5),
    order(3, 1, 6),
  ];
  const alone = [];
  for (const each of orders) alone.push(await engine.score(each));
  let together: unknown[] = [];
  const rows = await runsDuring(async () => {
    together = await Promise.all(orders.map((each) => engine.score(each)));
  });
  expect(together).toEqual(alone);
  expect(Math.max(...rows)).toBe(3);
});

test('what would be mostly padding does not share a run', async () => {
  const rows = await runsDuring(() => Promise.all([engine.score(order(4, 8, 1)), engine.score(order(10, 60, 2))]));
  expect(rows).toEqual([1, 1]);
});

test('an order is refused for its own fault alone', async () => {
  const bad = { ...order(4, 8, 1), outputIds: [VOCAB] };
  const [good, refused] = await Promise.allSettled([engine.score(order(4, 8, 2)), engine.score(bad)]);
  expect(good.status).toBe('fulfilled');
  expect(refused.status).toBe('rejected');
});
