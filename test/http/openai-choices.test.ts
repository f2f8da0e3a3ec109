/** Several choices of one answer, `n`: bodies, streams, limits, and unchanged clients (SPEC.md §4.4). */
import OpenAI from 'openai';
import request from 'supertest';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { contentHash, contentOfChunks, contentOfCompletion } from '#protocol/content';
import { API_KEY, minnowText, type Served, serveScripted } from './openai-fixture.ts';

const TEXTS = ['The capital of France is Paris.', 'Paris.', 'It is Paris, on the Seine, in the north of the country.'];
const messages = [{ role: 'user' as const, content: 'What is the capital of France?' }];
const counts = () => TEXTS.map((text) => minnowText().encode(text).length + 1);

let served: Served;
let client: OpenAI;
beforeAll(async () => {
  served = await serveScripted({ limits: { choicesTokensMax: 600 } });
  served.script.text = TEXTS[0]!;
  served.script.others = TEXTS.slice(1);
  client = new OpenAI({ baseURL: `${served.url}/v1`, apiKey: API_KEY, maxRetries: 0 });
});
afterAll(() => served.close());

interface Chunk {
  choices: { index: number; delta: { role?: string; content?: string }; finish_reason: string | null }[];
  usage?: object | null;
  assay?: { contentHash: string; usage?: object };
}

async function post(fields: object) {
  return request(served.url)
    .post('/v1/chat/completions')
    .set('authorization', `Bearer ${API_KEY}`)
    .send({ model: 'minnow-5m', messages, max_tokens: 60, ...fields });
}

/** Payloads of a whole stream, which ends in `[DONE]`. */
async function stream(fields: object): Promise<Chunk[]> {
  const answer = await post({ stream: true, ...fields });
  const payloads = answer.text.split('\n\n').map((frame) => frame.slice('data: '.length));
  expect(payloads.splice(-2)).toEqual(['[DONE]', '']);
  return payloads.map((payload) => JSON.parse(payload) as Chunk);
}

test('n = 3 gives three choices in order, the prompt counted once and the output of all', async () => {
  const { status, body } = await post({ n: 3 });
  expect(status).toBe(200);
  const { choices, usage, assay } = body as OpenAI.ChatCompletion & { assay: { contentHash: string } };
  expect(choices.map(({ index }) => index)).toEqual([0, 1, 2]);
  expect(choices.map(({ message }) => message.content)).toEqual(TEXTS);
  expect(choices.map(({ finish_reason }) => finish_reason)).toEqual(['stop', 'stop', 'stop']);
  const promptTokens = minnowText().encodeChat(messages).length;
  const completionTokens = counts().reduce((sum, count) => sum + count, 0);
  expect(usage).toEqual({
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
  });
  expect(contentHash(contentOfCompletion(body)!)).toBe(assay.contentHash);
  expect(served.requests.at(-1)!.choices).toBe(3);
});

test('every choice ends for its own reason', async () => {
  const { body } = await post({ n: 3, max_tokens: counts()[0]! - 1, stop: [' on'] });
  const { choices } = body as OpenAI.ChatCompletion;
  expect(choices.map(({ finish_reason }) => finish_reason)).toEqual(['length', 'stop', 'stop']);
  expect(choices[2]!.message.content).toBe('It is Paris,');
});

test('a stream names the choice in every chunk, finishes each exactly once at the end, and carries one attestation', async () => {
  const chunks = await stream({ n: 3 });
  const deltas = chunks.flatMap((chunk) => chunk.choices);
  for (const [index, text] of TEXTS.entries()) {
    const own = deltas.filter((choice) => choice.index === index);
    expect(own[0]!.delta).toEqual({ role: 'assistant', content: '' });
    expect(own.map(({ delta }) => delta.content ?? '').join('')).toBe(text);
    expect(own.slice(1).every(({ delta }) => delta.role === undefined)).toBe(true);
    expect(own.filter(({ finish_reason }) => finish_reason !== null)).toHaveLength(1);
    expect(own.at(-1)).toMatchObject({ delta: {}, finish_reason: 'stop' });
  }
  // The texts come side by side, not one after the other.
  const order = deltas.filter(({ delta }) => delta.content).map(({ index }) => index);
  expect(order.indexOf(2)).toBeLessThan(order.lastIndexOf(0));
  expect(chunks.slice(-3).map((chunk) => chunk.choices[0]!.finish_reason)).toEqual(['stop', 'stop', 'stop']);
  expect(chunks.filter((chunk) => chunk.assay)).toEqual([chunks.at(-1)]);
  expect(contentHash(contentOfChunks(chunks)!)).toBe(chunks.at(-1)!.assay!.contentHash);
});

test('with include_usage one chunk without choices has the usage of all and the attestation', async () => {
  const chunks = await stream({ n: 2, stream_options: { include_usage: true } });
  const plain = (await post({ n: 2 })).body as OpenAI.ChatCompletion;
  expect(chunks.at(-1)).toMatchObject({ choices: [], usage: plain.usage });
  expect(chunks.slice(0, -1).every((chunk) => chunk.usage === null && chunk.assay === undefined)).toBe(true);
  expect(contentHash(contentOfChunks(chunks)!)).toBe(chunks.at(-1)!.assay!.contentHash);
});

test('openai: the strict stream helper gathers two choices with the attested content', async () => {
  const final = await client.chat.completions
    .stream({ model: 'minnow-5m', messages, n: 2, max_tokens: 60 })
    .finalChatCompletion();
  expect(final.choices.map(({ message }) => message.content)).toEqual(TEXTS.slice(0, 2));
  const { assay } = final as unknown as { assay: { contentHash: string } };
  expect(contentHash(contentOfCompletion(JSON.parse(JSON.stringify(final)))!)).toBe(assay.contentHash);
});

test('n = 1 and null are the plain answer', async () => {
  const one = (await post({ n: 1 })).body as OpenAI.ChatCompletion;
  const none = (await post({ n: null })).body as OpenAI.ChatCompletion;
  expect(one.choices).toEqual(none.choices);
  expect(one.choices).toHaveLength(1);
});

test('as many choices as are served are answered, one more is refused before any work', async () => {
  expect(((await post({ n: 8 })).body as OpenAI.ChatCompletion).choices).toHaveLength(8);
  const before = served.requests.length;
  const refused = await post({ n: 9 });
  expect(refused.status).toBe(400);
  expect(refused.body).toEqual({
    error: {
      message: "Invalid 'n': expected at most 8 choices.",
      type: 'invalid_request_error',
      code: 'invalid_request',
      param: 'n',
    },
  });
  expect(served.requests.length).toBe(before);
});

test('choices that ask for more tokens together than an attestation holds are refused, one choice is not', async () => {
  expect((await post({ n: 6, max_tokens: 100 })).status).toBe(200);
  const { status, body } = await post({ n: 7, max_tokens: 100 });
  expect([status, (body as { error: { param: string } }).error.param]).toEqual([400, 'n']);
  expect((await post({ max_tokens: 700 })).status).toBe(200);
});
