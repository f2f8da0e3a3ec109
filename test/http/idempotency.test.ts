/** `Idempotency-Key` over HTTP, with real providers: shared, replayed, survived, and charged once (DESIGN §11). */
import { inflateRawSync } from 'node:zlib';
import { eq } from 'drizzle-orm';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { verifyResponse } from '#protocol/verify';
import { createSecretBox } from '../../gateway/committee/secret-box.ts';
import { hashApiKey } from '../../gateway/keys.ts';
import { clientAccount } from '../../gateway/ledger/accounts.ts';
import { keyedCall } from '../../gateway/openai/idempotency.ts';
import { balanceNano } from '../../gateway/store/ledger-repo.ts';
import { requestsOfKey } from '../../gateway/store/requests-repo.ts';
import { MortalStore } from '../fixtures/mortal-store.ts';
import { API_KEY, booksOf } from '../fixtures/network.ts';
import { type HttpNetwork, loadMinnows, type Minnows, startHttpNetwork } from '../fixtures/network-http.ts';

let minnows: Minnows;
let network: HttpNetwork;
let mortal: MortalStore;
beforeAll(async () => {
  minnows = await loadMinnows();
});
afterAll(() => minnows.close());
beforeEach(async () => {
  network = await startHttpNetwork(minnows, {
    wrapStore: (store) => {
      mortal = new MortalStore(store);
      return mortal;
    },
  });
});
afterEach(async () => {
  await network.gateway.settled();
  expect(await booksOf(network.store)).toEqual([]);
  await network.stop();
});

