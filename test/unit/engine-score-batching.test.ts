/** Score orders that share runs of the model: each is, to the last bit, what it is alone. */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { GREEDY } from '#protocol/sampling';
import type { Engine } from '../../provider/engine/engine.ts';
import { readModelFolder } from '../../provider/engine/model-folder.ts';
import { createOnnxEngine } from '../../provider/engine/onnx/onnx-engine.ts';
import { loadNodeRuntime, type OnnxRuntime } from '../../provider/engine/onnx/runtime.ts';

const MINNOW = fileURLToPath(new URL('../../provider/models/minnow/dist/minnow-5m', import.meta.url));
const VOCAB = 4096;

let engine: Engine;
beforeAll(async () => {
  engine = await createOnnxEngine(await readModelFolder(MINNOW), { runtime: await countingRuntime() });
});
afterAll(() => engine.close());

const order = (promptTokens: number, outputTokens: number, at: number) => ({
  promptIds: Array.from({ length: promptTokens }, (_, index) => (index * 37 + at * 101) % VOCAB),
  outputIds: Array.from({ length: outputTokens }, (_, index) => (index * 53 + at * 211) % VOCAB),
  sampling: { ...GREEDY, temperature: at % 2 },
  seed: BigInt(at),
});

/** By the number of sequences in each run of the model. */
let rows: number[] = [];

/** The native build, with its runs counted. */
async function countingRuntime(): Promise<OnnxRuntime> {
  const runtime = await loadNodeRuntime();
  return {
    ...runtime,
    async open(model, choices) {
      const session = await runtime.open(model, choices);
      const run = session.run.bind(session);
      session.run = ((feeds: Record<string, { dims: readonly number[] }>, ...rest: never[]) => {
        rows.push(feeds.input_ids!.dims[0]!);
        return (run as (...all: unknown[]) => ReturnType<typeof run>)(feeds, ...rest);
      }) as typeof session.run;
      return session;
    },
  };
}

async function runsDuring(work: () => Promise<unknown>): Promise<number[]> {
  rows = [];
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
