/** Chat completions and models as plain JSON: shapes, headers, parsing, refusals. */
import request from 'supertest';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { bodyHash } from '#protocol/canonical';
import { contentHash, contentOfCompletion } from '#protocol/content';
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
    maxTokens: 1024 - last().prompts[0]!.length,
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
  expect(last().prompts).toEqual([minnowText().encodeChat(turns)]);
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

test('models are listed and retrieved in OpenAI shapes', async () => {
  const get = (path: string) => request(served.url).get(path).set('authorization', `Bearer ${API_KEY}`);
  const model = { id: 'minnow-5m', object: 'model', created: 1_750_000_000, owned_by: 'assay' };
  expect((await get('/v1/models')).body).toEqual({ object: 'list', data: [model] });
  expect((await get('/v1/models/minnow-5m')).body).toEqual(model);
  const missing = await get('/v1/models/meta%2Fllama');
  expect(missing.status).toBe(404);
  expect(missing.body.error).toMatchObject({ code: 'model_not_found', param: 'model' });
});
