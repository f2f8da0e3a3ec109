/** Streams: framing, usage, text at token borders, failures, clients that leave. */
import { getEventListeners } from 'node:events';
import { Agent, request as httpRequest } from 'node:http';
import request from 'supertest';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { contentHash, contentOfChunks, contentOfCompletion } from '#protocol/content';
import { ProtocolError } from '#protocol/errors';
import { API_KEY, type Served, serveScripted } from './openai-fixture.ts';

let served: Served;
beforeAll(async () => {
  served = await serveScripted();
});
afterAll(() => served.close());
afterEach(() => {
  for (const key of ['ids', 'failFirst', 'failAfter', 'hangAfter', 'finish'] as const) delete served.script[key];
  served.script.text = 'The capital of France is Paris.';
});

const messages = [{ role: 'user', content: 'What is the capital of France?' }];

interface Chunk {
  id: string;
  object: string;
  created: number;
  model: string;
  choices: { index: number; delta: { role?: string; content?: string }; finish_reason: string | null }[];
  usage?: { total_tokens: number } | null;
  assay?: Record<string, unknown>;
}

async function stream(fields: object = {}) {
  const answer = await request(served.url)
    .post('/v1/chat/completions')
    .set('authorization', `Bearer ${API_KEY}`)
    .send({ model: 'minnow-5m', messages, stream: true, ...fields });
  expect(answer.status).toBe(200);
  const frames = answer.text.split('\n\n');
  expect(frames.pop()).toBe('');
  for (const frame of frames) expect(frame).toMatch(/^data: [^\n]+$/);
  const payloads = frames.map((frame) => frame.slice('data: '.length));
  const hasEnd = payloads.at(-1) === '[DONE]';
  if (hasEnd) payloads.pop();
  const chunks = payloads.map((payload) => JSON.parse(payload) as Chunk);
  const text = chunks.map((chunk) => chunk.choices?.[0]?.delta.content ?? '').join('');
  return { headers: answer.headers, chunks, hasEnd, text };
}

test('a stream is role, text, one finish chunk with the assay member, then [DONE]', async () => {
  const { headers, chunks, hasEnd, text } = await stream();
  expect(headers['content-type']).toMatch(/^text\/event-stream/);
  expect(headers).toMatchObject({ 'assay-id': expect.any(String), 'assay-security': 'seats=3, price_multiple=3' });
  expect(hasEnd).toBe(true);
  expect(text).toBe('The capital of France is Paris.');
  expect(
    new Set(chunks.map(({ id, created, model, object }) => JSON.stringify([id, created, model, object]))).size,
  ).toBe(1);
  expect(chunks[0]!.object).toBe('chat.completion.chunk');
  expect(chunks[0]!.choices).toEqual([
    { index: 0, delta: { role: 'assistant', content: '' }, logprobs: null, finish_reason: null },
  ]);
  for (const chunk of chunks) {
    expect(chunk.choices).toHaveLength(1);
    expect(chunk).not.toHaveProperty('usage');
    expect(chunk).not.toHaveProperty('system_fingerprint');
  }
  for (const chunk of chunks.slice(1, -1)) {
    expect(chunk.choices[0]!.delta.role).toBeUndefined();
    expect(chunk.choices[0]!.finish_reason).toBeNull();
    expect(chunk).not.toHaveProperty('assay');
  }
  const last = chunks.at(-1)!;
  expect(last.choices[0]).toEqual({ index: 0, delta: {}, logprobs: null, finish_reason: 'stop' });
  expect(Object.keys(last).at(-1)).toBe('assay');
});

test('with include_usage every chunk has a null usage, then one chunk without choices has usage and assay', async () => {
  const { chunks, hasEnd } = await stream({ stream_options: { include_usage: true } });
  expect(hasEnd).toBe(true);
  const last = chunks.at(-1)!;
  expect(last.choices).toEqual([]);
  expect(last.usage!.total_tokens).toBeGreaterThan(0);
  expect(last.assay).toMatchObject({ verdict: 'agreed' });
  for (const chunk of chunks.slice(0, -1)) {
    expect(chunk.usage).toBeNull();
    expect(chunk).not.toHaveProperty('assay');
  }
  expect(chunks.filter((chunk) => chunk.choices[0]?.finish_reason != null)).toHaveLength(1);
});

test('the content hash of a stream is that of the plain answer, with and without usage', async () => {
  const plain = await request(served.url)
    .post('/v1/chat/completions')
    .set('authorization', `Bearer ${API_KEY}`)
    .send({ model: 'minnow-5m', messages });
  const wanted = contentHash(contentOfCompletion(plain.body)!);
  for (const fields of [{}, { stream_options: { include_usage: true } }]) {
    const { chunks } = await stream(fields);
    expect(contentHash(contentOfChunks(chunks)!)).toBe(wanted);
    expect(chunks.at(-1)!.assay!.contentHash).toBe(wanted);
  }
});

