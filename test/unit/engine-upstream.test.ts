/** The upstream engine against fakes of vLLM, SGLang and llama.cpp's server that run the toy model or minnow. */
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { evidenceConsistent, margin } from '#protocol/evidence';
import { GREEDY, type Sampling } from '#protocol/sampling';
import type { Engine } from '../../provider/engine/engine.ts';
import { readModelFolder } from '../../provider/engine/model-folder.ts';
import { createOnnxEngine } from '../../provider/engine/onnx/onnx-engine.ts';
import { createToyEngine } from '../../provider/engine/toy.ts';
import { DIALECTS, type DialectName } from '../../provider/engine/upstream/dialect.ts';
import { openUpstream, runOf, type Upstream } from '../fixtures/fake-upstream/open.ts';

const MINNOW = fileURLToPath(new URL('../../provider/models/minnow/dist/minnow-5m', import.meta.url));
const NORWAY = 'What is the capital of Norway?';

const opened: Upstream[] = [];
afterEach(async () => {
  for (const upstream of opened.splice(0)) await upstream.close();
});

async function open(dialect: DialectName, options: Partial<Parameters<typeof openUpstream>[0]> = {}) {
  const upstream = await openUpstream({ dialect, ...options });
  opened.push(upstream);
  return upstream;
}

const toy = createToyEngine();
const PROMPTS = ['hello', 'What is it?', 'one more', 'again'];

async function marginsOf(engine: Engine, promptIds: readonly number[], outputIds: readonly number[]) {
  const evidence = await engine.score({ promptIds, outputIds, sampling: GREEDY, seed: 0n });
  return evidence.map((item, position) => margin(item, { temperature: 0, seed: 0n, position, borderTolerance: 0 }));
}

