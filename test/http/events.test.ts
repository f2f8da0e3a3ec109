/** A client's own events: streamed, resumed, pushed to its webhook; never to anybody else, and never with a word of its prompts (SPEC.md §10.5, §10.6). */
import { describe, expect, test } from 'vitest';
import { checkWebhook } from '#protocol/webhook';
import type { WebhookCall } from '../../gateway/events/webhook-call.ts';
import { RETRIES_MS } from '../../gateway/events/webhook-sender.ts';
import { API_KEY } from '../fixtures/network.ts';
import type { ToyNetwork, ToyOptions } from '../fixtures/toy-network.ts';
import { gaugeOf, toyNetworks } from '../fixtures/toy-networks.ts';
import { toyMachine } from '../simulation/toy-machine.ts';

const open = toyNetworks();
const AUDITS = { ratePpm: 1_000_000, regeneratePpm: 0, delayMs: 0, withinMs: 3_600_000 };
const ASKED = { temperature: 1, logit_bias: { 0: -100 }, max_tokens: 8, verification: 'audited' };
const PROMPT = 'a secret question';

const start = (options: ToyOptions = {}) =>
  open({ members: 4, ...options, limits: { audits: AUDITS, ...options.limits } });

interface Told {
  readonly seq: string;
  readonly type: string;
  readonly body: { readonly id: string; readonly data: Readonly<Record<string, unknown>> };
}

/** Reads so many events, then leaves. */
async function read(network: ToyNetwork, count: number, headers: Record<string, string> = {}): Promise<Told[]> {
  const response = await network.call('/v1/events', { headers: { authorization: `Bearer ${API_KEY}`, ...headers } });
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8']);
  const reader = response.body!.getReader();
  const told: Told[] = [];
  let text = '';
  while (told.length < count) {
    const { done, value } = await reader.read();
    if (done) break;
    text += new TextDecoder().decode(value);
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const [seq, type, body] = ['id', 'event', 'data'].map(
        (name) => new RegExp(`^${name}: (.*)$`, 'm').exec(text.slice(0, end))?.[1],
      );
      if (seq && type && body) told.push({ seq, type, body: JSON.parse(body) as Told['body'] });
      text = text.slice(end + 2);
    }
  }
  await reader.cancel();
  return told;
}

const ALL = { 'last-event-id': '0' };

