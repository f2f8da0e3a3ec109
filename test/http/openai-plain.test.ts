/** Chat completions and models as plain JSON: shapes, headers, parsing, refusals. */
import request from 'supertest';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { bodyHash } from '#protocol/canonical';
import { contentHash, contentOfCompletion } from '#protocol/content';
import { ProtocolError } from '#protocol/errors';
import { API_KEY, minnowText, type Served, serveScripted } from './openai-fixture.ts';

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
const last = () => served.requests.at(-1)!;

test('a completion has every required key and nothing that the specification forbids', async () => {
  const { status, body, headers } = await ask();
  expect(status).toBe(200);
  const promptTokens = minnowText().encodeChat(messages).length;
  const outputTokens = minnowText().encode(served.script.text).length + 1;
  const { assay, ...openai } = body as Record<string, unknown> & { assay: Record<string, unknown> };
  expect(openai).toEqual({
    id: `chatcmpl-${last().requestId.slice(4)}`,
    object: 'chat.completion',
    created: 1_760_000_000,
    model: 'minnow-5m',
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: 'The capital of France is Paris.', refusal: null },
        logprobs: null,
        finish_reason: 'stop',
      },
    ],
    usage: {
      prompt_tokens: promptTokens,
      completion_tokens: outputTokens,
      total_tokens: promptTokens + outputTokens,
    },
  });
  expect(Object.keys(body as object).at(-1)).toBe('assay');
  expect(assay).toMatchObject({ id: last().requestId, verdict: 'agreed', seed: '7', unverified: [] });
  expect(assay.contentHash).toBe(contentHash(contentOfCompletion(JSON.parse(JSON.stringify(body)))!));
  expect(headers['content-type']).toMatch(/^application\/json/);
  expect(headers).toMatchObject({
    'assay-id': last().requestId,
    'assay-verdict': 'agreed',
    'assay-policy': 'quorum;n=3;agree=3;release=verified;on_inconclusive=error;weight=seat',
    'assay-security': 'seats=3',
    'openai-version': '2020-10-01',
    'openai-processing-ms': '0',
    'x-request-id': last().requestId,
  });
});

test('the committee gets what OpenAI fields mean, with OpenAI defaults', async () => {
  await ask();
  expect(last()).toMatchObject({
    keyId: 'key-1',
    seed: null,
    maxTokens: 1024 - last().promptIds.length,
    clientNonce: null,
    stream: false,
    sampling: { temperature: 1, topP: 1, topK: 0, presencePenalty: 0, frequencyPenalty: 0, logitBias: [], stop: [] },
  });
  const body = {
    model: 'minnow-5m',
    messages,
    temperature: 0.5,
    top_p: 0.9,
    top_k: 40,
    presence_penalty: 1,
    frequency_penalty: -1,
    logit_bias: { '30': 5, '7': -100, '9': 0 },
    stop: 'zzz',
    max_completion_tokens: 5,
    seed: -1,
    user: 'u',
    metadata: { a: 'b' },
    store: false,
    stream_options: { include_usage: true, include_obfuscation: false },
    some_future_field: { x: 1 },
  };
  const { status } = await post(body).set('assay-nonce', 'abc123');
  expect(status).toBe(200);
  expect(last()).toMatchObject({
    seed: 2n ** 64n - 1n,
    maxTokens: 5,
    clientNonce: 'abc123',
    bodyHash: bodyHash(body),
    sampling: {
      temperature: 0.5,
      topP: 0.9,
      topK: 40,
      presencePenalty: 1,
      frequencyPenalty: -1,
      logitBias: [
        [7, -100],
        [30, 5],
      ],
      stop: ['zzz'],
    },
  });
});

test('null stands for absent in every field that OpenAI makes nullable', async () => {
  const names =
    'temperature top_p n stop max_tokens max_completion_tokens presence_penalty frequency_penalty logit_bias seed logprobs top_logprobs stream stream_options tools tool_choice parallel_tool_calls response_format reasoning_effort verbosity modalities audio prediction store metadata service_tier user web_search_options functions function_call verification';
  const { status } = await ask(Object.fromEntries(names.split(' ').map((name) => [name, null])));
  expect(status).toBe(200);
});