describe.each(DIALECTS)('an upstream of the kind %s', (dialect) => {
  it('says what it is: kind, version, device, arithmetic, cache, model, and that it has no sampler of ours', async () => {
    const { engine } = await open(dialect);
    expect(engine.info).toMatchObject({
      engine: dialect,
      sampler: null,
      vocabSize: toy.info.vocabSize,
      eosIds: toy.info.eosIds,
    });
    expect(engine.info.numericClass).toBe(`${dialect}-${engine.info.engineVersion}/h200/fp32/kv-fp32/served-model`);
  });

  it('generates what an engine of our own generates, greedily, with evidence that is consistent', async () => {
    const { engine } = await open(dialect);
    for (const prompt of PROMPTS) {
      const promptIds = toy.text.encodeChat([{ role: 'user', content: prompt }]);
      const own = await runOf(toy, promptIds, { maxTokens: 150 });
      const theirs = await runOf(engine, promptIds, { maxTokens: 150 });
      expect(theirs.ids).toEqual(own.ids);
      expect(theirs.finish).toBe(own.finish);
      for (const [position, { evidence }] of theirs.tokens.entries()) {
        const context = { sampling: GREEDY, seed: 0n, position, vocabSize: toy.info.vocabSize };
        expect(evidenceConsistent(evidence, context)).toEqual({ ok: true });
        expect(evidence.top.map(([id]) => id)).toEqual(own.tokens[position]!.evidence.top.map(([id]) => id));
      }
    }
  });

  it('ends where our rules end: at an EOS, at a stop string, at maxTokens', async () => {
    const { engine } = await open(dialect);
    const promptIds = toy.text.encodeChat([{ role: 'user', content: 'one more' }]);
    const whole = await runOf(toy, promptIds, { maxTokens: 500 });
    expect(whole.finish).toBe('stop');
    const ends = [500, whole.ids.length, whole.ids.length - 1, 9, 8, 1];
    for (const maxTokens of ends) {
      const own = await runOf(toy, promptIds, { maxTokens });
      expect(await runOf(engine, promptIds, { maxTokens })).toMatchObject({ ids: own.ids, finish: own.finish });
    }
    const stop = [toy.text.decode(whole.ids.slice(10, 12))];
    const sampling = { ...GREEDY, stop };
    const own = await runOf(toy, promptIds, { maxTokens: 500, sampling });
    expect(own.finish).toBe('stop_string');
    expect(await runOf(engine, promptIds, { maxTokens: 500, sampling })).toMatchObject({
      ids: own.ids,
      finish: 'stop_string',
    });
    expect((await runOf(engine, promptIds, { maxTokens: 0 })).ids).toEqual([]);
  });

  it('scores its own text with margin 0, and other text at the clip', async () => {
    const { engine } = await open(dialect);
    const promptIds = toy.text.encodeChat([{ role: 'user', content: 'one more' }]);
    const { ids } = await runOf(toy, promptIds, { maxTokens: 20 });
    expect((await marginsOf(engine, promptIds, ids)).every((item) => item.margin === 0)).toBe(true);
    const other = ids.map((id) => (id === 65 ? 66 : 65));
    const others = await marginsOf(engine, promptIds, other);
    expect(others).toHaveLength(other.length);
    expect(others.filter((item) => item.atClip).length).toBeGreaterThan(15);
    expect(await engine.score({ promptIds, outputIds: [], sampling: GREEDY, seed: 0n })).toEqual([]);
  });

  it('gives the same evidence as an engine of our own, but for a constant at each position', async () => {
    const { engine } = await open(dialect);
    const promptIds = toy.text.encode('abc');
    // The last id of the vocabulary is one that SGLang echoes as another.
    const order = { promptIds, outputIds: [70, toy.info.vocabSize - 1, 10, 0], sampling: GREEDY, seed: 0n };
    const theirs = await engine.score(order);
    for (const [at, own] of (await toy.score(order)).entries()) {
      const item = theirs[at]!;
      expect({ ...item, chosenLogit: 0, top: [] }).toEqual({ ...own, chosenLogit: 0, top: [] });
      expect(item.top.map(([id]) => id)).toEqual(own.top.map(([id]) => id));
      const shift = item.chosenLogit - own.chosenLogit;
      for (const [rank, [, logit]] of item.top.entries()) {
        // Two roundings to 2^-16.
        expect(Math.abs(logit - own.top[rank]![1] - shift)).toBeLessThanOrEqual(1);
      }
    }
  });

  it.each<[string, Partial<Sampling>]>([
    ['a temperature', { temperature: 0.7 }],
    ['a presence penalty', { presencePenalty: 0.5 }],
    ['a frequency penalty', { frequencyPenalty: 0.5 }],
    ['a bias', { logitBias: [[65, 1]] }],
  ])('refuses %s before it asks anything of the server', async (_, change) => {
    const { engine, fake } = await open(dialect);
    const before = fake.calls.length;
    const sampling = { ...GREEDY, ...change };
    await expect(runOf(engine, [65], { maxTokens: 3, sampling })).rejects.toMatchObject({
      code: 'unsupported_sampling',
    });
    const score = engine.score({ promptIds: [65], outputIds: [66], sampling, seed: 0n });
    await expect(score).rejects.toMatchObject({ code: 'unsupported_sampling' });
    expect(fake.calls.length).toBe(before);
  });

  it('serves temperature 0 with top-k, top-p and a seed, which change nothing there', async () => {
    const { engine } = await open(dialect);
    const own = await runOf(toy, [65, 66], { maxTokens: 12 });
    const sampling = { ...GREEDY, topK: 3, topP: 0.5 };
    expect((await runOf(engine, [65, 66], { maxTokens: 12, sampling, seed: 99n })).ids).toEqual(own.ids);
  });

  it('refuses prompts and claims that the context or the vocabulary does not hold, before any call', async () => {
    const { engine, fake } = await open(dialect, { contextMax: 60 });
    const contextMax = dialect === 'sglang' ? 54 : 60;
    expect(engine.info.contextMax).toBe(contextMax);
    const before = fake.calls.length;
    const prompt = (length: number) => Array.from({ length }, () => 65);
    const first = (promptIds: number[], maxTokens: number) => runOf(engine, promptIds, { maxTokens });
    await expect(first([], 3)).rejects.toMatchObject({ code: 'empty_prompt' });
    await expect(first([128], 3)).rejects.toMatchObject({ code: 'bad_token' });
    await expect(first(prompt(50), contextMax - 49)).rejects.toMatchObject({ code: 'context_exceeded' });
    const score = engine.score({ promptIds: [1], outputIds: [128], sampling: GREEDY, seed: 0n });
    await expect(score).rejects.toMatchObject({ code: 'bad_token' });
    expect(fake.calls.length).toBe(before);
  });

  it('generates and scores up to the very end of the context', async () => {
    const { engine } = await open(dialect, { contextMax: 60 });
    const promptIds = toy.text.encodeChat([{ role: 'user', content: 'one more' }]);
    const maxTokens = engine.info.contextMax - promptIds.length;
    const { ids } = await runOf(toy, promptIds, { maxTokens });
    expect(ids).toHaveLength(maxTokens);
    expect((await runOf(engine, promptIds, { maxTokens })).ids).toEqual(ids);
    const order = { promptIds, outputIds: [...ids.slice(0, -1), 65], sampling: GREEDY, seed: 0n };
    const [own, theirs] = [await toy.score(order), await engine.score(order)];
    const gap = (item: (typeof own)[number] | undefined) => item!.top[0]![1] - item!.chosenLogit;
    expect(Math.abs(gap(own.at(-1)) - gap(theirs.at(-1)))).toBeLessThanOrEqual(1);
  });

  it('keeps jobs that run at one time apart', async () => {
    const { engine } = await open(dialect);
    const prompts = PROMPTS.map((prompt) => toy.text.encode(prompt));
    const together = await Promise.all(prompts.map((promptIds) => runOf(engine, promptIds, { maxTokens: 30 })));
    for (const [at, promptIds] of prompts.entries()) {
      expect(together[at]!.ids).toEqual((await runOf(toy, promptIds, { maxTokens: 30 })).ids);
    }
  });

  it('refuses what comes after it was closed, and ends what is under way', async () => {
    const { engine, fake } = await open(dialect);
    fake.faults.silent = true;
    const waiting = fake.next();
    const running = runOf(engine, [65], { maxTokens: 5 });
    await waiting;
    await engine.close();
    await expect(running).rejects.toMatchObject({ code: 'closed' });
    await expect(runOf(engine, [65], { maxTokens: 5 })).rejects.toMatchObject({ code: 'closed' });
    const score = engine.score({ promptIds: [65], outputIds: [66], sampling: GREEDY, seed: 0n });
    await expect(score).rejects.toMatchObject({ code: 'closed' });
  });
});

describe('an upstream that runs minnow', () => {
  let minnow: Engine;
  beforeAll(async () => {
    minnow = await createOnnxEngine(await readModelFolder(MINNOW));
  });
  afterAll(() => minnow.close());

  it.each(DIALECTS)(
    'answers as the onnxruntime engine does, and scores that answer as its own: %s',
    async (dialect) => {
      const { engine } = await open(dialect, { engine: minnow });
      const promptIds = minnow.text.encodeChat([{ role: 'user', content: NORWAY }]);
      const own = await runOf(minnow, promptIds, { maxTokens: 40 });
      const theirs = await runOf(engine, promptIds, { maxTokens: 40 });
      expect(theirs.ids).toEqual(own.ids);
      expect(minnow.text.finalText(theirs.ids, []).text).toBe('The capital of Norway is Oslo.');
      expect(theirs.finish).toBe('stop');
      expect((await marginsOf(engine, promptIds, own.ids)).every((item) => item.margin === 0)).toBe(true);
      const wrong = own.ids.map((id, at) => (at === 5 ? own.ids[0]! : id));
      expect((await marginsOf(engine, promptIds, wrong)).filter((item) => item.atClip).length).toBeGreaterThan(0);
    },
  );
});
