/** What an API key is bounded by, over HTTP: rates, places, budgets, and the headers that say so (DESIGN §13). */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { policyOfText } from '#protocol/policy';
import { policyCanonicalJson } from '#protocol/policy-json';
import { setKeyBudget } from '../../gateway/store/key-budgets-repo.ts';
import { setKeyPolicy, setKeyRates } from '../../gateway/store/keys-repo.ts';
import { API_KEY, booksOf } from '../fixtures/network.ts';
import { type HttpNetwork, loadMinnows, type Minnows, startHttpNetwork } from '../fixtures/network-http.ts';
import { API_KEY as SCRIPTED_KEY, type Served, serveScripted } from './openai-fixture.ts';

const NO_RATES = { requestsPerMinute: null, tokensPerMinute: null, concurrentRequests: null };
const BODY = { model: 'minnow-5m', max_tokens: 8, messages: [{ role: 'user', content: 'Hi' }] };

const errorOf = async (response: Response) => ((await response.json()) as { error: { message: string } }).error;

let served: Served | null = null;
afterEach(async () => {
  await served?.close();
  served = null;
});

const serve = async (rates: Partial<typeof NO_RATES> | { [name: string]: number }) => {
  served = await serveScripted({ apiKey: { keyId: 'key-1', policy: null, rates: { ...NO_RATES, ...rates } } });
  return served;
};
const post = (url: string, body: object, headers: Record<string, string> = {}, signal?: AbortSignal) =>
  fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${SCRIPTED_KEY}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
    ...(signal ? { signal } : {}),
  });

test('requests above the rate are 429 with the time to wait, and let in after it', async () => {
  const { url, advanceMs } = await serve({ requestsPerMinute: 2 });
  expect((await post(url, BODY)).status).toBe(200);
  expect((await post(url, BODY)).status).toBe(200);
  const refused = await post(url, BODY);
  expect(refused.status).toBe(429);
  expect(await errorOf(refused)).toMatchObject({
    code: 'rate_limit_exceeded',
    type: 'rate_limit_error',
    param: null,
    message: expect.stringContaining('2 requests a minute'),
  });
  expect(Object.fromEntries(refused.headers)).toMatchObject({
    'x-should-retry': 'true',
    'retry-after': '30',
    'retry-after-ms': '30000',
    'x-ratelimit-limit-requests': '2',
    'x-ratelimit-remaining-requests': '0',
    'x-ratelimit-reset-requests': '1m0s',
  });
  advanceMs(30_000);
  expect((await post(url, BODY)).status).toBe(200);
});

test('every answer of the route has the headers, errors and streams too, and no answer without a key has them', async () => {
  const { url } = await serve({ requestsPerMinute: 100, tokensPerMinute: 1000 });
  const names = ['limit', 'remaining', 'reset'].flatMap((word) =>
    ['requests', 'tokens'].map((what) => `x-ratelimit-${word}-${what}`),
  );
  const answers = [
    await post(url, BODY),
    await post(url, { ...BODY, stream: true }),
    await post(url, { ...BODY, temperature: 9 }),
    await post(url, { ...BODY, model: 'nobody' }),
  ];
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 400, 404]);
  for (const { headers } of answers) for (const name of names) expect(headers.has(name), name).toBe(true);
  expect(answers.map(({ headers }) => headers.get('x-ratelimit-remaining-requests'))).toEqual(['99', '98', '97', '96']);
  const stranger = await post(url, BODY, { authorization: 'Bearer sk-wrong-key' });
  expect(stranger.status).toBe(401);
  expect(stranger.headers.has(names[0]!)).toBe(false);
});

test('tokens are taken by what may come and given back by what came', async () => {
  const { url, script } = await serve({ tokensPerMinute: 200 });
  script.text = 'Yes.';
  const first = await post(url, { ...BODY, max_tokens: 150 });
  const { usage } = (await first.json()) as { usage: { total_tokens: number } };
  expect(usage.total_tokens).toBeLessThan(60);
  const second = await post(url, { ...BODY, max_tokens: 130 });
  expect(second.status).toBe(200);
  expect(Number(second.headers.get('x-ratelimit-remaining-tokens'))).toBe(200 - 2 * usage.total_tokens);
  script.hangAfter = 1;
  const left = new AbortController();
  await post(url, { ...BODY, max_tokens: 130, stream: true }, {}, left.signal);
  const refused = await post(url, { ...BODY, max_tokens: 130 });
  expect(refused.status).toBe(429);
  expect(Number(refused.headers.get('retry-after-ms'))).toBeGreaterThan(0);
  left.abort();
});