test('values that ask for nothing are accepted', async () => {
  const { status } = await ask({
    n: 1,
    tools: [],
    tool_choice: 'auto',
    parallel_tool_calls: true,
    response_format: { type: 'text' },
    logprobs: false,
    modalities: ['text'],
    service_tier: 'auto',
    stream: false,
    stream_options: { include_usage: true },
    top_k: -1,
    stop: [],
  });
  expect(status).toBe(200);
  expect(last().sampling).toMatchObject({ topK: 0, stop: [] });
});

test('seeds beyond 2^53 arrive exactly', async () => {
  for (const [text, seed] of [
    ['9223372036854775807', 2n ** 63n - 1n],
    ['9007199254740993', 9007199254740993n],
    ['-9223372036854775808', 2n ** 63n],
  ] as const) {
    const body = JSON.stringify({ model: 'minnow-5m', messages }).replace('{', `{"seed":${text},`);
    const { status } = await post(body).set('content-type', 'application/json');
    expect(status).toBe(200);
    expect(last().seed).toBe(seed);
  }
});

test('the content type of a request does not matter, a byte order mark neither', async () => {
  const body = `\ufeff${JSON.stringify({ model: 'minnow-5m', messages })}`;
  expect((await post(body).set('content-type', 'text/plain')).status).toBe(200);
});

test('roles and content forms become the turns of the template', async () => {
  await ask({
    messages: [
      { role: 'developer', content: 'Be brief.' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'One' },
          { type: 'text', text: 'Two' },
        ],
      },
      { role: 'assistant', content: null, refusal: 'No.' },
      { role: 'tool', tool_call_id: 'c1', content: '42' },
      { role: 'user', content: 'Go <|im_end|> on', name: 'bob' },
    ],
  });
  const turns = [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'One\nTwo' },
    { role: 'assistant', content: 'No.' },
    { role: 'tool', content: '42' },
    { role: 'user', content: 'Go <|im_end|> on' },
  ];
  expect(last().promptIds).toEqual(minnowText().encodeChat(turns));
});

test('stop strings end the text before them and are not returned', async () => {
  const { body } = await ask({ stop: [' France', 'never'] });
  expect(body.choices[0]).toMatchObject({ message: { content: 'The capital of' }, finish_reason: 'stop' });
  expect(body.assay.contentHash).toBe(contentHash(contentOfCompletion(body)!));
});

test('a text that does not bear out the finish kind is not signed', async () => {
  served.script.finish = 'stop_string';
  const { status, body } = await ask();
  expect(status).toBe(500);
  expect(body.error.code).toBe('internal_error');
});

test('max_tokens cuts with finish reason length', async () => {
  const { body } = await ask({ max_tokens: 2 });
  expect(body.choices[0].finish_reason).toBe('length');
  expect(body.usage.completion_tokens).toBe(2);
});

test('policy comes from body, header, model suffix and default in that order', async () => {
  await ask({ verification: { n: 7 } }).set('assay-verification', 'quorum; n=5');
  expect(last().policy.n).toBe(7);
  await ask({ verification: 'single' });
  expect(last().policy.mode).toBe('single');
  await ask().set('assay-verification', 'quorum; n=5; agree=4');
  expect(last().policy).toMatchObject({ n: 5, agree: 4 });
  const suffixed = await ask({ model: 'minnow-5m:quorum-5' });
  expect(suffixed.body.model).toBe('minnow-5m');
  expect(last().policy.n).toBe(5);
});

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
  [{ n: 2 }, 400, 'unsupported_parameter', 'n'],
  [{ logprobs: true }, 400, 'unsupported_parameter', 'logprobs'],
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

test('models are listed and retrieved in OpenAI shapes', async () => {
  const get = (path: string) => request(served.url).get(path).set('authorization', `Bearer ${API_KEY}`);
  const model = { id: 'minnow-5m', object: 'model', created: 1_750_000_000, owned_by: 'assay' };
  expect((await get('/v1/models')).body).toEqual({ object: 'list', data: [model] });
  expect((await get('/v1/models/minnow-5m')).body).toEqual(model);
  const missing = await get('/v1/models/meta%2Fllama');
  expect(missing.status).toBe(404);
  expect(missing.body.error).toMatchObject({ code: 'model_not_found', param: 'model' });
});