describe('events', () => {
  test('are read from where the reader was, once each, and hold no text', async () => {
    const network = await start();
    for (let at = 0; at < 3; at++) await network.ask(PROMPT, { ...ASKED, seed: at });
    await network.gateway.settled();
    const all = await read(network, 3, ALL);
    expect(all.map(({ type }) => type)).toEqual(Array(3).fill('answer.verified'));
    expect(JSON.stringify(all)).not.toContain('secret');
    expect(all[0]!.body.data).toMatchObject({ by: 'audit', choice: 0, request_id: expect.stringMatching(/^req_/) });
    expect(await read(network, 2, { 'last-event-id': all[0]!.seq })).toEqual(all.slice(1));
    // Who names none hears what happens from now on.
    const live = read(network, 1);
    await network.ask(PROMPT, { ...ASKED, seed: 9 });
    const [next] = await live;
    expect(all.map(({ seq }) => seq)).not.toContain(next!.seq);
  });

  test('of a convicted provider tell of dispute, fall and refund', async () => {
    const liar = toyMachine({ salt: 'liar' });
    const network = await start({ engines: { p0: liar } });
    for (let at = 0; at < 40; at++) {
      await network.ask(PROMPT, { ...ASKED, seed: at });
      await network.gateway.settled();
      const rows = await network.store.read((handle) => handle.db.select().from(handle.tables.disputes));
      if (rows.length > 0) break;
    }
    const rows = await network.store.read((handle) => handle.db.select().from(handle.tables.clientEvents));
    const told = (await read(network, rows.length, ALL)).filter(({ type }) => type !== 'answer.verified');
    expect(told.map(({ type }) => type)).toEqual([
      'dispute.opened',
      'dispute.ruled',
      'answer.overturned',
      'dispute.settled',
      'refund',
    ]);
    const [request] = await network.store.read(async (handle) =>
      (await handle.db.select().from(handle.tables.requests)).filter(({ refundedNano }) => refundedNano > 0n),
    );
    expect(told.at(-1)!.body.data).toEqual({
      request_id: request!.requestId,
      dispute_id: told[0]!.body.data.dispute_id,
      amount_nano: request!.chargedNano.toString(),
    });
  });

  test('of one key are no other key’s, and nobody reads without one', async () => {
    const network = await start();
    await network.ask(PROMPT, ASKED);
    await network.gateway.settled();
    const { body } = await network.admin('POST', '/keys', { label: 'other' });
    const authorization = `Bearer ${String(body.key)}`;
    const response = await network.call('/v1/events', { headers: { authorization, ...ALL } });
    const reader = response.body!.getReader();
    const first = new TextDecoder().decode((await reader.read()).value);
    expect(first).toContain('retry:');
    // The next thing that it could hear would be an event; it is the end that comes, with the key's.
    await network.admin('POST', `/keys/${String(body.id)}/revoke`);
    let rest = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      rest += new TextDecoder().decode(value);
    }
    expect(rest).not.toContain('event:');
    expect((await network.call('/v1/events')).status).toBe(401);
  });

  test('are read by four readers of a key at most, and by whoever comes when one has left', async () => {
    const network = await start();
    const headers = { authorization: `Bearer ${API_KEY}` };
    const open = await Promise.all(Array.from({ length: 4 }, () => network.call('/v1/events', { headers })));
    const refused = await network.call('/v1/events', { headers });
    expect([refused.status, ((await refused.json()) as { error: { code: string } }).error.code]).toEqual([
      429,
      'rate_limit_exceeded',
    ]);
    await open[0]!.body!.cancel();
    const again = await network.call('/v1/events', { headers });
    expect(again.status).toBe(200);
    for (const response of [...open.slice(1), again]) await response.body!.cancel();
    const bad = await network.call('/v1/events', { headers: { ...headers, 'last-event-id': 'x' } });
    expect([bad.status, ((await bad.json()) as { error: { param: string } }).error.param]).toEqual([
      400,
      'Last-Event-ID',
    ]);
  });

  test('end cleanly with the gateway, and say where some were forgotten', async () => {
    const network = await start();
    for (let at = 0; at < 2; at++) await network.ask(PROMPT, { ...ASKED, seed: at });
    await network.gateway.settled();
    await network.store.withTx(async (tx) => {
      await tx.db.delete(tx.tables.clientEvents);
      await tx.db
        .insert(tx.tables.clientEvents)
        .values({ seq: 9, keyId: 'key-test', type: 'refund', bodyJson: '{}', atMs: 1 });
    });
    const response = await network.call('/v1/events', {
      headers: { authorization: `Bearer ${API_KEY}`, 'last-event-id': '1' },
    });
    const reader = response.body!.getReader();
    let text = '';
    while (!text.includes('refund')) text += new TextDecoder().decode((await reader.read()).value);
    expect(text).toMatch(/^retry: 2000\n\nevent: gap\ndata: \{"after":1\}\n\nid: 9\nevent: refund\n/);
    const end = reader.read();
    await network.restart();
    expect((await end).done).toBe(true);
  });
});

