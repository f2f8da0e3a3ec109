import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TokenEvidence } from '#protocol/evidence';
import { evidenceConsistent, margin } from '#protocol/evidence';
import type { Sampling } from '#protocol/sampling';
import { GREEDY } from '#protocol/sampling';
import type { Engine, GeneratedToken } from '../../provider/engine/engine.ts';
import { readModelFolder } from '../../provider/engine/model-folder.ts';
import { createOnnxEngine } from '../../provider/engine/onnx/onnx-engine.ts';

const MODELS = fileURLToPath(new URL('../../provider/models/minnow/dist/', import.meta.url));
const NORWAY = 'What is the capital of Norway?';
const RIVER = 'Explain the word river in a few sentences.';
const STORY = 'Write a short story about a fox.';
const SAMPLED: Sampling = { ...GREEDY, temperature: 1 };
const SEED = 123456789n;

let minnow: Engine;
let fp16: Engine;
let small: Engine;

const open = async (folder: string, file: string, options = {}): Promise<Engine> =>
  createOnnxEngine(await readModelFolder(`${MODELS}${folder}`, `onnx/${file}`), options);

beforeAll(async () => {
  [minnow, fp16, small] = await Promise.all([
    open('minnow-5m', 'model.onnx'),
    open('minnow-5m', 'model_fp16.onnx'),
    open('minnow-1m', 'model.onnx'),
  ]);
});
afterAll(async () => {
  await Promise.all([minnow, fp16, small].map((engine) => engine.close()));
});

const promptOf = (question: string): number[] => minnow.text.encodeChat([{ role: 'user', content: question }]);

interface RunOptions {
  sampling?: Sampling;
  seed?: bigint;
  maxTokens?: number;
}

async function run(
  engine: Engine,
  question: string,
  { sampling = GREEDY, seed = SEED, maxTokens = 80 }: RunOptions = {},
) {
  const tokens: GeneratedToken[] = [];
  for await (const token of engine.generate({ promptIds: promptOf(question), sampling, seed, maxTokens }))
    tokens.push(token);
  const ids = tokens.map(({ id }) => id);
  return { tokens, ids, text: engine.text.finalText(ids, sampling.stop).text, finish: tokens.at(-1)?.finish };
}

async function margins(scorer: Engine, question: string, outputIds: number[], sampling: Sampling) {
  const evidence = await scorer.score({ promptIds: promptOf(question), outputIds, sampling, seed: SEED });
  const options = { temperature: sampling.temperature, seed: SEED, borderTolerance: 0.1 };
  const values = evidence.map((each, position) => margin(each, { ...options, position }));
  return {
    evidence,
    largest: Math.max(...values.map(({ margin }) => margin)),
    mean: values.reduce((sum, { margin }) => sum + margin, 0) / values.length,
    clipped: values.filter(({ atClip }) => atClip).length,
  };
}

