/** Unchanged clients: the `openai` package and the Vercel AI SDK's openai-compatible provider. */
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateText, streamText } from 'ai';
import OpenAI from 'openai';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { contentHash, contentOfCompletion } from '#protocol/content';
import { ProtocolError } from '#protocol/errors';
import { API_KEY, type Served, serveScripted } from './openai-fixture.ts';

let served: Served;
let client: OpenAI;
beforeAll(async () => {
  served = await serveScripted();
  client = new OpenAI({ baseURL: `${served.url}/v1`, apiKey: API_KEY, maxRetries: 0 });
});
afterAll(() => served.close());
afterEach(() => {
  for (const key of ['failFirst', 'failAfter', 'hangAfter'] as const) delete served.script[key];
});

const TEXT = 'The capital of France is Paris.';
const messages = [{ role: 'user' as const, content: 'What is the capital of France?' }];
const ask = { model: 'minnow-5m', messages };

test('openai: a plain completion has text, usage, request id and an attestable body', async () => {
  const completion = await client.chat.completions.create(ask);
  expect(completion.choices[0]!.message.content).toBe(TEXT);
  expect(completion._request_id).toMatch(/^req_/);
  const { assay } = completion as unknown as { assay: { contentHash: string } };
  const saved: unknown = JSON.parse(JSON.stringify(completion));
  expect(contentHash(contentOfCompletion(saved)!)).toBe(assay.contentHash);
});

test('openai: the strict stream helper ends in the plain answer, attestation included', async () => {
  const plain = await client.chat.completions.create(ask);
  for (const options of [{}, { stream_options: { include_usage: true } }]) {
    const final = await client.chat.completions.stream({ ...ask, ...options }).finalChatCompletion();
    expect(final.choices[0]!.message.content).toBe(TEXT);
    expect(final.choices[0]!.finish_reason).toBe('stop');
    const { assay } = final as unknown as { assay: { contentHash: string } };
    const content = contentOfCompletion(JSON.parse(JSON.stringify(final)))!;
    expect(contentHash(content)).toBe(assay.contentHash);
    expect(contentHash(content)).toBe((plain as unknown as { assay: { contentHash: string } }).assay.contentHash);
  }
});

test('openai: the raw stream gives text piece by piece', async () => {
  const pieces: string[] = [];
  for await (const chunk of await client.chat.completions.create({ ...ask, stream: true })) {
    pieces.push(chunk.choices[0]?.delta.content ?? '');
  }
  expect(pieces.length).toBeGreaterThan(4);
  expect(pieces.join('')).toBe(TEXT);
});

test('openai: the verification member passes through an unchanged client', async () => {
  await client.chat.completions.create({ ...ask, verification: { mode: 'single' } } as typeof ask);
  expect(served.requests.at(-1)!.policy.mode).toBe('single');
});

test('openai: errors become the classes of the client', async () => {
  const create = (fields: object) => client.chat.completions.create({ ...ask, ...fields } as typeof ask);
  await expect(create({ temperature: 9 })).rejects.toMatchObject({
    constructor: OpenAI.BadRequestError,
    code: 'invalid_request',
    param: 'temperature',
    requestID: expect.any(String) as string,
  });
  await expect(create({ model: 'x' })).rejects.toBeInstanceOf(OpenAI.NotFoundError);
  const stranger = new OpenAI({ baseURL: `${served.url}/v1`, apiKey: 'sk-wrong', maxRetries: 0 });
  await expect(stranger.models.list()).rejects.toBeInstanceOf(OpenAI.AuthenticationError);
  served.script.failFirst = new ProtocolError('insufficient_quota', 'Out of budget.');
  await expect(create({})).rejects.toBeInstanceOf(OpenAI.RateLimitError);
  served.script.failFirst = new ProtocolError('inconclusive', 'No decision.');
  await expect(create({})).rejects.toBeInstanceOf(OpenAI.InternalServerError);
});

test('openai: an undecided committee is not asked again by the retries of the client', async () => {
  const eager = new OpenAI({ baseURL: `${served.url}/v1`, apiKey: API_KEY, maxRetries: 2 });
  served.script.failFirst = new ProtocolError('inconclusive', 'No decision.');
  const before = served.requests.length;
  await expect(eager.chat.completions.create(ask)).rejects.toBeInstanceOf(OpenAI.InternalServerError);
  expect(served.requests.length).toBe(before + 1);
});

test('openai: a stream that fails after its start throws', async () => {
  served.script.failAfter = { tokens: 2, error: new ProtocolError('inconclusive', 'No decision.') };
  const read = async () => {
    for await (const _ of await client.chat.completions.create({ ...ask, stream: true }));
  };
  await expect(read()).rejects.toMatchObject({ code: 'inconclusive' });
  await expect(client.chat.completions.stream(ask).finalChatCompletion()).rejects.toThrow();
});

test('openai: aborting a stream aborts the committee', async () => {
  served.script.hangAfter = 3;
  const left = served.nextAbort();
  const stream = await client.chat.completions.create({ ...ask, stream: true });
  for await (const chunk of stream) {
    if (chunk.choices[0]?.delta.content) stream.controller.abort();
  }
  await left;
});

test('openai: models are listed and retrieved', async () => {
  const ids: string[] = [];
  for await (const model of client.models.list()) ids.push(model.id);
  expect(ids).toEqual(['minnow-5m']);
  expect((await client.models.retrieve('minnow-5m')).owned_by).toBe('assay');
});

const compatible = () =>
  createOpenAICompatible({ name: 'assay', baseURL: `${served.url}/v1`, apiKey: API_KEY, includeUsage: true });

test('ai sdk: generateText has text, usage and finish reason', async () => {
  const result = await generateText({ model: compatible()('minnow-5m'), prompt: 'What is the capital of France?' });
  expect(result.text).toBe(TEXT);
  expect(result.finishReason).toBe('stop');
  expect(result.usage.outputTokens).toBe(served.requests.at(-1)!.model.text.encode(TEXT).length + 1);
});

test('ai sdk: streamText has the same text and usage', async () => {
  for (const includeUsage of [true, false]) {
    const provider = createOpenAICompatible({
      name: 'assay',
      baseURL: `${served.url}/v1`,
      apiKey: API_KEY,
      includeUsage,
    });
    const result = streamText({ model: provider('minnow-5m'), prompt: 'What is the capital of France?' });
    const pieces: string[] = [];
    for await (const piece of result.textStream) pieces.push(piece);
    expect(pieces.join('')).toBe(TEXT);
    expect(await result.finishReason).toBe('stop');
    if (includeUsage) expect((await result.usage).outputTokens).toBeGreaterThan(0);
  }
});
