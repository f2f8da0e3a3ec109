/** What bounds a chat completion bounds a text completion: rates, keys, cost, lists and quotes (DESIGN §9, §11, §13). */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { clientAccount } from '../../gateway/ledger/accounts.ts';
import { setKeyRates } from '../../gateway/store/keys-repo.ts';
import { balanceNano } from '../../gateway/store/ledger-repo.ts';
import { API_KEY, booksOf } from '../fixtures/network.ts';
import { startToyNetwork, type ToyNetwork } from '../fixtures/toy-network.ts';
import { TOY_MODEL } from '../simulation/toy-machine.ts';

const BODY = { model: TOY_MODEL.id, prompt: 'Once', max_tokens: 8, temperature: 0 };

interface Reply {
  readonly error?: { readonly code: string; readonly param: string | null };
  readonly price?: { readonly quote_nano: string };
}

let network: ToyNetwork;
beforeAll(async () => {
  network = await startToyNetwork();
});
afterAll(async () => {
  await network.gateway.settled();
  expect(await booksOf(network.store)).toEqual([]);
  await network.stop();
});

async function post(fields: object, headers: Record<string, string> = {}, path = '/v1/completions') {
  const response = await network.call(path, {
    method: 'POST',
    headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ ...BODY, ...fields }),
  });
  const text = await response.text();
  const { error, price } = text.startsWith('{') ? (JSON.parse(text) as Reply) : {};
  return { status: response.status, headers: response.headers, text, error, price };
}

const fundsNano = () => network.store.read((handle) => balanceNano(handle, clientAccount('key-test')));

test.each([false, true])('a keyed call is charged once and replayed byte for byte (streamed: %s)', async (stream) => {
  const key = { 'idempotency-key': `text ${stream}` };
  const first = await post({ stream }, key);
  expect(first.status).toBe(200);
  const left = await fundsNano();
  const again = await post({ stream }, key);
  expect(again.text).toBe(first.text);
  expect(again.headers.get('idempotent-replayed')).toBe('true');
  expect(await fundsNano()).toBe(left);
  expect((await post({ stream, prompt: 'Twice' }, key)).error?.code).toBe('idempotency_key_reused');
});

test('the quote of a body is what it may cost: at that max_cost it runs, below it is refused', async () => {
  const quoted = await post({}, {}, '/v1/quote');
  expect(quoted.status).toBe(200);
  const quote = quoted.price!.quote_nano;
  expect((await post({ verification: { mode: 'quorum', max_cost: quote } })).status).toBe(200);
  const refused = await post({ verification: { mode: 'quorum', max_cost: `${BigInt(quote) - 1n}` } });
  expect(refused).toMatchObject({
    status: 400,
    error: { code: 'max_cost_exceeded', param: 'verification.max_cost' },
  });
  // What the route refuses is not quoted.
  expect((await post({ echo: true, logprobs: 1 }, {}, '/v1/quote')).error?.param).toBe('logprobs');
});

test('lists of operators leave nobody to seat: refused, as in chat', async () => {
  const refused = await post({ verification: { mode: 'quorum', n: 3, allow_operators: ['nobody'] } });
  expect(refused).toMatchObject({ status: 503, error: { code: 'committee_unavailable' } });
});

test('requests and tokens a minute count here too', async () => {
  const shown = await post({});
  expect(shown.headers.has('x-ratelimit-remaining-requests')).toBe(true);
  const rates = { requestsPerMinute: 1_000, tokensPerMinute: 100, concurrentRequests: null };
  await network.store.withTx((tx) => setKeyRates(tx, 'key-test', rates));
  const refused = await post({ max_tokens: 100 });
  expect(refused).toMatchObject({ status: 429, error: { code: 'rate_limit_exceeded' } });
  expect((await post({ max_tokens: 8 })).status).toBe(200);
});