test('a request that is larger than the whole limit is not to be repeated', async () => {
  const { url } = await serve({ tokensPerMinute: 100 });
  const refused = await post(url, { ...BODY, max_tokens: 500 });
  expect(refused.status).toBe(429);
  expect(refused.headers.get('x-should-retry')).toBe('false');
  expect(refused.headers.has('retry-after')).toBe(false);
});

test('a place is taken until the stream has ended or its client left, and under a key until the work has', async () => {
  const { url, script, nextAbort } = await serve({ concurrentRequests: 1 });
  script.hangAfter = 1;
  const left = new AbortController();
  const stream = await post(url, { ...BODY, stream: true }, {}, left.signal);
  expect(stream.status).toBe(200);
  const refused = await post(url, BODY);
  expect(refused.status).toBe(429);
  expect((await errorOf(refused)).message).toContain('1 requests at once');
  expect(refused.headers.get('retry-after')).toBe('1');
  const aborted = nextAbort();
  left.abort();
  await aborted;
  delete script.hangAfter;
  await expect.poll(async () => (await post(url, BODY)).status).toBe(200);
  const whole = await post(url, { ...BODY, stream: true });
  await whole.text();
  await expect.poll(async () => (await post(url, BODY)).status).toBe(200);
  // A keyed call goes on without its client, and so does its place.
  script.hangAfter = 1;
  const leaver = new AbortController();
  const keyed = await post(url, { ...BODY, stream: true }, { 'idempotency-key': 'k' }, leaver.signal);
  await keyed.body!.getReader().read();
  leaver.abort();
  delete script.hangAfter;
  for (let i = 0; i < 20; i++) expect((await post(url, BODY)).status).toBe(429);
});

let minnows: Minnows;
let network: HttpNetwork;
beforeAll(async () => {
  minnows = await loadMinnows();
  network = await startHttpNetwork(minnows);
});
afterAll(async () => {
  await network.gateway.settled();
  expect(await booksOf(network.store)).toEqual([]);
  await network.stop();
  await minnows.close();
});

const ask = (body: object = {}) =>
  post(network.url, { ...BODY, temperature: 0, ...body }, { authorization: `Bearer ${API_KEY}` });

test("the limits of a key's row hold at its next request", async () => {
  await network.store.withTx((tx) => setKeyRates(tx, 'key-test', { ...NO_RATES, requestsPerMinute: 0 }));
  const refused = await ask();
  expect(refused.status).toBe(429);
  expect(refused.headers.get('x-should-retry')).toBe('false');
  await network.store.withTx((tx) => setKeyRates(tx, 'key-test', NO_RATES));
  expect((await ask()).headers.get('x-ratelimit-limit-requests')).toBe('300000');
});

test('over its budget a key gets insufficient_quota that is not repeated, after a restart too, until the budget grows', async () => {
  const limit = (budgetNano: bigint | null) =>
    network.store.withTx((tx) => setKeyBudget(tx, 'key-test', { budgetNano, period: null, periodBudgetNano: null }, 0));
  await limit(0n);
  const refused = await ask();
  expect(refused.status).toBe(429);
  expect(await errorOf(refused)).toMatchObject({ code: 'insufficient_quota', type: 'insufficient_quota' });
  expect(refused.headers.get('x-should-retry')).toBe('false');
  expect(refused.headers.has('retry-after')).toBe(false);
  await network.gateway.stop();
  await network.restart();
  expect((await ask()).status).toBe(429);
  await limit(10n ** 12n);
  expect((await ask()).status).toBe(200);
  await limit(null);
});

test("a key's own policy decides where the call names none, and is attested", async () => {
  const set = (text: string | null) =>
    network.store.withTx((tx) => setKeyPolicy(tx, 'key-test', text && policyCanonicalJson(policyOfText(text))));
  await set('quorum; n=5; agree=3');
  const answer = await ask();
  expect(answer.headers.get('assay-policy')).toContain('quorum;n=5;agree=3');
  const { statement } = await network.ask({ ...BODY, temperature: 0 });
  expect(statement.policy).toMatchObject({ mode: 'quorum', n: 5, agree: 3 });
  expect((await ask({ model: 'minnow-5m:single' })).headers.get('assay-policy')).toContain('single;n=1');
  expect((await ask({ verification: 'quorum; n=2' })).headers.get('assay-policy')).toContain('quorum;n=2');
  await set(null);
  expect((await ask()).headers.get('assay-policy')).toContain('quorum;n=3');
});
