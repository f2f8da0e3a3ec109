/** `/v1/quote`: what it says is what is held, whom it finds is who can sit, and nothing is taken for it (DESIGN §9). */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { clientAccount } from '../../gateway/ledger/accounts.ts';
import { balanceNano } from '../../gateway/store/ledger-repo.ts';
import { requestsOfKey } from '../../gateway/store/requests-repo.ts';
import { API_KEY, STAKE_NANO } from '../fixtures/network.ts';
import { type HttpNetwork, loadMinnows, type Minnows, startHttpNetwork } from '../fixtures/network-http.ts';

interface Quote {
  readonly error?: { code: string; param: string | null };
  readonly prompt_tokens: number;
  readonly max_tokens: number;
  readonly policy: Record<string, unknown>;
  readonly price: Record<'quote_nano' | 'input_nano' | 'output_nano', string> & { modes: Record<string, string> };
  readonly security: Record<string, string | number>;
  readonly availability: Record<string, number | boolean>;
  readonly cheapest?: {
    policy: Record<string, unknown>;
    policy_text: string;
    quote_nano: string;
    price_multiple: number;
    security: Record<string, string | number>;
  } | null;
}

const CHAT = { model: 'minnow-5m', temperature: 0, max_tokens: 6, messages: [{ role: 'user', content: 'Hi' }] };
let minnows: Minnows;
let network: HttpNetwork;
beforeAll(async () => {
  minnows = await loadMinnows();
  network = await startHttpNetwork(minnows, { regions: { p0: 'eu', p1: 'eu' } });
});
afterAll(async () => {
  await network.gateway.settled();
  await network.stop();
  await minnows.close();
});

