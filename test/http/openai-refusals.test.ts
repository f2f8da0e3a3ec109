/** What the chat route refuses, and how: status, code, param and whether a retry may help (gateways.md conformance list). */
import request from 'supertest';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
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
const post = (body: unknown) =>
  request(served.url)
    .post('/v1/chat/completions')
    .set('authorization', `Bearer ${API_KEY}`)
    .send(body as object);
const ask = (fields: object = {}) => post({ model: 'minnow-5m', messages, ...fields });

const image = { type: 'image_url', image_url: { url: 'data:,' } };
const REFUSED: readonly [fields: object, status: number, code: string, param: string][] = [
  [{ model: undefined }, 400, 'invalid_request', 'model'],
  [{ model: '' }, 400, 'invalid_request', 'model'],
  [{ model: 'gpt-4o' }, 404, 'model_not_found', 'model'],
  [{ model: 'minnow-5m:fast' }, 404, 'model_not_found', 'model'],
  [{ model: 'minnow-5m:proved' }, 400, 'unsupported_parameter', 'model.mode'],
  [{ messages: undefined }, 400, 'invalid_request', 'messages'],
  [{ messages: [] }, 400, 'invalid_request', 'messages'],
  [{ messages: 'hi' }, 400, 'invalid_request', 'messages'],
  [{ messages: [{ role: 'wizard', content: 'x' }] }, 400, 'invalid_request', 'messages[0].role'],
  [{ messages: [{ role: 'user' }] }, 400, 'invalid_request', 'messages[0].content'],
  [{ messages: [{ role: 'user', content: [] }] }, 400, 'invalid_request', 'messages[0].content'],
  [{ messages: [{ role: 'assistant', content: null }] }, 400, 'invalid_request', 'messages[0].content'],
  [{ messages: [{ role: 'tool', content: 'x' }] }, 400, 'invalid_request', 'messages[0].tool_call_id'],
  [{ messages: [{ role: 'function', content: 'x' }] }, 400, 'unsupported_parameter', 'messages[0].role'],
  [{ messages: [{ role: 'user', content: [image] }] }, 400, 'unsupported_parameter', 'messages[0].content[0].type'],
  [
    { messages: [{ role: 'user', content: [{ type: 'text' }] }] },
    400,
    'invalid_request',
    'messages[0].content[0].text',
  ],
  [
    { messages: [{ role: 'assistant', content: 'x', tool_calls: [{ id: 'a' }] }] },
    400,
    'invalid_request',
    'messages[0].tool_calls[0].type',
  ],
  [
    {
      messages: [
        { role: 'assistant', tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } }] },
      ],
    },
    400,
    'unsupported_parameter',
    'messages[0].tool_calls',
  ],
  [{ temperature: 2.1 }, 400, 'invalid_request', 'temperature'],
  [{ temperature: '1' }, 400, 'invalid_request', 'temperature'],
  [{ top_p: -0.1 }, 400, 'invalid_request', 'top_p'],
  [{ presence_penalty: 3 }, 400, 'invalid_request', 'presence_penalty'],
  [{ seed: 1.5 }, 400, 'invalid_request', 'seed'],
  [{ seed: 2 ** 63 }, 400, 'invalid_request', 'seed'],
  [{ seed: '1' }, 400, 'invalid_request', 'seed'],
  [{ stop: ['a', 'b', 'c', 'd', 'e'] }, 400, 'invalid_request', 'stop'],
  [{ stop: '' }, 400, 'invalid_request', 'stop'],
  [{ logit_bias: { a: 1 } }, 400, 'invalid_request', 'logit_bias'],
  [{ logit_bias: { '1': 101 } }, 400, 'invalid_request', 'logit_bias'],
  [{ max_tokens: 0 }, 400, 'invalid_request', 'max_tokens'],
  [{ max_tokens: 3, max_completion_tokens: 4 }, 400, 'invalid_request', 'max_tokens'],
  [{ max_tokens: 5000 }, 400, 'context_length_exceeded', 'max_tokens'],
  [{ messages: [{ role: 'user', content: 'word '.repeat(2000) }] }, 400, 'context_length_exceeded', 'messages'],
  [{ stream: 'yes' }, 400, 'invalid_request', 'stream'],
  [{ n: 0 }, 400, 'invalid_request', 'n'],
  [{ n: 1.5 }, 400, 'invalid_request', 'n'],
  [{ n: 9 }, 400, 'invalid_request', 'n'],
  [{ n: 129 }, 400, 'invalid_request', 'n'],
  [{ logprobs: 3 }, 400, 'invalid_request', 'logprobs'],
  [{ logprobs: true, top_logprobs: 21 }, 400, 'invalid_request', 'top_logprobs'],
  [{ logprobs: true, top_logprobs: -1 }, 400, 'invalid_request', 'top_logprobs'],
  [{ top_logprobs: 2 }, 400, 'invalid_request', 'top_logprobs'],
  [{ logprobs: false, top_logprobs: 2 }, 400, 'invalid_request', 'top_logprobs'],
  [{ tools: [{ type: 'function', function: { name: 'f' } }] }, 400, 'unsupported_parameter', 'tools'],
  [{ response_format: { type: 'json_object' } }, 400, 'unsupported_parameter', 'response_format'],
  [{ response_format: 'text' }, 400, 'unsupported_parameter', 'response_format'],
  [{ modalities: ['text', 'audio'] }, 400, 'unsupported_parameter', 'modalities'],
  [{ prediction: {} }, 400, 'unsupported_parameter', 'prediction'],
  [{ store: true }, 400, 'unsupported_parameter', 'store'],
  [{ verification: { mode: 'quorum', n: 99 } }, 400, 'invalid_policy', 'verification.n'],
  [{ verification: 'optimistic' }, 400, 'unsupported_parameter', 'verification.mode'],
];
const byOutcome = REFUSED.map(([fields, ...outcome]) => [...outcome, fields] as const);
test.each(byOutcome)('a body is refused with %i %s at %s', async (status, code, param, fields) => {
  const before = served.requests.length;
  const answer = await ask(fields);
  expect(answer.status).toBe(status);
  expect(answer.body).toEqual({
    error: { message: expect.any(String), type: 'invalid_request_error', param, code },
  });
  expect(answer.headers['x-should-retry']).toBe('false');
  expect(served.requests.length).toBe(before);
});

