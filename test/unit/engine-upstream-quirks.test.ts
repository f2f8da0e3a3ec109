/** Peculiarities of vLLM, SGLang and llama.cpp's server that are no faults: the answer is right all the same. */
import { afterEach, describe, expect, it } from 'vitest';
import { evidenceConsistent, LOGIT_Q16_MIN, LOGIT_SCALE, margin } from '#protocol/evidence';
import { GREEDY } from '#protocol/sampling';
import { createToyEngine } from '../../provider/engine/toy.ts';
import { DIALECTS, type DialectName } from '../../provider/engine/upstream/dialect.ts';
import { sliceSizes } from '../../provider/engine/upstream/slices.ts';
import type { FakeFaults } from '../fixtures/fake-upstream/fake-context.ts';
import { type FakeList, fakeModelOf, tableModel } from '../fixtures/fake-upstream/fake-model.ts';
import { type OpenOptions, openUpstream, runOf, type Upstream } from '../fixtures/fake-upstream/open.ts';

const toy = createToyEngine();
const EOS = toy.info.eosIds[0]!;
/** 57 tokens long, the end token among them. */
const PROMPT_IDS = toy.text.encodeChat([{ role: 'user', content: 'one more' }]);
const NOISE = { temperature: 0, seed: 0n, borderTolerance: 0 };

const opened: Upstream[] = [];
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close();
});

async function open(dialect: DialectName, options: Partial<OpenOptions> = {}): Promise<Upstream> {
  const upstream = await openUpstream({ dialect, ...options });
  opened.push(upstream);
  return upstream;
}

const own = await runOf(toy, PROMPT_IDS, { maxTokens: 80 });

describe.each(DIALECTS)('an upstream of the kind %s', (dialect) => {
  it.each<[string, FakeFaults]>([
    ['keeps the end token to itself', { holdsEndBack: true }],
    ['leaves the end token out of the ids', { trimsEnd: true }],
    ['stops at tokens that are no ends by the model folder', { stopsAt: own.ids.slice(3, 30) }],
    ['gives less than it is asked for', { givesMax: 5 }],
  ])('gives the whole answer, end token and its evidence included, when it %s', async (_, faults) => {
    const { engine, fake } = await open(dialect);
    Object.assign(fake.faults, faults);
    const { tokens, ids, finish } = await runOf(engine, PROMPT_IDS, { maxTokens: 80 });
    expect(ids).toEqual(own.ids);
    expect(finish).toBe('stop');
    for (const [position, { evidence }] of tokens.entries()) {
      const context = { sampling: GREEDY, seed: 0n, position, vocabSize: toy.info.vocabSize };
      expect(evidenceConsistent(evidence, context)).toEqual({ ok: true });
    }
    const short = own.ids.length - 1;
    expect(await runOf(engine, PROMPT_IDS, { maxTokens: short })).toMatchObject({
      ids: own.ids.slice(0, short),
      finish: 'length',
    });
  });

  it('follows our own rule where tokens are tied: the lowest id, and what the model says after that one', async () => {
    const { engine, fake } = await open(dialect, { model: TIED });
    fake.faults.highestOnTies = true;
    const { ids, tokens, finish } = await runOf(engine, [65], { maxTokens: 9 });
    expect(ids).toEqual([70, 71, 72, EOS]);
    expect(finish).toBe('stop');
    expect(tokens[0]!.evidence.top.slice(0, 3).map(([id]) => id)).toEqual([70, 90, 100]);
  });

  it('counts a token that its model finds impossible as far off, however the server writes minus infinity', async () => {
    const { engine } = await open(dialect, { model: TIED });
    const [evidence] = await engine.score({ promptIds: [65], outputIds: [126], sampling: GREEDY, seed: 0n });
    expect(evidence!.chosenLogit).toBeLessThanOrEqual(-9999 * LOGIT_SCALE);
    if (dialect !== 'vllm') expect(evidence!.chosenLogit).toBe(LOGIT_Q16_MIN);
    expect(margin(evidence!, { ...NOISE, position: 0 }).atClip).toBe(true);
  });

  it('sends token ids, never text, and asks for no text to be read as tokens', async () => {
    const { engine, fake } = await open(dialect);
    await runOf(engine, PROMPT_IDS, { maxTokens: 20 });
    await engine.score({ promptIds: PROMPT_IDS, outputIds: own.ids, sampling: GREEDY, seed: 0n });
    const paths = new Set(fake.calls.map(({ path }) => path));
    const prompts = fake.calls.flatMap(({ body }) => [body.prompt ?? body.input_ids ?? []]) as number[][];
    expect(prompts.every((prompt) => prompt.every((id) => Number.isInteger(id)))).toBe(true);
    expect([...paths].sort()).toEqual(
      {
        vllm: ['/v1/completions', '/v1/models', '/version'],
        sglang: ['/generate', '/get_server_info'],
        llamacpp: ['/completion', '/props', '/v1/models'],
      }[dialect],
    );
  });
});