const headers = { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' };
const call = async (response: Promise<Response>) => {
  const got = await response;
  return { status: got.status, headers: got.headers, body: (await got.json()) as Quote };
};
const post = (body: object) =>
  call(fetch(`${network.url}/v1/quote`, { method: 'POST', headers, body: JSON.stringify(body) }));
const get = (query: string) => call(fetch(`${network.url}/v1/quote?${query}`, { headers }));

test.each([
  [{}],
  [{ verification: 'single' }],
  [{ verification: 'audited' }],
  [{ verification: { mode: 'audited', audit_rate: 1 }, n: 2 }],
  [{ verification: { n: 5, agree: 4 } }],
  [{ model: 'minnow-5m:quorum-2' }],
  [{ n: 2, verification: { n: 2 } }],
  [{ max_tokens: undefined, max_completion_tokens: 3 }],
])('the quote of a chat body with %j is what is held for it', async (change) => {
  const body = { ...CHAT, ...change };
  const { status, body: quote } = await post(body);
  expect(status).toBe(200);
  const { statement } = await network.ask(body);
  expect(quote.price.quote_nano).toBe(statement.price.quoteNano);
  expect(quote.policy).toEqual(statement.policy);
  expect(BigInt(quote.price.input_nano) + BigInt(quote.price.output_nano)).toBe(BigInt(quote.price.quote_nano));
  expect(quote.prompt_tokens).toBe(statement.request.promptTokens);
  // Counts alone, by body and by query, come to the same.
  const choices = (change as { n?: number }).n ?? 1;
  const counts = { model: 'minnow-5m', prompt_tokens: quote.prompt_tokens, max_tokens: quote.max_tokens, n: choices };
  const policy = String((quote as unknown as { policy_text: string }).policy_text);
  expect((await post({ ...counts, verification: policy })).body.price).toEqual(quote.price);
  const query = new URLSearchParams({
    ...Object.fromEntries(Object.entries(counts).map(([k, v]) => [k, String(v)])),
    verification: policy,
  });
  expect((await get(query.toString())).body.price).toEqual(quote.price);
});

test('a quote takes nothing, logs no draw and shows the limits of the key', async () => {
  const state = () =>
    network.store.read(async (handle) => ({
      balance: await balanceNano(handle, clientAccount('key-test')),
      requests: (await requestsOfKey(handle, 'key-test', 1000)).length,
    }));
  const before = await state();
  const { headers: shown, body } = await post(CHAT);
  expect(await state()).toEqual(before);
  expect(shown.has('x-ratelimit-remaining-requests')).toBe(true);
  expect(Object.keys(body.price.modes)).toEqual(['single', 'audited', 'witnessed', 'quorum']);
  expect(BigInt(body.price.modes.single!) * 3n).toBe(BigInt(body.price.modes.quorum!));
  expect(body.security).toMatchObject({
    seats: 3,
    price_multiple: 3,
    stake_at_risk_nano: (STAKE_NANO * 3n).toString(),
  });
});

test('availability counts the operators that the policy admits now', async () => {
  expect((await post(CHAT)).body.availability).toEqual({
    available: true,
    eligible_operators: 5,
    needed_operators: 3,
    reserve_covers: true,
  });
  const filtered = await post({ ...CHAT, verification: { n: 3, allow_regions: ['eu'] } });
  expect(filtered.status).toBe(200);
  expect(filtered.body.availability).toMatchObject({ available: false, eligible_operators: 2 });
  expect((await post({ ...CHAT, verification: { n: 2, allow_regions: ['eu'] } })).body.availability.available).toBe(
    true,
  );
});

test.each([
  [{ ...CHAT, response_format: { type: 'json_object' } }, 400, 'unsupported_parameter', 'response_format'],
  [{ ...CHAT, verification: 'optimistic' }, 400, 'unsupported_parameter', 'verification.mode'],
  [{ ...CHAT, verification: { n: 3, max_cost: '1' } }, 400, 'max_cost_exceeded', 'verification.max_cost'],
  [{ ...CHAT, model: 'nobody' }, 404, 'model_not_found', 'model'],
  [{ model: 'minnow-5m', prompt_tokens: 5, max_tokens: 1e6 }, 400, 'context_length_exceeded', 'max_tokens'],
  [{ model: 'minnow-5m', max_tokens: 5 }, 400, 'invalid_request', 'prompt_tokens'],
  [{ model: 'minnow-5m', prompt_tokens: 0 }, 400, 'invalid_request', 'prompt_tokens'],
  [{ model: 'minnow-5m', prompt_tokens: 5, tools: [] }, 400, 'invalid_request', 'tools'],
  [{ model: 'minnow-5m', prompt_tokens: 5, n: 1000 }, 400, 'invalid_request', 'n'],
])('%j is refused like the request itself', async (body, status, code, param) => {
  const refused = await post(body);
  expect(refused.status).toBe(status);
  expect(refused.body.error).toMatchObject({ code, param });
});

const COUNTS = { model: 'minnow-5m', prompt_tokens: 40, max_tokens: 40 };

test('security follows from the registry: one of five operators captures no committee, and cheating pays where nobody looks', async () => {
  const of = async (verification: string) => (await post({ ...COUNTS, verification })).body.security;
  const penalty = STAKE_NANO / 5n;
  const quorum = await of('quorum; n=3');
  expect(quorum).toMatchObject({ operators: 5, colluding_operators: 1, capture_probability: 0 });
  expect(BigInt(quorum.cheat_loss_nano!)).toBeLessThan(penalty);
  expect(BigInt(quorum.cheat_loss_nano!)).toBeGreaterThan((penalty * 9n) / 10n);
  const single = await of('single');
  expect(single).toMatchObject({ capture_probability: 0.2 });
  expect(BigInt(single.cheat_loss_nano!)).toBeLessThan(0n);
  // In a request's own header too.
  const reply = await fetch(`${network.url}/v1/chat/completions`, {
    method: 'POST',
    headers,
    body: JSON.stringify(CHAT),
  });
  expect(reply.headers.get('assay-security')).toMatch(
    /operators=5.*colluding_operators=1|colluding_operators=1.*operators=5/,
  );
  await reply.text();
});

test('a target gets the cheapest policy that meets it, and buying that policy costs what was said', async () => {
  const { cheapest } = (await post({ ...COUNTS, target: { capture_probability_max: 0.01 } })).body;
  expect(cheapest).toMatchObject({
    policy: { mode: 'witnessed', n: 2, agree: 2 },
    security: { capture_probability: 0 },
  });
  const bought = (await post({ ...COUNTS, verification: cheapest!.policy_text })).body;
  expect(bought.price.quote_nano).toBe(cheapest!.quote_nano);
  expect(bought.security.price_multiple).toBe(cheapest!.price_multiple);
  // The same by a query, and beside a whole body of the chat route.
  const query = new URLSearchParams({
    model: 'minnow-5m',
    prompt_tokens: '40',
    max_tokens: '40',
    target_capture_probability_max: '0.01',
  });
  expect((await get(query.toString())).body.cheapest).toEqual(cheapest);
  expect((await post({ ...CHAT, target: { capture_probability_max: 0.01 } })).body.cheapest?.policy).toEqual(
    cheapest!.policy,
  );
});

test('a target may be a budget, a stake or deterrence; where nothing meets it, nothing is named', async () => {
  const cheapest = async (target: object) => (await post({ ...COUNTS, target })).body.cheapest;
  const { modes } = (await post(COUNTS)).body.price;
  // What a single answer costs buys nothing else; what a quorum of three costs buys something that deters.
  expect(await cheapest({ max_cost: modes.single })).toMatchObject({
    policy: { mode: 'single' },
    quote_nano: modes.single,
  });
  const safest = await cheapest({ max_cost: modes.quorum });
  expect(BigInt(safest!.security.cheat_loss_nano!)).toBeGreaterThan(0n);
  expect(BigInt(safest!.quote_nano)).toBeLessThanOrEqual(BigInt(modes.quorum!));
  expect(await cheapest({ max_cost: '0' })).toBeNull();
  expect((await cheapest({ stake_at_risk_min: (STAKE_NANO * 4n).toString() }))?.policy.n).toBe(4);
  expect(await cheapest({ stake_at_risk_min: (STAKE_NANO * 6n).toString() })).toBeNull();
  // Three of five accomplices capture every committee sometimes.
  expect(await cheapest({ capture_probability_max: 0, colluding_share: 1 })).toBeNull();
  expect((await cheapest({ deters: true }))?.policy.mode).not.toBe('single');
  expect((await post(COUNTS)).body).not.toHaveProperty('cheapest');
});

test.each([
  [{}, 'target'],
  [{ colluding_share: 0.2 }, 'target'],
  ['cheap', 'target'],
  [{ price: 1 }, 'target.price'],
  [{ capture_probability_max: 2 }, 'target.capture_probability_max'],
  [{ max_cost: 5 }, 'target.max_cost'],
  [{ stake_at_risk_min: '-1' }, 'target.stake_at_risk_min'],
  [{ finality_seconds_max: 0.5 }, 'target.finality_seconds_max'],
  [{ deters: 'yes' }, 'target.deters'],
])('the target %j is refused and names %s', async (target, param) => {
  const refused = await post({ ...COUNTS, target });
  expect(refused.status).toBe(400);
  expect(refused.body.error).toMatchObject({ code: 'invalid_request', param });
});

test('a query that is no quote is refused by name, and nobody is quoted without a key', async () => {
  expect((await get('model=minnow-5m&prompt_tokens=many')).body.error).toMatchObject({ param: 'prompt_tokens' });
  expect((await fetch(`${network.url}/v1/quote?model=minnow-5m`)).status).toBe(401);
});
