import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { InferenceSession } from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Sampling } from '#protocol/sampling';
import { GREEDY } from '#protocol/sampling';
import type { Engine, GeneratedToken } from '../../provider/engine/engine.ts';
import { FairQueue } from '../../provider/engine/fair-queue.ts';
import { readModelFolder } from '../../provider/engine/model-folder.ts';
import { batchLayoutOf, cacheRuns } from '../../provider/engine/onnx/batch-probe.ts';
import { Batcher } from '../../provider/engine/onnx/batcher.ts';
import { exposeAddedCache } from '../../provider/engine/onnx/expose-cache.ts';
import { readGraphLayout } from '../../provider/engine/onnx/graph-layout.ts';
import { createOnnxEngine } from '../../provider/engine/onnx/onnx-engine.ts';
import { Sequence } from '../../provider/engine/onnx/sequence.ts';
import { SharedPrefill } from '../../provider/engine/onnx/shared-prefill.ts';

const MINNOW = fileURLToPath(new URL('../../provider/models/minnow/dist/minnow-5m', import.meta.url));
const SAMPLED: Sampling = { ...GREEDY, temperature: 1 };
const VOCAB = 4096;

interface Job {
  readonly promptIds: readonly number[];
  readonly seed: bigint;
  readonly maxTokens: number;
}

/** Prompts of every length around the 16 of a capacity and the 256 of a block. */
const JOBS: readonly Job[] = [3, 15, 16, 17, 31, 40, 64, 100, 199, 225, 236, 241, 250, 257, 300, 8, 9, 10].map(
  (length, at) => ({
    promptIds: Array.from({ length }, (_, index) => (index * 37 + at * 101) % VOCAB),
    seed: BigInt(at),
    maxTokens: 12 + (at % 5) * 4,
  }),
);

let engine: Engine;
beforeAll(async () => {
  engine = await createOnnxEngine(await readModelFolder(MINNOW));
});
afterAll(() => engine.close());

async function tokensOf(of: Engine, job: Job): Promise<GeneratedToken[]> {
  const tokens: GeneratedToken[] = [];
  for await (const token of of.generate({ ...job, sampling: SAMPLED })) tokens.push(token);
  return tokens;
}

async function parts(file: string) {
  const exposed = exposeAddedCache(await readFile(`${MINNOW}/onnx/${file}`))!;
  const session = await InferenceSession.create(exposed.model, { intraOpNumThreads: 1 });
  const config: unknown = JSON.parse(await readFile(`${MINNOW}/config.json`, 'utf8'));
  const layout = readGraphLayout(session.inputMetadata, session.outputMetadata, config);
  return { session, layout, exposed, batchLayout: batchLayoutOf(layout, exposed)! };
}

