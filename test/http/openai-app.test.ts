/** The application around OpenAI's surface: keys, identity, limits, CORS, unknown routes, metrics, logs, fuzzing. */
import fc from 'fast-check';
import request from 'supertest';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { policyOfText } from '#protocol/policy';
import { API_KEY, type Served, serveScripted } from './openai-fixture.ts';

let served: Served;
const LIMITS = { bodyBytesMax: 20_000, messagesMax: 4, contentLengthMax: 3000, maxTokensDefault: 16 };
beforeAll(async () => {
  served = await serveScripted({
    limits: LIMITS,
    apiKey: { keyId: 'key-1', policy: policyOfText('quorum; n=5') },
  });
});
afterAll(() => served.close());

const body = { model: 'minnow-5m', messages: [{ role: 'user', content: 'my private prompt' }] };
const ERROR = {
  error: { message: expect.any(String), type: expect.any(String), param: null, code: expect.any(String) },
};
const post = (payload: unknown) =>
  request(served.url)
    .post('/v1/chat/completions')
    .set('authorization', `Bearer ${API_KEY}`)
    .set('content-type', 'application/json')
    .send(payload as object);

test.each([
  ['no header', undefined],
  ['an empty header', ' '],
  ['another scheme', `Basic ${API_KEY}`],
  ['a wrong key', 'Bearer sk-assay-other'],
  ['a key with a tail', `Bearer ${API_KEY} x`],
  ['the stored hash instead of the key', 'Bearer 0x'],
  ['a very long key', `Bearer ${'k'.repeat(5000)}`],
])('%s is 401 before the body is looked at', async (_, header) => {
  const call = request(served.url).post('/v1/chat/completions').set('content-type', 'application/json');
  if (header !== undefined) call.set('authorization', header);
  const answer = await call.send('{broken');
  expect(answer.status).toBe(401);
  expect(answer.body).toEqual(ERROR);
  expect(answer.body.error.code).toBe('invalid_api_key');
  expect(answer.headers['www-authenticate']).toBe('Bearer');
  expect(JSON.stringify(answer.body)).not.toContain('sk-assay');
});

test('the scheme of the authorization header is not case-sensitive', async () => {
  const answer = await request(served.url).get('/v1/private').set('authorization', `bearer ${API_KEY}`);
  expect(answer.body).toEqual({ keyId: 'key-1' });
});

test('routes of others are mounted with and without keys', async () => {
  expect((await request(served.url).get('/healthz')).body).toEqual({ status: 'ok' });
  expect((await request(served.url).get('/v1/private')).status).toBe(401);
});

test('a sane x-request-id is echoed but never becomes the id of the answer', async () => {
  const sane = await post(body).set('x-request-id', 'trace-42');
  expect(sane.headers['x-request-id']).toBe('trace-42');
  expect(sane.headers['assay-id']).toMatch(/^req_[0-9a-f]{32}$/);
  const again = await post(body).set('x-request-id', 'trace-42');
  expect(again.headers['assay-id']).not.toBe(sane.headers['assay-id']);
  const odd = await post(body).set('x-request-id', 'a b"<script>');
  expect(odd.headers['x-request-id']).toBe(odd.headers['assay-id']);
});

test('errors carry the request id and the OpenAI headers too', async () => {
  const { headers, status } = await post('{').set('x-request-id', 'trace-43');
  expect(status).toBe(400);
  expect(headers).toMatchObject({ 'x-request-id': 'trace-43', 'openai-version': '2020-10-01' });
  expect(headers['openai-processing-ms']).toMatch(/^\d+$/);
});

test('a body above the limit is 413, declared or chunked', async () => {
  const large = JSON.stringify({ ...body, pad: 'x'.repeat(LIMITS.bodyBytesMax) });
  const declared = await post(large);
  expect(declared.status).toBe(413);
  expect(declared.body).toEqual(ERROR);
  const parts = new ReadableStream<Uint8Array>({
    start(controller) {
      for (let at = 0; at < large.length; at += 4096) controller.enqueue(Buffer.from(large.slice(at, at + 4096)));
      controller.close();
    },
  });
  const chunked = await fetch(`${served.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${API_KEY}` },
    body: parts,
    duplex: 'half',
  } as RequestInit);
  expect(chunked.status).toBe(413);
  expect(await chunked.json()).toMatchObject({ error: { code: 'request_too_large' } });
});

test('too many messages and too long messages are refused by their place', async () => {
  const message = { role: 'user', content: 'x' };
  const many = await post({ ...body, messages: Array.from({ length: 5 }, () => message) });
  expect(many.body.error).toMatchObject({ code: 'invalid_request', param: 'messages' });
  const long = await post({ ...body, messages: [message, { role: 'user', content: 'y'.repeat(3000) }] });
  expect(long.body.error).toMatchObject({ code: 'invalid_request', param: 'messages[1].content' });
});

test('without a maximum the configured default holds, and the policy is that of the key', async () => {
  await post(body);
  expect(served.requests.at(-1)).toMatchObject({ maxTokens: 16, policy: { n: 5 } });
});

