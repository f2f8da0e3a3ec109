/** `POST /v1/completions` in the shapes of OpenAI, by the `openai` package and by hand. */
import OpenAI from 'openai';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { contentHash } from '#protocol/content';
import { shownLogprobsHash } from '#protocol/logprobs';
import { contentOfText, contentOfTextChunks } from '#protocol/text-content';
import { API_KEY, minnowText, type Served, serveScripted } from './openai-fixture.ts';

let served: Served;
let client: OpenAI;
beforeAll(async () => {
  served = await serveScripted();
  client = new OpenAI({ baseURL: `${served.url}/v1`, apiKey: API_KEY, maxRetries: 0 });
});
afterAll(() => served.close());
afterEach(() => {
  served.script.text = 'The capital of France is Paris.';
  delete served.script.others;
});

const TEXT = 'The capital of France is Paris.';
const ask = { model: 'minnow-5m', prompt: 'Once upon' };
const last = () => served.requests.at(-1)!;
const assayOf = (value: unknown) => (value as { assay: { contentHash: string; logprobsHash?: string } }).assay;

async function post(fields: object) {
  const response = await fetch(`${served.url}/v1/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${API_KEY}` },
    body: JSON.stringify({ ...ask, ...fields }),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

test('an answer has the shape of a text completion and is attested in that form', async () => {
  const { status, body } = await post({});
  expect(status).toBe(200);
  const { assay, usage, ...openai } = body;
  const outputTokens = minnowText().encode(TEXT).length + 1;
  expect(openai).toEqual({
    id: `cmpl-${last().requestId.slice(4)}`,
    object: 'text_completion',
    created: 1_760_000_000,
    model: 'minnow-5m',
    choices: [{ text: TEXT, index: 0, logprobs: null, finish_reason: 'stop' }],
  });
  expect(usage).toMatchObject({ prompt_tokens: last().prompts[0]!.length, completion_tokens: outputTokens });
  expect((assay as { contentHash: string }).contentHash).toBe(contentHash(contentOfText(body)!));
});

test('the committee gets the plain prompt, without a template, and 16 tokens where no maximum is named', async () => {
  await client.completions.create(ask);
  expect(last()).toMatchObject({ prompts: [minnowText().encodePrompt('Once upon')], maxTokens: 16, logprobs: null });
  await client.completions.create({ ...ask, max_tokens: 5, seed: 3, temperature: 0.5, stop: [' upon'], n: 2 });
  expect(last()).toMatchObject({ maxTokens: 5, seed: 3n, choices: 2, sampling: { temperature: 0.5, stop: [' upon'] } });
});

test('a prompt comes as a text, a list of one, token ids, or a list of one of those', async () => {
  const ids = [...minnowText().encodePrompt('Once upon')];
  for (const prompt of ['Once upon', ['Once upon'], ids, [ids]]) {
    await client.completions.create({ ...ask, prompt });
    expect(last().prompts).toEqual([ids]);
  }
  await client.completions.create({ ...ask, prompt: '' });
  expect(last().prompts[0]!.length).toBeGreaterThan(0);
});

test('echo puts the prompt before the answer, of token ids too, plain and streamed', async () => {
  const ids = minnowText().encode('Once upon');
  for (const prompt of ['Once upon', ids]) {
    const plain = await client.completions.create({ ...ask, prompt, echo: true });
    expect(plain.choices[0]!.text).toBe(`Once upon${TEXT}`);
    let text = '';
    const chunks: OpenAI.Completion[] = [];
    for await (const chunk of await client.completions.create({ ...ask, prompt, echo: true, stream: true })) {
      text += chunk.choices[0]?.text ?? '';
      chunks.push(chunk);
    }
    expect(text).toBe(`Once upon${TEXT}`);
    expect(contentHash(contentOfTextChunks(chunks)!)).toBe(assayOf(plain).contentHash);
  }
});

test('several prompts have their choices in a row, and each prompt is counted once', async () => {
  const prompt = ['Once upon', 'The sea'];
  const ids = prompt.map((text) => [...minnowText().encodePrompt(text)]);
  served.script.others = ['one.', 'two.', 'three.'];
  for (const given of [prompt, ids]) {
    const { choices, usage } = await client.completions.create({ ...ask, prompt: given, n: 2 });
    expect(last()).toMatchObject({ prompts: ids, choices: 4 });
    expect(choices.map(({ index, text }) => [index, text])).toEqual(
      [TEXT, 'one.', 'two.', 'three.'].map((text, index) => [index, text]),
    );
    expect(usage!.prompt_tokens).toBe(ids[0]!.length + ids[1]!.length);
  }
  const echoed = await client.completions.create({ ...ask, prompt, n: 2, echo: true });
  expect(echoed.choices.map(({ text }) => text)).toEqual([
    `Once upon${TEXT}`,
    'Once uponone.',
    'The seatwo.',
    'The seathree.',
  ]);
  const joined = ['', '', '', ''];
  for await (const chunk of await client.completions.create({ ...ask, prompt, n: 2, echo: true, stream: true })) {
    for (const { index, text } of chunk.choices) joined[index] += text;
  }
  expect(joined).toEqual(echoed.choices.map(({ text }) => text));
});

test('several prompts share one maximum: what the longest leaves of the context', async () => {
  const long = 'word '.repeat(400);
  const left = 1024 - minnowText().encodePrompt(long).length;
  await client.completions.create({ ...ask, prompt: ['a', long], max_tokens: left });
  expect(last().maxTokens).toBe(left);
  expect((await post({ prompt: ['a', long], max_tokens: left + 1 })).body).toMatchObject({
    error: { code: 'context_length_exceeded', param: 'max_tokens' },
  });
});

test.each([[{}], [{ stream_options: { include_usage: true } }]])(
  'a stream joins to the plain answer (%o)',
  async (more) => {
    const plain = await client.completions.create({ ...ask, n: 2 });
    const chunks: OpenAI.Completion[] = [];
    for await (const chunk of await client.completions.create({ ...ask, n: 2, stream: true, ...more }))
      chunks.push(chunk);
    for (const index of [0, 1]) {
      const own = chunks.flatMap(({ choices }) => choices.filter((choice) => choice.index === index));
      expect(own.map(({ text }) => text).join('')).toBe(TEXT);
      expect(own.filter((choice) => choice.finish_reason !== null)).toHaveLength(1);
    }
    expect(assayOf(chunks.at(-1)).contentHash).toBe(assayOf(plain).contentHash);
    expect(contentHash(contentOfTextChunks(chunks)!)).toBe(assayOf(plain).contentHash);
  },
);

test.each([0, 5])(
  'logprobs %i lists tokens, their values, alternatives and offsets, plain and streamed',
  async (count) => {
    served.script.text = 'Ω 😀 is Paris.';
    const plain = await client.completions.create({ ...ask, logprobs: count, max_tokens: 40 });
    const [choice] = plain.choices;
    const { tokens, token_logprobs, top_logprobs, text_offset } = choice!.logprobs!;
    expect(tokens!.join('')).toBe(choice!.text);
    expect(token_logprobs).toHaveLength(tokens!.length);
    tokens!.forEach((token, at) => {
      expect([...choice!.text].slice(text_offset![at]!).join('').startsWith(token)).toBe(true);
      const alternatives = Object.values(top_logprobs![at]!);
      expect(alternatives.length).toBeGreaterThanOrEqual(Math.max(1, count));
      expect(alternatives).toContain(token_logprobs![at]);
    });
    expect(assayOf(plain).logprobsHash).toBe(shownLogprobsHash([{ index: 0, logprobs: choice!.logprobs }]));
    const joined: Record<string, unknown[]> = { tokens: [], token_logprobs: [], top_logprobs: [], text_offset: [] };
    for await (const chunk of await client.completions.create({
      ...ask,
      logprobs: count,
      max_tokens: 40,
      stream: true,
    })) {
      for (const [name, list] of Object.entries(chunk.choices[0]?.logprobs ?? {}))
        joined[name]!.push(...(list as unknown[]));
    }
    expect(joined).toEqual(choice!.logprobs);
  },
);

const REFUSED: readonly [object, string, string][] = [
  [{ prompt: undefined }, 'invalid_request', 'prompt'],
  [{ prompt: 7 }, 'invalid_request', 'prompt'],
  [{ prompt: [] }, 'invalid_request', 'prompt'],
  [{ prompt: [1, 'a'] }, 'invalid_request', 'prompt'],
  [{ prompt: [99_999_999] }, 'invalid_request', 'prompt'],
  [{ prompt: [-1] }, 'invalid_request', 'prompt[0]'],
  [{ prompt: ['a', [1]] }, 'invalid_request', 'prompt'],
  [{ prompt: [[1], 'a'] }, 'invalid_request', 'prompt'],
  [{ prompt: [[1], 2] }, 'invalid_request', 'prompt'],
  [{ prompt: ['a', null] }, 'invalid_request', 'prompt'],
  [{ prompt: [[1], []] }, 'invalid_request', 'prompt[1]'],
  [{ prompt: [[1], [99_999_999]] }, 'invalid_request', 'prompt[1]'],
  [{ prompt: Array(17).fill('a') }, 'invalid_request', 'prompt'],
  [{ prompt: Array(6).fill('a'), n: 3 }, 'invalid_request', 'prompt'],
  [{ prompt: ['a', 'b'], n: 9 }, 'invalid_request', 'n'],
  [{ prompt: Array(129).fill([1]) }, 'invalid_request', 'prompt'],
  [{ prompt: Array(1_000_000).fill('') }, 'invalid_request', 'prompt'],
  [{ prompt: ['a', 'word '.repeat(2000)] }, 'context_length_exceeded', 'prompt'],
  [{ prompt: 'word '.repeat(2000) }, 'context_length_exceeded', 'prompt'],
  [{ max_tokens: 5000 }, 'context_length_exceeded', 'max_tokens'],
  [{ max_tokens: 0 }, 'unsupported_parameter', 'max_tokens'],
  [{ max_tokens: 0, echo: true, logprobs: 1 }, 'unsupported_parameter', 'max_tokens'],
  [{ suffix: 'x' }, 'unsupported_parameter', 'suffix'],
  [{ best_of: 2 }, 'unsupported_parameter', 'best_of'],
  [{ logprobs: 6 }, 'invalid_request', 'logprobs'],
  [{ logprobs: true }, 'invalid_request', 'logprobs'],
  [{ logprobs: 1, echo: true }, 'unsupported_parameter', 'logprobs'],
  [{ echo: 'yes' }, 'invalid_request', 'echo'],
  [{ n: 129 }, 'invalid_request', 'n'],
  [{ temperature: 3 }, 'invalid_request', 'temperature'],
  [{ model: 'x' }, 'model_not_found', 'model'],
];
test.each(REFUSED.map(([fields, ...outcome]) => [...outcome, fields] as const))(
  'a body is refused with %s at %s',
  async (code, param, fields) => {
    const before = served.requests.length;
    expect((await post(fields)).body).toMatchObject({ error: { code, param } });
    expect(served.requests.length).toBe(before);
  },
);

test('null and values that ask for nothing are accepted', async () => {
  const names =
    'max_tokens temperature top_p n stream stream_options logprobs echo stop presence_penalty frequency_penalty best_of logit_bias user suffix seed prompt';
  expect((await post(Object.fromEntries(names.split(' ').map((name) => [name, null])))).status).toBe(200);
  expect((await post({ best_of: 1, suffix: '', echo: false, n: 1 })).status).toBe(200);
});