describe('the onnxruntime engine on minnow-5m', () => {
  it('gives the greedy answers of the model card', async () => {
    const norway = await run(minnow, NORWAY);
    expect(norway).toMatchObject({ text: 'The capital of Norway is Oslo.', finish: 'stop' });
    expect(norway.ids.at(-1)).toBe(2);
    const story = await run(minnow, STORY, { maxTokens: 200 });
    expect(story.text).toMatch(
      /^In a farm near the river lived a proud fox\. .* And so everyone went home happy and tired\.$/,
    );
    const sum = await run(minnow, 'What is 23 + 45?');
    expect(sum.text).toBe('23 + 45 = 68');
  });

  it('says what it is', () => {
    expect(minnow.info).toMatchObject({
      engine: 'onnxruntime',
      numericClass: `ort-${minnow.info.engineVersion}/cpu/fp32/kv-fp32/model.onnx`,
      vocabSize: 4096,
      contextMax: 1024,
      eosIds: [0, 2],
    });
    expect(fp16.info.numericClass).toContain('/fp16/kv-fp32/model_fp16.onnx');
  });

  it.each<[string, Sampling]>([
    ['greedy', GREEDY],
    ['sampled', SAMPLED],
    ['top-p and penalties', { ...SAMPLED, topP: 0.9, frequencyPenalty: 0.5, presencePenalty: 0.2 }],
    ['top-k and bias', { ...SAMPLED, topK: 20, logitBias: [[45, 1.5]] }],
  ])('scores its own output with margin 0 at every token, from almost the same logits: %s', async (_, sampling) => {
    const { tokens, ids } = await run(minnow, STORY, { sampling });
    const scored = await margins(minnow, STORY, ids, sampling);
    expect(scored.largest).toBe(0);
    tokens.forEach(({ evidence }, position) => {
      const own = scored.evidence[position]!;
      expect(own.chosen).toBe(evidence.chosen);
      // Steps and prefill sum in another order; 3.1e-5 was the most over 4,604 tokens, 2 units.
      expect(Math.abs(own.chosenLogit - evidence.chosenLogit)).toBeLessThanOrEqual(4);
    });
    const context = { sampling, seed: SEED, vocabSize: minnow.info.vocabSize };
    tokens.forEach(({ evidence }, position) => {
      expect(evidenceConsistent(evidence, { ...context, position })).toEqual({ ok: true });
    });
  });

  it('finds small margins in the output of an honest machine of another class', async () => {
    for (const sampling of [GREEDY, SAMPLED]) {
      const { ids } = await run(fp16, STORY, { sampling });
      const { mean, clipped } = await margins(minnow, STORY, ids, sampling);
      expect(mean).toBeLessThan(0.001);
      expect(clipped).toBe(0);
    }
  });

  it('finds large margins in the output of a cheaper model, a wrong seed and a wrong temperature', async () => {
    const cheap = await run(small, RIVER, { sampling: SAMPLED });
    expect((await margins(minnow, RIVER, cheap.ids, SAMPLED)).mean).toBeGreaterThan(0.1);
    const seed = await run(minnow, STORY, { sampling: SAMPLED, seed: SEED + 1n });
    expect((await margins(minnow, STORY, seed.ids, SAMPLED)).clipped).toBeGreaterThan(3);
    const greedy = await run(minnow, STORY);
    expect((await margins(minnow, STORY, greedy.ids, SAMPLED)).clipped).toBeGreaterThan(3);
  });

  it('gives two jobs at once what it gives them one after the other', async () => {
    const questions = [NORWAY, STORY, 'Tell me about Japan.'];
    const options = { sampling: SAMPLED, maxTokens: 40 };
    const alone: GeneratedToken[][] = [];
    for (const question of questions) alone.push((await run(minnow, question, options)).tokens);
    const together = await Promise.all(questions.map((question) => run(minnow, question, options)));
    expect(together.map(({ tokens }) => tokens)).toEqual(alone);
    const parallel = await open('minnow-5m', 'model.onnx', { intraOpThreads: 2 });
    const parallelRuns = await Promise.all(questions.map((question) => run(parallel, question, options)));
    expect(parallelRuns.map(({ tokens }) => tokens)).toEqual(alone);
    await parallel.close();
  });

  it('takes turns: a short job ends before a long one that began earlier', async () => {
    const ends: string[] = [];
    const long = run(minnow, STORY, { maxTokens: 120 }).then(() => ends.push('long'));
    const short = run(minnow, NORWAY).then(() => ends.push('short'));
    await Promise.all([long, short]);
    expect(ends).toEqual(['short', 'long']);
  });

  it('scores alike whatever the length of a chunk', async () => {
    const chunked = await open('minnow-5m', 'model.onnx', { chunkTokens: 7 });
    const { ids } = await run(minnow, NORWAY, { sampling: SAMPLED });
    const request = { promptIds: promptOf(NORWAY), outputIds: ids, sampling: SAMPLED, seed: SEED };
    expect(await chunked.score(request)).toEqual(await minnow.score(request));
    await chunked.close();
  });

  it('stops at maxTokens, and counts the end token among them', async () => {
    expect(await run(minnow, NORWAY, { maxTokens: 4 })).toMatchObject({ finish: 'length', ids: { length: 4 } });
    const whole = await run(minnow, NORWAY);
    expect(await run(minnow, NORWAY, { maxTokens: whole.ids.length })).toMatchObject({ finish: 'stop' });
    const cut = await run(minnow, NORWAY, { maxTokens: whole.ids.length - 1 });
    expect(cut).toMatchObject({ finish: 'length', text: whole.text });
    expect((await run(minnow, NORWAY, { maxTokens: 0 })).ids).toEqual([]);
  });

  it('stops at the token that completes a stop string', async () => {
    const { ids, text, finish } = await run(minnow, NORWAY, { sampling: { ...GREEDY, stop: ['is Os'] } });
    expect({ text, finish }).toEqual({ text: 'The capital of Norway ', finish: 'stop_string' });
    expect(minnow.text.finalText(ids, ['is Os']).stoppedAt).toBe(ids.length - 1);
  });

  it('ends at the next token when its signal fires, and serves others afterwards', async () => {
    const controller = new AbortController();
    let seen = 0;
    const aborted = (async () => {
      const request = {
        promptIds: promptOf(STORY),
        sampling: GREEDY,
        seed: 0n,
        maxTokens: 150,
        signal: controller.signal,
      };
      for await (const _ of minnow.generate(request)) {
        seen += 1;
        if (seen === 3) controller.abort();
      }
    })();
    await expect(aborted).rejects.toMatchObject({ code: 'aborted' });
    expect(seen).toBe(3);
    const score = minnow.score({
      promptIds: [1],
      outputIds: [5],
      sampling: GREEDY,
      seed: 0n,
      signal: controller.signal,
    });
    await expect(score).rejects.toMatchObject({ code: 'aborted' });
    expect((await run(minnow, NORWAY)).finish).toBe('stop');
  });

  it('refuses prompts that it cannot read, before it runs anything', async () => {
    const request = { promptIds: [1], sampling: GREEDY, seed: 0n, maxTokens: 10 };
    const first = (change: object) => minnow.generate({ ...request, ...change }).next();
    await expect(first({ promptIds: [] })).rejects.toMatchObject({ code: 'empty_prompt' });
    await expect(first({ promptIds: [4096] })).rejects.toMatchObject({ code: 'bad_token' });
    await expect(first({ promptIds: [-1] })).rejects.toMatchObject({ code: 'bad_token' });
    await expect(first({ maxTokens: 1024 })).rejects.toMatchObject({ code: 'context_exceeded' });
    const score = minnow.score({ promptIds: [1], outputIds: [5000, 3], sampling: GREEDY, seed: 0n });
    await expect(score).rejects.toMatchObject({ code: 'bad_token' });
    expect(await minnow.score({ promptIds: [1], outputIds: [], sampling: GREEDY, seed: 0n })).toEqual<TokenEvidence[]>(
      [],
    );
  });

  it('finishes the run under way when it is closed, and refuses the next', async () => {
    const engine = await open('minnow-1m', 'model.onnx');
    const job = engine.generate({ promptIds: promptOf(STORY), sampling: GREEDY, seed: 0n, maxTokens: 100 });
    await job.next();
    const next = job.next();
    await engine.close();
    await expect(next).resolves.toMatchObject({ done: false });
    await expect(job.next()).rejects.toMatchObject({ code: 'closed' });
  });
});

describe('the onnxruntime engine on the other files', () => {
  it.each(['model_q4.onnx', 'model_quantized.onnx'])('runs %s', async (file) => {
    const engine = await open('minnow-5m', file);
    expect((await run(engine, NORWAY)).finish).toBe('stop');
    expect(engine.info.numericClass).toContain(file === 'model_q4.onnx' ? '/int4/' : '/int8/');
    await engine.close();
  });

  it('names the file that it cannot load', async () => {
    const folder = await readModelFolder(`${MODELS}minnow-1m`);
    const broken = { ...folder, weightsPath: `${MODELS}minnow-1m/config.json` };
    await expect(createOnnxEngine(broken)).rejects.toMatchObject({ code: 'unsupported_model' });
  });
});