test('characters whose bytes lie in several tokens are never torn', async () => {
  served.script.text = 'Ω 😀👩‍👩‍👧 é ünï ﷽';
  const { chunks, text } = await stream();
  expect(text).toBe(served.script.text);
  for (const chunk of chunks) {
    const delta = chunk.choices[0]!.delta.content ?? '';
    expect(delta).not.toMatch(/\ufffd|\p{Surrogate}/u);
  }
});

test('a character that the answer ends inside of is replaced once, and the hash holds', async () => {
  const ids = served.requests.at(-1)!.model.text.encode('😀');
  expect(ids.length).toBeGreaterThan(2);
  served.script.ids = [...ids.slice(0, -1), 2];
  const { chunks, text } = await stream();
  expect(text).toBe('\ufffd');
  expect(chunks.at(-1)!.assay!.contentHash).toBe(contentHash(contentOfChunks(chunks)!));
});

test('a stop string across token borders never shows, not even its beginning', async () => {
  const { text, chunks } = await stream({ stop: ['ance is'] });
  expect(text).toBe('The capital of Fr');
  expect(chunks.at(-1)!.choices[0]!.finish_reason).toBe('stop');
});

test('text that only looked like a stop string arrives in the end', async () => {
  const { text } = await stream({ stop: ['Paris. And', 's.x'] });
  expect(text).toBe('The capital of France is Paris.');
});

test('no empty deltas are sent', async () => {
  const { chunks } = await stream({ stop: ['Paris. And'] });
  for (const chunk of chunks.slice(1)) expect(chunk.choices[0]!.delta.content).not.toBe('');
});

test('a failure after the start ends with an error event and without [DONE]', async () => {
  const error = new ProtocolError('inconclusive', 'The committee could not decide.');
  served.script.failAfter = { tokens: 2, error };
  const { chunks, hasEnd } = await stream();
  expect(hasEnd).toBe(false);
  expect(chunks.at(-1)).toEqual({
    error: { message: error.message, type: 'server_error', param: null, code: 'inconclusive' },
  });
});

test('an unknown failure after the start says nothing about itself', async () => {
  served.script.failAfter = { tokens: 1, error: new Error('prompt was: secret') };
  const { chunks, hasEnd } = await stream();
  expect(hasEnd).toBe(false);
  expect(chunks.at(-1)).toMatchObject({ error: { code: 'internal_error' } });
  expect(JSON.stringify(chunks)).not.toContain('secret');
  expect(served.logLines.join('')).not.toContain('secret');
});

test.each([true, false])('a client that leaves aborts the committee (stream %s)', async (isStream) => {
  served.script.hangAfter = isStream ? 2 : 0;
  const before = served.requests.length;
  const left = served.nextAbort();
  const agent = new Agent();
  const call = httpRequest(`${served.url}/v1/chat/completions`, {
    method: 'POST',
    agent,
    headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' },
  });
  call.on('error', () => {});
  call.end(JSON.stringify({ model: 'minnow-5m', messages, stream: isStream }));
  if (isStream) {
    await new Promise<void>((resolve) => {
      call.on('response', (response) => response.once('data', () => resolve()));
    });
  } else {
    while (served.requests.length === before) await new Promise((resolve) => setImmediate(resolve));
  }
  call.destroy();
  await left;
  agent.destroy();
  expect(served.aborted.at(-1)).toBe(served.requests.at(-1));
});

test('a reader that cancels the body aborts the committee without a socket too', async () => {
  served.script.hangAfter = 2;
  const left = served.nextAbort();
  const answer = await served.fetch(
    new Request('http://gateway/v1/chat/completions', {
      method: 'POST',
      headers: { authorization: `Bearer ${API_KEY}` },
      body: JSON.stringify({ model: 'minnow-5m', messages, stream: true }),
    }),
  );
  const reader = answer.body!.getReader();
  await reader.read();
  await reader.cancel();
  await left;
  expect(served.aborted.at(-1)).toBe(served.requests.at(-1));
});

test('a stream is counted once, when it ends', async () => {
  const before = served.logLines.length;
  await stream();
  const lines = served.logLines.slice(before).map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines).toEqual([
    expect.objectContaining({
      event: 'request',
      stream: true,
      verdict: 'agreed',
      finish: 'stop',
      status: 200,
      firstTokenMs: 0,
      route: '/v1/chat/completions',
    }),
  ]);
});

test.each([true, false])(
  'an answered request has no listener left that would keep it in memory (stream %s)',
  async (isStream) => {
    const client = new AbortController();
    const asked = new Request('http://gateway.test/v1/chat/completions', {
      method: 'POST',
      headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'minnow-5m', messages, stream: isStream }),
      signal: client.signal,
    });
    const answer = await served.fetch(asked);
    await answer.text();
    expect(getEventListeners(asked.signal, 'abort')).toHaveLength(0);
  },
);