describe('answers that share runs', () => {
  it('are, to the last bit of their evidence, what each is alone', async () => {
    const alone: GeneratedToken[][] = [];
    for (const job of JOBS) alone.push(await tokensOf(engine, job));
    expect(await Promise.all(JOBS.map((job) => tokensOf(engine, job)))).toEqual(alone);
  });

  it('keep their bits while others come and go, are aborted, or wait for their reader', async () => {
    const wanted = await tokensOf(engine, { ...JOBS[5]!, maxTokens: 60 });
    const leaver = new AbortController();
    const slow = engine.generate({ ...JOBS[6]!, sampling: SAMPLED, maxTokens: 50 });
    await slow.next();
    const aborted = (async () => {
      let seen = 0;
      const request = { ...JOBS[7]!, sampling: SAMPLED, maxTokens: 50, signal: leaver.signal };
      for await (const _ of engine.generate(request)) if (++seen === 2) leaver.abort();
    })().catch((error: { code: string }) => error.code);
    const [kept] = await Promise.all([
      tokensOf(engine, { ...JOBS[5]!, maxTokens: 60 }),
      tokensOf(engine, JOBS[0]!),
      tokensOf(engine, JOBS[14]!).then(() => tokensOf(engine, JOBS[1]!)),
    ]);
    expect(await aborted).toBe('aborted');
    expect(kept).toEqual(wanted);
    await slow.return();
  });

  it('take one run a token for all of them', async () => {
    const { session, batchLayout } = await parts('model.onnx');
    let runs = 0;
    const counted = new Proxy(session, {
      get: (target, name) => {
        if (name === 'run') runs += 1;
        const member: unknown = Reflect.get(target, name, target);
        return typeof member === 'function' ? member.bind(target) : member;
      },
    });
    const queue = new FairQueue();
    const batcher = new Batcher(counted, batchLayout, VOCAB, queue);
    const sequence = new Sequence(session, batchLayout, VOCAB);
    await sequence.append([1, 2, 3], 0);
    const places = await Promise.all(Array.from({ length: 5 }, () => batcher.join(sequence.cache, 3)));
    for (let step = 0; step < 4; step++) await Promise.all(places.map((place) => place.next(step)));
    expect(runs).toBe(4);
    for (const place of places) place.leave();
    await queue.idle();
    await session.release();
  });

  it('fail together with the run that failed, and others go on', async () => {
    const { session, batchLayout } = await parts('model.onnx');
    let broken = false;
    const fragile = new Proxy(session, {
      get: (target, name) => {
        if (name === 'run' && broken) return () => Promise.reject(new Error('out of memory'));
        const member: unknown = Reflect.get(target, name, target);
        return typeof member === 'function' ? member.bind(target) : member;
      },
    });
    const batcher = new Batcher(fragile, batchLayout, VOCAB, new FairQueue());
    const sequence = new Sequence(session, batchLayout, VOCAB);
    await sequence.append([1, 2, 3], 0);
    const [first, second] = [await batcher.join(sequence.cache, 3), await batcher.join(sequence.cache, 3)];
    broken = true;
    const failed = Promise.allSettled([first.next(7), second.next(7)]);
    expect((await failed).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    broken = false;
    expect(await first.next(7)).toHaveLength(VOCAB);
  });
});

describe('which models run in batches', () => {
  it('takes graphs whose rows do not touch one another', async () => {
    for (const file of ['model.onnx', 'model_fp16.onnx', 'model_q4.onnx']) {
      const { session, batchLayout } = await parts(file);
      expect(await cacheRuns(session, batchLayout, VOCAB), file).toBe(true);
      await session.release();
    }
  });

  it('leaves out a graph that scales a whole run at once, where neighbours would change an answer', async () => {
    const { session, batchLayout } = await parts('model_quantized.onnx');
    expect(await cacheRuns(session, batchLayout, VOCAB)).toBe(false);
    await session.release();
    const int8 = await createOnnxEngine(await readModelFolder(MINNOW, 'onnx/model_quantized.onnx'));
    const alone = await tokensOf(int8, JOBS[5]!);
    const [together] = await Promise.all([tokensOf(int8, JOBS[5]!), tokensOf(int8, JOBS[6]!)]);
    expect(together).toEqual(alone);
    await int8.close();
  });

  it('leaves out graphs without mask or positions, or with a cache that is not joined', async () => {
    const { session, layout, exposed } = await parts('model.onnx');
    expect(batchLayoutOf({ ...layout, mask: null }, exposed)).toBeNull();
    expect(batchLayoutOf({ ...layout, positions: null }, exposed)).toBeNull();
    expect(batchLayoutOf(layout, { ...exposed, added: new Map([...exposed.added].slice(1)) })).toBeNull();
    await session.release();
  });

  it('exposes nothing of a graph without joins, or with weights in other files, and refuses what is no graph', async () => {
    const field = (number: number, content: readonly number[]) => [number * 8 + 2, content.length, ...content];
    const text = (number: number, value: string) => field(number, [...Buffer.from(value)]);
    const join = field(1, [...text(1, 'past.0'), ...text(1, 'new.0'), ...text(2, 'present.0'), ...text(4, 'Concat')]);
    const fused = field(1, [
      ...text(1, 'past.0'),
      ...text(1, 'new.0'),
      ...text(2, 'present.0'),
      ...text(4, 'Attention'),
    ]);
    const external = field(5, [14 * 8, 1]);
    const model = (...graph: number[][]) => Uint8Array.from(field(7, graph.flat()));
    expect(exposeAddedCache(model(join))?.added).toEqual(new Map([['present.0', 'new.0']]));
    expect(exposeAddedCache(model(fused))).toBeNull();
    expect(exposeAddedCache(model(join, external))).toBeNull();
    expect(exposeAddedCache(new Uint8Array(0))).toBeNull();
    expect(() => exposeAddedCache(Uint8Array.of(58, 200, 1, 2))).toThrow();
  });
});

describe('SharedPrefill', () => {
  const nothing = { cache: new Map(), length: 1, logits: new Float32Array(1) };

  it('reads a prompt once for those who hold it at the same time, and again afterwards', async () => {
    const read: string[] = [];
    const prompts = new SharedPrefill(async (ids) => {
      read.push(ids.join());
      return nothing;
    });
    const uses = [prompts.use([1, 2]), prompts.use([1, 2]), prompts.use([12])];
    await Promise.all(uses.map(({ ready }) => ready));
    expect(read).toEqual(['1,2', '12']);
    for (const use of uses) use.release();
    prompts.use([1, 2]).release();
    expect(read).toEqual(['1,2', '12', '1,2']);
  });

  it('stops a reading only when nobody waits for it any more', () => {
    let stopped = false;
    const prompts = new SharedPrefill(async (_, signal) => {
      signal.addEventListener('abort', () => {
        stopped = true;
      });
      return nothing;
    });
    const [first, second] = [prompts.use([1]), prompts.use([1])];
    first.release();
    expect(stopped).toBe(false);
    second.release();
    expect(stopped).toBe(true);
  });
});
