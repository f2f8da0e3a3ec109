/** Engines that compute differently, and are one another's honest peers: the same rules for each of them (DESIGN §6, §7). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { evidenceConsistent, LOGIT_SCALE, margin, type TokenEvidence } from '#protocol/evidence';
import { GREEDY, type Sampling } from '#protocol/sampling';
import { parseEngineChoice } from '../../provider/calibrate/engine-choice.ts';
import type { Engine } from '../../provider/engine/engine.ts';
import { EngineError } from '../../provider/engine/engine.ts';
import { ENGINE_KINDS, engineStates } from '../../provider/engine/engine-kinds.ts';
import { importOptional } from '../../provider/engine/optional-package.ts';
import { type Ask, generated, llamaProblem, openLlama, openOnnx, openWasm, promptOf } from '../fixtures/engines.ts';

const SEED = 123456789n;
const SAMPLED: Sampling = { ...GREEDY, temperature: 1 };
const NARROW: Sampling = { ...SAMPLED, topK: 20, topP: 0.9, frequencyPenalty: 0.5, logitBias: [[45, 1.5]] };
const NORWAY: Ask = { question: 'What is the capital of Norway?', sampling: GREEDY };
const ASKS: readonly Ask[] = [
  NORWAY,
  { question: 'Write a short story about a fox.', sampling: SAMPLED, maxTokens: 24 },
  { question: 'Tell me about Japan.', sampling: NARROW, maxTokens: 24 },
];

interface Kind {
  readonly name: string;
  readonly open: () => Promise<Engine>;
  readonly numericClass: RegExp;
  /** How far a logit may be from the reference's, in logits: twice the most that was measured. */
  readonly differenceMax: number;
  readonly skip?: string | null;
}

const noLlama = await llamaProblem();
if (noLlama !== null) console.warn(`tests of llama.cpp are skipped: ${noLlama}`);

const KINDS: readonly Kind[] = [
  {
    name: 'onnxruntime without graph optimisation',
    open: () => openOnnx({ graphOptimization: 'disabled' }),
    numericClass: /^ort-[\d.]+\+opt-disabled\/cpu\/fp32\/kv-fp32\/model\.onnx$/,
    differenceMax: 0.0002,
  },
  {
    name: 'onnxruntime, each answer alone',
    open: () => openOnnx({ batching: false }),
    numericClass: /^ort-[\d.]+\+alone\/cpu\/fp32\/kv-fp32\/model\.onnx$/,
    differenceMax: 0.0002,
  },
  {
    name: 'onnxruntime, prompts token by token',
    open: () => openOnnx({ chunkTokens: 1 }),
    numericClass: /^ort-[\d.]+\+prefill-1\/cpu\/fp32\/kv-fp32\/model\.onnx$/,
    differenceMax: 0.0002,
  },
  {
    name: "onnxruntime-web's WebAssembly",
    open: () => openWasm(),
    numericClass: /^ort-wasm-[\d.]+\/cpu\/fp32\/kv-fp32\/model\.onnx$/,
    differenceMax: 0.0002,
  },
  {
    name: 'llama.cpp',
    open: () => openLlama(),
    numericClass: /^llamacpp-[^/]+\/cpu\/fp16\/kv-fp16\/minnow-5m-f16\.gguf$/,
    differenceMax: 0.02,
    skip: noLlama,
  },
];

let reference: Engine;
beforeAll(async () => {
  reference = await openOnnx();
});
afterAll(() => reference.close());

async function scoresOf(engine: Engine, ask: Ask, outputIds: readonly number[]): Promise<TokenEvidence[]> {
  const promptIds = promptOf(engine, ask.question);
  return engine.score({ promptIds, outputIds, sampling: ask.sampling, seed: SEED });
}

function largestMargin(evidence: readonly TokenEvidence[], { sampling }: Ask, borderTolerance: number): number {
  const noise = { temperature: sampling.temperature, seed: SEED, borderTolerance };
  return Math.max(...evidence.map((item, position) => margin(item, { ...noise, position }).margin));
}

/** Differences of logits without the constant that cancels: each chosen token's against the best listed one. */
function differences(a: readonly TokenEvidence[], b: readonly TokenEvidence[]): number[] {
  return a.flatMap((item, at) => {
    const other = new Map(b[at]!.top);
    const shared = item.top.filter(([id]) => other.has(id));
    const shift = shared[0]![1] - other.get(shared[0]![0])!;
    return shared.map(([id, logit]) => Math.abs(logit - other.get(id)! - shift) / LOGIT_SCALE);
  });
}