test('unknown routes are 404 and wrong methods 405 with allow, in the shape of OpenAI', async () => {
  for (const path of ['/v1/engines', '/', '/v1/chat/completions/x']) {
    const { status, body: error } = await request(served.url).get(path);
    expect(status).toBe(404);
    expect(error).toEqual(ERROR);
  }
  const wrong = await request(served.url).get('/v1/chat/completions');
  expect(wrong.status).toBe(405);
  expect(wrong.headers.allow).toBe('POST');
  expect(wrong.body.error.code).toBe('method_not_allowed');
  expect((await request(served.url).delete('/v1/models/minnow-5m')).headers.allow).toBe('GET');
});

test('an unexpected failure is a fixed error that tells nothing, in the log neither', async () => {
  const before = served.logLines.length;
  const { status, body: error } = await request(served.url).get('/v1/broken');
  expect(status).toBe(500);
  expect(error.error).toEqual({
    message: 'The server had an error while processing your request.',
    type: 'server_error',
    param: null,
    code: 'internal_error',
  });
  const lines = served.logLines.slice(before).join('');
  expect(lines).toContain('"errorName":"TypeError"');
  expect(lines).not.toContain('secret');
});

test('a preflight reflects the headers that the browser wants to send', async () => {
  const wanted = 'authorization,content-type,x-stainless-arch,x-stainless-lang,user-agent,assay-verification';
  const { status, headers } = await request(served.url)
    .options('/v1/chat/completions')
    .set('origin', 'https://app.example')
    .set('access-control-request-method', 'POST')
    .set('access-control-request-headers', wanted);
  expect(status).toBe(204);
  expect(headers['access-control-allow-headers']).toBe(wanted);
  expect(headers['access-control-allow-origin']).toBe('*');
});

test('answers and errors can be read across origins, our headers included', async () => {
  for (const answer of [await post(body), await post('{')]) {
    expect(answer.headers['access-control-allow-origin']).toBe('*');
    expect(answer.headers['access-control-expose-headers']).toContain('assay-attestation');
    expect(answer.headers['access-control-expose-headers']).toContain('x-request-id');
  }
});

test('metrics count by route, status, mode and verdict, never by the path of a client', async () => {
  await post(body);
  await request(served.url).get('/v1/some-private-path');
  const { text, headers } = await request(served.url).get('/metrics');
  expect(headers['content-type']).toMatch(/^text\/plain/);
  expect(text).toMatch(
    /assay_requests_total\{route="\/v1\/chat\/completions",status="200",mode="quorum",verdict="agreed"\} [1-9]/,
  );
  expect(text).toMatch(/assay_requests_total\{route="unmatched",status="404",mode="",verdict=""\} [1-9]/);
  expect(text).toMatch(/assay_tokens_total\{model="minnow-5m",direction="output"\} [1-9]/);
  expect(text).not.toContain('some-private-path');
});

test('log lines name the request and never prompt, answer or key', async () => {
  const before = served.logLines.length;
  await post(body);
  const lines = served.logLines.slice(before).join('');
  expect(JSON.parse(lines)).toMatchObject({ event: 'request', keyId: 'key-1', model: 'minnow-5m', status: 200 });
  for (const secret of ['private prompt', 'Paris', API_KEY]) expect(lines).not.toContain(secret);
});

/** Bodies near the schema: known fields with odd values reach further than random JSON. */
const odd = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom('', 'text', '\ud800', -0, 1e308, 2 ** 53, -1, 1.5, [], {}, [null], { type: 'text' }),
);
const message = fc.record(
  {
    role: fc.oneof(fc.constantFrom('system', 'developer', 'user', 'assistant', 'tool', 'function'), odd),
    content: fc.oneof(fc.string(), fc.array(fc.record({ type: fc.constantFrom('text', 'x'), text: odd })), odd),
    tool_call_id: odd,
    tool_calls: odd,
  },
  { requiredKeys: ['role', 'content'] },
);
const FIELDS =
  'temperature top_p top_k n stop max_tokens max_completion_tokens presence_penalty frequency_penalty logit_bias seed logprobs top_logprobs stream stream_options tools tool_choice response_format modalities verification metadata user store __proto__ constructor';
const bodies = fc
  .tuple(
    fc.constantFrom('minnow-5m', 'minnow-5m', 'minnow-5m:quorum-5', 'x'),
    fc.oneof(fc.array(message, { minLength: 1, maxLength: 3 }), odd),
    fc.array(fc.tuple(fc.constantFrom(...FIELDS.split(' ')), odd), { maxLength: 3 }),
  )
  .map(([model, messages, fields]) => {
    const members = [['model', model], ['messages', messages], ...fields] as [string, unknown][];
    // Written by hand, so that repeated members and `__proto__` reach the server.
    return `{${members.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(',')}}`;
  });

test('no body makes a 5xx, and every refusal is a whole OpenAI error', async () => {
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(fc.oneof({ weight: 4, arbitrary: bodies }, fc.json(), fc.string()), async (text) => {
      const answer = await post(text);
      if (answer.status === 200) return;
      refused++;
      expect([400, 404]).toContain(answer.status);
      const { error } = answer.body as { error: Record<string, unknown> };
      expect(Object.keys(error).sort()).toEqual(['code', 'message', 'param', 'type']);
      expect(typeof error.message).toBe('string');
      expect(typeof error.code).toBe('string');
      expect(error.param === null || typeof error.param === 'string').toBe(true);
    }),
    { numRuns: 400 },
  );
  expect(refused).toBeGreaterThan(100);
});
