/** Signatures of webhooks against the published example, where they may be sent, and what a receiver must not take (SPEC.md §10.6). */

import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo, LookupFunction } from 'node:net';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { checkWebhook, signWebhook, WEBHOOK_SKEW_MS, webhookSecret } from '#protocol/webhook';
import { createWebhookCaller, type WebhookCaller } from '../../gateway/events/webhook-call.ts';
import { isPrivateAddress, webhookUrl } from '../../gateway/events/webhook-url.ts';

/** The example of the Standard Webhooks reference libraries. */
const EXAMPLE = {
  secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  atMs: 1_614_265_330_000,
  body: '{"test": 2432232314}',
  signature: 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
};
const unseen = { nowMs: EXAMPLE.atMs, seen: () => false };

describe('a signature', () => {
  const { secret, id, atMs, body } = EXAMPLE;
  const headers = signWebhook(secret, id, body, atMs);

  test('is that of the published example', () => {
    expect(headers).toEqual({
      'webhook-id': id,
      'webhook-timestamp': '1614265330',
      'webhook-signature': EXAMPLE.signature,
    });
    expect(checkWebhook(secret, headers, body, unseen)).toBe('ok');
  });

  test('holds beside others, as while secrets are changed, and for any secret, id and body', () => {
    const several = { ...headers, 'webhook-signature': `v2,x v1,AAAA ${EXAMPLE.signature}` };
    expect(checkWebhook(secret, several, body, unseen)).toBe('ok');
    const bytes = fc.uint8Array({ minLength: 24, maxLength: 64 });
    fc.assert(
      fc.property(bytes, fc.string(), fc.string(), fc.integer({ min: 0, max: 10 ** 12 }), (key, name, text, nowMs) => {
        const made = signWebhook(webhookSecret(key), name, text, nowMs);
        expect(checkWebhook(webhookSecret(key), made, text, { nowMs, seen: () => false })).toBe('ok');
      }),
    );
  });

  test.each([
    ['another body', headers, `${body} `],
    ['another id', { ...headers, 'webhook-id': 'msg_other' }, body],
    ['another time', { ...headers, 'webhook-timestamp': '1614265331' }, body],
    ['no signature', { ...headers, 'webhook-signature': '' }, body],
    ['a missing header', { ...headers, 'webhook-id': null }, body],
    ['no version', { ...headers, 'webhook-signature': EXAMPLE.signature.slice(3) }, body],
    ['a time that is none', { ...headers, 'webhook-timestamp': '16142653e2' }, body],
  ])('does not hold for %s', (_, given, text) => {
    expect(checkWebhook(secret, given, text, unseen)).toBe('unsigned');
  });

  test('does not hold under another secret, and a secret that is none is said', () => {
    expect(checkWebhook(webhookSecret(new Uint8Array(32)), headers, body, unseen)).toBe('unsigned');
    expect(() => checkWebhook('whsec_short', headers, body, unseen)).toThrow(RangeError);
  });

  test('replayed is stale after five minutes, and repeated before', () => {
    const at = (nowMs: number, seen = false) => checkWebhook(secret, headers, body, { nowMs, seen: () => seen });
    expect(at(atMs + WEBHOOK_SKEW_MS)).toBe('ok');
    expect(at(atMs + WEBHOOK_SKEW_MS + 1)).toBe('stale');
    expect(at(atMs - WEBHOOK_SKEW_MS - 1)).toBe('stale');
    expect(at(atMs, true)).toBe('repeated');
  });
});

describe('an address', () => {
  test.each([
    'https://example.com/hooks?x=1',
    'https://93.184.215.14/x',
    'http://127.0.0.1:9000/x',
    'http://localhost:9000/',
    'http://[::1]:9000/',
  ])('%s is called', (url) => expect(webhookUrl(url, false)).toHaveProperty('value'));

  test.each([
    'http://example.com/',
    'ftp://example.com/',
    'https://user:pass@example.com/',
    'https://example.com/#x',
    'https://10.0.0.1/',
    'https://169.254.169.254/latest/meta-data',
    'https://192.168.1.1/',
    'https://[fd00::1]/',
    'https://[::ffff:10.0.0.1]/',
    'https://[64:ff9b::a00:1]/',
    'https://0x0a000001/',
    'https://167772161/',
    'http://0.0.0.0/',
    'not a url',
    `https://example.com/${'x'.repeat(2048)}`,
  ])('%s is not', (url) => expect(webhookUrl(url, false)).toHaveProperty('problem'));

  test('in a private network is, where the operator allows it', () => {
    expect(webhookUrl('http://10.0.0.1/x', true)).toEqual({ value: 'http://10.0.0.1/x' });
  });

  test.each([
    ['8.8.8.8', false],
    ['2606:4700::1111', false],
    ['172.15.255.255', false],
    ['172.16.0.1', true],
    ['100.64.0.1', true],
    ['224.0.0.1', true],
    ['255.255.255.255', true],
    ['::1', true],
    ['::ffff:10.0.0.1', true],
    ['::ffff:8.8.8.8', false],
    ['fe80::1', true],
    ['2002:a00:1::', true],
    ['example.com', true],
  ])('%s is private: %s', (address, isPrivate) => expect(isPrivateAddress(address)).toBe(isPrivate));
});

describe('a call', () => {
  const callers: WebhookCaller[] = [];
  afterEach(async () => {
    for (const caller of callers.splice(0)) await caller.close();
  });
  const callerWith = (addresses: readonly string[]) => {
    const resolver = ((_: string, __: object, callback: (error: null, found: object[]) => void) =>
      callback(
        null,
        addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
      )) as unknown as LookupFunction;
    const caller = createWebhookCaller(false, resolver as never);
    callers.push(caller);
    return caller;
  };
  const order = { headers: {}, body: '{}', signal: AbortSignal.timeout(20_000) };

  test('to a name that leads into a private network, or there among others, is not made', async () => {
    for (const addresses of [['10.0.0.1'], ['127.0.0.1'], ['93.184.215.14', '192.168.0.1'], ['::ffff:127.0.0.1'], []]) {
      await expect(callerWith(addresses).call('https://example.com/', order)).rejects.toThrow('no public address');
    }
  });

  test('follows no redirect and reads the status alone', async () => {
    const seen: IncomingMessage[] = [];
    const server = createServer((request, response) => {
      seen.push(request);
      response.writeHead(302, { location: 'http://127.0.0.1:1/secret' }).end('x'.repeat(100_000));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    try {
      expect(await callerWith([]).call(`http://127.0.0.1:${port}/hook`, order)).toBe(302);
      expect(seen.map(({ url, method }) => [method, url])).toEqual([['POST', '/hook']]);
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });
});