for (const { name, open, numericClass, differenceMax, skip } of KINDS) {
  describe.skipIf(skip != null)(name, () => {
    let engine: Engine;
    beforeAll(async () => {
      engine = await open();
    });
    afterAll(() => engine.close());

    it('says what it is, and answers as the model card has it', async () => {
      expect(engine.info.numericClass).toMatch(numericClass);
      expect(engine.info).toMatchObject({ vocabSize: 4096, contextMax: 1024, eosIds: [0, 2], logprobsMax: 20 });
      const ids = (await generated(engine, NORWAY)).map(({ id }) => id);
      expect(engine.text.finalText(ids, []).text).toBe('The capital of Norway is Oslo.');
      expect(ids.at(-1)).toBe(2);
    });

    it('gives evidence that contradicts nothing, and scores its own answers almost as its own', async () => {
      for (const ask of ASKS) {
        const tokens = await generated(engine, ask);
        tokens.forEach(({ evidence }, position) => {
          const context = { sampling: ask.sampling, seed: SEED, position, vocabSize: 4096 };
          expect(evidenceConsistent(evidence, context)).toEqual({ ok: true });
        });
        const ids = tokens.map(({ id }) => id);
        expect(largestMargin(await scoresOf(engine, ask, ids), ask, differenceMax)).toBeLessThan(differenceMax);
      }
    });

    it('is close to the reference in both directions', async () => {
      const apart: number[] = [];
      for (const ask of ASKS) {
        const ids = (await generated(engine, ask)).map(({ id }) => id);
        const theirs = await scoresOf(reference, ask, ids);
        expect(largestMargin(theirs, ask, differenceMax)).toBeLessThan(differenceMax);
        apart.push(...differences(await scoresOf(engine, ask, ids), theirs));
        const answer = (await generated(reference, ask)).map(({ id }) => id);
        expect(largestMargin(await scoresOf(engine, ask, answer), ask, differenceMax)).toBeLessThan(differenceMax);
      }
      expect(Math.max(...apart)).toBeLessThan(differenceMax);
    });

    it('gives many jobs at once what it gives each alone, to the last bit of their evidence', async () => {
      const asks = ASKS.map((ask) => ({ ...ask, maxTokens: 12 }));
      const alone = [];
      for (const ask of asks) alone.push(await generated(engine, ask));
      const scored = await scoresOf(
        engine,
        asks[1]!,
        alone[1]!.map(({ id }) => id),
      );
      const [first, second, score, third] = await Promise.all([
        generated(engine, asks[0]!),
        generated(engine, asks[1]!),
        scoresOf(
          engine,
          asks[1]!,
          alone[1]!.map(({ id }) => id),
        ),
        generated(engine, asks[2]!),
      ]);
      expect([first, second, third]).toEqual(alone);
      expect(score).toEqual(scored);
    });

    it('stops where it is told to, and refuses work once it is closed', async () => {
      const controller = new AbortController();
      const promptIds = promptOf(engine, 'Tell me about Kenya.');
      const order = { promptIds, sampling: GREEDY, seed: 0n, maxTokens: 100, signal: controller.signal };
      let seen = 0;
      const aborted = (async () => {
        for await (const _ of engine.generate(order)) if (++seen === 3) controller.abort();
      })();
      await expect(aborted).rejects.toMatchObject({ code: 'aborted' });
      expect(seen).toBe(3);
      const other = await open();
      const job = other.generate({ ...order, signal: new AbortController().signal });
      await job.next();
      await other.close();
      await expect(job.next()).rejects.toMatchObject({ code: 'closed' });
      const late = other.score({ promptIds, outputIds: [5], sampling: GREEDY, seed: 0n });
      await expect(late).rejects.toMatchObject({ code: 'closed' });
    });
  });
}

describe.skipIf(noLlama !== null)('llama.cpp with fewer sequences than jobs', () => {
  it('lets the others wait, and serves them all', async () => {
    const engine = await openLlama({ sequences: 1 });
    const asks = ASKS.map((ask) => ({ ...ask, maxTokens: 8 }));
    const answers = await Promise.all(asks.map((ask) => generated(engine, ask)));
    expect(answers.map(({ length }) => length)).toEqual([8, 8, 8]);
    await engine.close();
  });
});

describe('engines that are not installed', () => {
  it('are named with the command that installs them', async () => {
    const load = importOptional(
      'onnxruntime-web',
      () => Promise.reject(new Error('asked')),
      () => false,
    );
    await expect(load).rejects.toBeInstanceOf(EngineError);
    await expect(load).rejects.toMatchObject({
      code: 'engine_missing',
      message: expect.stringContaining('onnxruntime-web is not installed: npm install'),
    });
  });

  it('are told from packages that are there and broken', async () => {
    const error = Object.assign(new Error("Cannot find package 'one-of-its-parts'"), { code: 'ERR_MODULE_NOT_FOUND' });
    const load = importOptional(
      'node-llama-cpp',
      () => Promise.reject(error),
      () => true,
    );
    await expect(load).rejects.toBe(error);
  });

  it('are listed with those that are', async () => {
    const states = await engineStates();
    expect(states.map(({ kind }) => kind)).toEqual([...ENGINE_KINDS]);
    expect(states.slice(0, 2).map(({ version }) => version)).toEqual(['1.30.0', '1.30.0']);
    for (const { version, problem } of states) expect(version === null).toBe(problem !== undefined);
  });
});

it('are chosen for a calibration with the device that they run on, the CPU behind it', () => {
  expect(parseEngineChoice('model.onnx+device=cuda')).toEqual({
    name: 'model.onnx+device=cuda',
    kind: 'onnx',
    weightsFile: 'onnx/model.onnx',
    ggufPath: null,
    options: { executionProviders: ['cuda', 'cpu'] },
  });
  expect(parseEngineChoice('model.onnx+device')).toHaveProperty('problem');
});