/**
 * After 65, three tokens are tied within 2^-16; after 70 comes 71, 72 and the end; after 90 and 100 other things.
 * 126 is impossible everywhere.
 */
const TIED = tableModel(toy.info.vocabSize, [EOS], (ids) => {
  const last = ids.at(-1)!;
  const next = last === 71 ? 72 : last === 72 ? EOS : 71;
  const rest: FakeList = Array.from({ length: 120 }, (_, id) => [id + 1, -9 - id / 100] as const);
  const list = new Map([[EOS, -8] as const, ...rest, [126, Number.NEGATIVE_INFINITY] as const]);
  if (last === 65) {
    list.set(70, -1);
    list.set(90, -1);
    list.set(100, -1);
  } else list.set(last === 90 || last === 100 ? 80 : next, -0.5);
  return [...list];
});

describe('vLLM', () => {
  it('is never asked for prompt log-probabilities in a stream, and names every default of the server', async () => {
    const { engine, fake } = await open('vllm');
    await runOf(engine, PROMPT_IDS, { maxTokens: 5 });
    await engine.score({ promptIds: PROMPT_IDS, outputIds: [70], sampling: GREEDY, seed: 0n });
    const bodies = fake.calls.filter(({ path }) => path === '/v1/completions').map(({ body }) => body);
    expect(bodies.some((body) => body.stream)).toBe(true);
    expect(bodies.some((body) => body.prompt_logprobs)).toBe(true);
    expect(bodies.some((body) => body.stream && body.prompt_logprobs)).toBe(false);
    for (const body of bodies) {
      expect(body).toMatchObject({ temperature: 0, repetition_penalty: 1, add_special_tokens: false });
      expect(body).toMatchObject({ return_token_ids: true, return_tokens_as_token_ids: true, logprobs: 8 });
    }
  });

  it('is cut off at the end token of the model folder, and takes no end of its own', async () => {
    const model = { ...fakeModelOf(toy), eosIds: [own.ids[4]!] };
    const { engine, fake } = await open('vllm', { model });
    const before = fake.calls.length;
    expect((await runOf(engine, PROMPT_IDS, { maxTokens: 80 })).ids).toEqual(own.ids);
    expect(fake.calls.length).toBe(before + 1);
  });
});

describe('SGLang', () => {
  it('is asked for log-probabilities from one token before the claim', async () => {
    const { engine, fake } = await open('sglang');
    await engine.score({ promptIds: PROMPT_IDS, outputIds: [70, 71], sampling: GREEDY, seed: 0n });
    expect(fake.calls.at(-1)!.body).toMatchObject({ logprob_start_len: PROMPT_IDS.length - 1, return_logprob: true });
  });
});

describe('llama.cpp', () => {
  it('gives tokens that end inside a character, which it lists no log-probabilities for', async () => {
    const { engine, fake } = await open('llamacpp');
    fake.faults.fragments = [...new Set(own.ids.filter((_, at) => at % 3 === 1))];
    const { ids, tokens } = await runOf(engine, PROMPT_IDS, { maxTokens: 80 });
    expect(ids).toEqual(own.ids);
    expect(tokens.map(({ evidence }) => evidence.top.map(([id]) => id))).toEqual(
      own.tokens.map(({ evidence }) => evidence.top.map(([id]) => id)),
    );
    const scored = await engine.score({ promptIds: PROMPT_IDS, outputIds: own.ids, sampling: GREEDY, seed: 0n });
    expect(scored.every((evidence, position) => margin(evidence, { ...NOISE, position }).margin === 0)).toBe(true);
  });

  it('is asked for ever longer lists until they hold a claimed token that ends inside a character', async () => {
    const { engine, fake } = await open('llamacpp');
    const order = { promptIds: PROMPT_IDS, outputIds: [5], sampling: GREEDY, seed: 0n };
    const [expected] = await engine.score(order);
    fake.faults.fragments = [5];
    const before = fake.calls.length;
    expect(await engine.score(order)).toEqual([expected]);
    expect(fake.calls.slice(before).map(({ body }) => body.n_probs)).toEqual([8, 8, 512]);
  });
});

describe('slices', () => {
  it('begin small, double, and are together what was asked for', () => {
    expect([...sliceSizes(1)]).toEqual([1]);
    expect([...sliceSizes(200)]).toEqual([8, 16, 32, 64, 64, 16]);
    expect([...sliceSizes(0)]).toEqual([]);
  });
});