const BODY = {
  model: 'minnow-5m',
  temperature: 0,
  max_tokens: 24,
  messages: [{ role: 'user', content: 'Tell me about Japan.' }],
};
const STREAM = { ...BODY, stream: true, stream_options: { include_usage: true } };
const send = (body: object, headers: Record<string, string> = {}, signal?: AbortSignal) =>
  fetch(`${network.url}/v1/chat/completions`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${API_KEY}`,
      'content-type': 'application/json',
      'idempotency-key': 'k1',
      ...headers,
    },
    body: JSON.stringify(body),
    ...(signal ? { signal } : {}),
  });
const textOf = async (response: Promise<Response>) => {
  const { status, headers } = await response;
  return { status, headers, text: await (await response).text() };
};
const requests = () => network.store.read((handle) => requestsOfKey(handle, 'key-test', 100));
const balance = () => network.store.read((handle) => balanceNano(handle, clientAccount('key-test')));
/** The one settled request, which alone was charged. */
const settledOnce = async (attempts = 1) => {
  const rows = await requests();
  expect(rows).toHaveLength(attempts);
  expect(rows.filter(({ state }) => state === 'settled')).toHaveLength(1);
  expect(rows.filter(({ chargedNano }) => chargedNano > 0n).map(({ state }) => state)).toEqual(['settled']);
  return rows.find(({ state }) => state === 'settled')!;
};
const ownHeaders = (headers: Headers) =>
  Object.fromEntries([...headers].filter(([name]) => name.startsWith('assay-') || name === 'content-type'));

describe.each([
  ['plain', BODY],
  ['streamed', STREAM],
  ['streamed without usage', { ...BODY, stream: true }],
])('%s', (_, body) => {
  test('the same call again gets the same bytes and is not charged, on a restarted gateway too', async () => {
    const first = await textOf(send(body));
    expect(first.status).toBe(200);
    expect(first.headers.get('idempotent-replayed')).toBeNull();
    const afterFirst = await balance();
    const second = await textOf(send(body));
    expect(second.text).toBe(first.text);
    expect(ownHeaders(second.headers)).toEqual(ownHeaders(first.headers));
    expect(second.headers.get('idempotent-replayed')).toBe('true');
    await network.gateway.stop();
    await network.restart();
    const third = await textOf(send(body));
    expect(third.text).toBe(first.text);
    expect(third.headers.get('idempotent-replayed')).toBe('true');
    expect(await balance()).toBe(afterFirst);
    await settledOnce();
    expect(verifyResponse({ response: third.text }).items.filter(({ status }) => status === 'failed')).toEqual([]);
  });

  test('calls at the same time share one run', async () => {
    const answers = await Promise.all(Array.from({ length: 4 }, () => textOf(send(body))));
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    expect(answers.filter(({ headers }) => headers.get('idempotent-replayed') === 'true')).toHaveLength(3);
    await settledOnce();
  });

  test('a gateway killed before the end is charged once, by the next attempt', async () => {
    let jobs = 0;
    mortal.afterCommit = async (handle) => {
      jobs = (await handle.db.select().from(handle.tables.jobs)).length;
      if (jobs > 0) mortal.dead = true;
    };
    const killed = await textOf(send(body)).catch(() => null);
    expect(killed === null || killed.status !== 200 || !killed.text.includes('[DONE]')).toBe(true);
    await network.gateway.settled();
    await network.restart();
    const retry = await textOf(send(body));
    expect(retry.status).toBe(200);
    expect(retry.headers.get('idempotent-replayed')).toBeNull();
    expect((await settledOnce(2)).attempt).toBe(2);
    expect((await textOf(send(body))).text).toBe(retry.text);
  });

  test('a gateway killed between the settlement and the answer gives the settled answer, always the same', async () => {
    mortal.afterCommit = async (handle) => {
      const { requests: table } = handle.tables;
      if ((await handle.db.select().from(table).where(eq(table.state, 'settled'))).length > 0) mortal.dead = true;
    };
    await textOf(send(body)).catch(() => null);
    await network.gateway.settled();
    const paid = await balance();
    await network.restart();
    const retry = await textOf(send(body));
    expect(retry.status).toBe(200);
    expect(retry.headers.get('idempotent-replayed')).toBe('true');
    expect(verifyResponse({ response: retry.text }).items.filter(({ status }) => status === 'failed')).toEqual([]);
    expect((await textOf(send(body))).text).toBe(retry.text);
    expect(await balance()).toBe(paid);
    await settledOnce();
  });
});

test('a client that leaves does not end a keyed call, and finds its answer later', async () => {
  const left = new AbortController();
  const response = await send(STREAM, {}, left.signal);
  const reader = response.body!.getReader();
  await reader.read();
  left.abort();
  await network.gateway.settled();
  const again = await textOf(send(STREAM));
  expect(again.text).toContain('data: [DONE]');
  expect((await settledOnce()).verdict).toBe('agreed');
});

test.each([
  ['another body', { ...BODY, max_tokens: 23 }, {}],
  ['the same body as a stream', { ...BODY, stream: true }, {}],
  ['another policy in the header', BODY, { 'assay-verification': 'single' }],
  ['another nonce', BODY, { 'assay-nonce': 'mine' }],
])('the key of one call is refused with %s, while it runs and afterwards', async (_, body, headers) => {
  const running = textOf(send(BODY));
  const during = await textOf(send(body, headers));
  await running;
  for (const refused of [during, await textOf(send(body, headers))]) {
    expect(refused.status).toBe(422);
    expect(JSON.parse(refused.text).error).toMatchObject({
      code: 'idempotency_key_reused',
      type: 'invalid_request_error',
    });
    expect(refused.headers.get('x-should-retry')).toBe('false');
  }
  await settledOnce();
});

test('a refused call does not take the key from the one that it belongs to', async () => {
  const first = await textOf(send(BODY));
  const [wrong, right] = await Promise.all([textOf(send({ ...BODY, max_tokens: 3 })), textOf(send(BODY))]);
  expect([wrong.status, right.status]).toEqual([422, 200]);
  expect(right.text).toBe(first.text);
});

test('another API key may use the same idempotency key', async () => {
  const other = 'sk-assay-another-key';
  await network.gateway.grantKey({ keyId: 'key-2', keyHash: hashApiKey(other), label: '', fundsNano: 10n ** 12n });
  const mine = await textOf(send(BODY));
  const theirs = await textOf(send(BODY, { authorization: `Bearer ${other}` }));
  expect(theirs.headers.get('idempotent-replayed')).toBeNull();
  expect(JSON.parse(theirs.text).id).not.toBe(JSON.parse(mine.text).id);
});

test('an error is not kept: the call runs when what stood in its way is gone', async () => {
  const body = { ...BODY, verification: { n: 9 } };
  const refused = await textOf(send(body));
  expect(refused.status).toBe(503);
  expect((await textOf(send(body))).status).toBe(503);
  // Refused before anything was held, the key belongs to nobody yet.
  expect(await requests()).toEqual([]);
  expect((await textOf(send(BODY))).status).toBe(200);
  await settledOnce();
});

test('what is kept is sealed, and forgotten after its time', async () => {
  const first = await textOf(send(BODY));
  const content: string = JSON.parse(first.text).choices[0].message.content;
  const [stored] = await network.store.read(async (handle) => handle.db.select().from(handle.tables.idempotencyKeys));
  const sealed = stored!.sealedAnswer!;
  const open = (master: number) =>
    inflateRawSync(createSecretBox(new Uint8Array(32).fill(master), { bytes: () => new Uint8Array(12) }).open(sealed));
  expect(open(7).toString('utf8')).toContain(content);
  expect(() => open(8)).toThrow();
  expect(() => inflateRawSync(Buffer.from(sealed, 'base64'))).toThrow();
  await network.store.withTx(async (tx) => {
    await tx.db.update(tx.tables.idempotencyKeys).set({ expiresAtMs: 1 });
  });
  const anew = await textOf(send(BODY));
  expect(anew.headers.get('idempotent-replayed')).toBeNull();
  await network.store.withTx(async (tx) => {
    await tx.db.update(tx.tables.idempotencyKeys).set({ expiresAtMs: 1 });
  });
  await network.gateway.tick();
  expect(await network.store.read((handle) => handle.db.select().from(handle.tables.idempotencyKeys))).toEqual([]);
});

test.each([['x'.repeat(256)], ['']])('the key %j is refused by name', async (key) => {
  const refused = await textOf(send(BODY, { 'idempotency-key': key }));
  expect(refused.status).toBe(400);
  expect(JSON.parse(refused.text).error).toMatchObject({ code: 'invalid_request', param: 'idempotency-key' });
  expect(await requests()).toEqual([]);
});

test('a key is printable ASCII of at most 255 characters', () => {
  const parts = { body: 'x' };
  expect(keyedCall(undefined, parts, 0)).toBeNull();
  expect(keyedCall('x'.repeat(255), parts, 5)).toMatchObject({ expiresAtMs: 5 + 24 * 3600 * 1000 });
  for (const key of ['', '\u0007', 'é', 'a\nb', 'x'.repeat(256)]) {
    expect(() => keyedCall(key, parts, 0)).toThrow(expect.objectContaining({ param: 'idempotency-key' }));
  }
});