test.each(
  [
    ['{"model":', 'invalid_json'],
    ['', 'invalid_json'],
    ['[1]', 'invalid_request'],
    ['null', 'invalid_request'],
    [`{"messages":[{"role":"user","content":"\\ud800"}]}`, 'invalid_json'],
    [`{"x":${'['.repeat(9000)}${']'.repeat(9000)}}`, 'invalid_json'],
    ['{"temperature":1e999}', 'invalid_json'],
  ].map(([text, code]) => [code, text] as const),
)('a body is refused as %s', async (code, text) => {
  const { status, body } = await post(text).set('content-type', 'application/json');
  expect(status).toBe(400);
  expect(body.error).toMatchObject({ code, param: null });
});

test('an answer that the committee cannot give says whether a retry may help', async () => {
  served.script.failFirst = new ProtocolError('inconclusive', 'The committee could not decide.');
  const inconclusive = await ask();
  expect(inconclusive.status).toBe(502);
  expect(inconclusive.headers['x-should-retry']).toBe('false');
  served.script.failFirst = new ProtocolError('committee_unavailable', 'Too few providers.', {
    retryable: true,
    retryAfterMs: 2500,
  });
  const unavailable = await ask({ stream: true });
  expect(unavailable.status).toBe(503);
  expect(unavailable.headers).toMatchObject({ 'x-should-retry': 'true', 'retry-after': '3', 'retry-after-ms': '2500' });
  expect(unavailable.headers['content-type']).toMatch(/^application\/json/);
  served.script.failFirst = new ProtocolError('committee_unavailable', 'The pool is too small for this policy.');
  const hopeless = await ask();
  expect(hopeless.headers['x-should-retry']).toBe('false');
  expect(hopeless.headers['retry-after']).toBeUndefined();
});