describe('a webhook', () => {
  interface Call {
    readonly url: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string;
  }

  /** A receiver that answers what it is told to. */
  function receiver(statuses: readonly (number | null)[]) {
    const calls: Call[] = [];
    const call: WebhookCall = async (url, { headers, body }) => {
      calls.push({ url, headers, body });
      const status = statuses[Math.min(calls.length, statuses.length) - 1];
      if (status == null) throw new TypeError('connection refused');
      return status;
    };
    return { calls, call };
  }

  async function withHook(statuses: readonly (number | null)[]) {
    const { calls, call } = receiver(statuses);
    const network = await start({ webhookCall: call });
    const set = await network.admin('PUT', '/keys/key-test/webhook', { url: 'https://client.example/hook' });
    expect(set.status).toBe(201);
    return { network, calls, secret: String(set.body.secret) };
  }

  const dueNow = (network: ToyNetwork) =>
    network.store.withTx((tx) =>
      tx.db
        .update(tx.tables.webhookDeliveries)
        .set({ dueAtMs: 0 })
        .then(() => undefined),
    );

  const deliveries = (network: ToyNetwork) =>
    network.store.read((handle) => handle.db.select().from(handle.tables.webhookDeliveries));

  async function tick({ gateway }: ToyNetwork): Promise<void> {
    await gateway.tick();
    await gateway.settled();
  }

  test('is called once an event, signed, with the bytes of the stream', async () => {
    const { network, calls, secret } = await withHook([204]);
    await network.ask(PROMPT, ASKED);
    await network.gateway.settled();
    await tick(network);
    await tick(network);
    expect(calls).toHaveLength(1);
    const [{ url, headers, body }] = calls as [Call];
    expect(url).toBe('https://client.example/hook');
    expect(body).not.toContain('secret question');
    const seen = new Set<string>();
    const check = () => checkWebhook(secret, headers as never, body, { nowMs: Date.now(), seen: (id) => seen.has(id) });
    expect(check()).toBe('ok');
    seen.add(headers['webhook-id']!);
    expect(check()).toBe('repeated');
    const [told] = await read(network, 1, ALL);
    expect(JSON.parse(body)).toEqual(told!.body);
    expect(told!.body.id).toBe(headers['webhook-id']);
    expect(await deliveries(network)).toMatchObject([{ state: 'delivered', tries: 1, status: 204 }]);
  });

  test('that does not answer is called again with the same id and a new time, also after a restart, and given up in the end', async () => {
    const { network, calls } = await withHook([500, null, 302, 503]);
    await network.ask(PROMPT, ASKED);
    await network.gateway.settled();
    await tick(network);
    expect(calls).toHaveLength(1);
    const [waiting] = await deliveries(network);
    expect(waiting).toMatchObject({ state: 'waiting', tries: 1, status: 500 });
    expect(await gaugeOf(network, 'assay_webhooks_waiting')).toBe(1);
    // Not before its time.
    await tick(network);
    expect(calls).toHaveLength(1);
    await network.restart();
    for (let at = 0; at < RETRIES_MS.length + 2; at++) {
      await dueNow(network);
      await tick(network);
    }
    expect(calls).toHaveLength(RETRIES_MS.length + 1);
    expect(new Set(calls.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    expect(new Set(calls.map(({ body }) => body)).size).toBe(1);
    expect(await deliveries(network)).toMatchObject([{ state: 'given_up', tries: RETRIES_MS.length + 1, status: 503 }]);
    expect(await gaugeOf(network, 'assay_webhooks_waiting')).toBe(0);
  });

  test('that says that it is gone is not called again', async () => {
    const { network, calls } = await withHook([410]);
    for (let at = 0; at < 2; at++) await network.ask(PROMPT, { ...ASKED, seed: at });
    await network.gateway.settled();
    await tick(network);
    await tick(network);
    expect(calls).toHaveLength(1);
    const { body } = await network.admin('GET', '/keys/key-test/webhook');
    expect(body).toMatchObject({ deliveries: { waiting: 0, delivered: 0, given_up: 2 } });
    expect(body.stopped_at_ms).not.toBeNull();
    expect(body).not.toHaveProperty('secret');
  });

  test('is set and taken away by the operator alone, and never into a private network', async () => {
    const network = await start();
    const put = (url: unknown, key = 'key-test') => network.admin('PUT', `/keys/${key}/webhook`, { url });
    for (const url of ['http://client.example/', 'https://10.0.0.1/', 'https://169.254.169.254/', 'x', 7]) {
      const { status, body } = await put(url);
      expect([status, (body as { error: { param: string } }).error.param]).toEqual([400, 'url']);
    }
    expect((await put('https://client.example/', 'key-nobody')).status).toBe(404);
    expect((await network.admin('GET', '/keys/key-test/webhook')).status).toBe(404);
    expect((await put('https://client.example/a')).status).toBe(201);
    const [row] = await network.store.read((handle) => handle.db.select().from(handle.tables.webhooks));
    expect(row!.sealedSecret).not.toContain('whsec_');
    expect((await network.admin('DELETE', '/keys/key-test/webhook')).status).toBe(200);
    expect((await network.admin('DELETE', '/keys/key-test/webhook')).status).toBe(404);
    const asClient = await network.call('/admin/keys/key-test/webhook', {
      headers: { authorization: `Bearer ${API_KEY}` },
    });
    expect(asClient.status).toBe(401);
  });
});
