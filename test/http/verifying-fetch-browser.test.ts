/** The client's own verification as a browser gets it: bundled, in a realm that has the web's globals and none of Node's. */
import { fileURLToPath } from 'node:url';
import { createContext, Script } from 'node:vm';
import { build } from 'esbuild';
import OpenAI from 'openai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { checkWebhook, createVerifyingFetch } from '#protocol/client';
import { API_KEY } from '../fixtures/network.ts';
import { type HttpNetwork, loadMinnows, type Minnows, startHttpNetwork } from '../fixtures/network-http.ts';

/** What the Fetch, Streams, Encoding, URL and DOM standards give every browser; no process, Buffer, require or global. */
const WEB = {
  fetch,
  Request,
  Response,
  Headers,
  ReadableStream,
  TransformStream,
  TextDecoder,
  TextEncoder,
  URL,
  AbortController,
  atob,
  btoa,
  crypto,
  structuredClone,
};

let minnows: Minnows;
let network: HttpNetwork;
let create: typeof createVerifyingFetch;
let check: typeof checkWebhook;

beforeAll(async () => {
  minnows = await loadMinnows();
  network = await startHttpNetwork(minnows);
  const bundle = await build({
    entryPoints: [fileURLToPath(new URL('../../contracts/protocol/client.ts', import.meta.url))],
    bundle: true,
    write: false,
    platform: 'browser',
    format: 'iife',
    globalName: 'assay',
    target: 'es2022',
    conditions: ['assay-source', 'browser'],
    logLevel: 'silent',
  });
  const realm = createContext({ ...WEB });
  new Script(bundle.outputFiles[0]!.text).runInContext(realm);
  create = realm.assay.createVerifyingFetch;
  check = realm.assay.checkWebhook;
});

afterAll(async () => {
  await network.stop();
  await minnows.close();
});

const question = {
  model: 'minnow-5m',
  temperature: 0,
  messages: [{ role: 'user' as const, content: 'Tell me about Norway.' }],
};

function client(change: (text: string) => string): OpenAI {
  const verifying = create({
    gatewayAddress: network.gatewaySigner.address,
    fetch: async (input, init) => {
      const response = await fetch(input, init);
      return new Response(change(await response.text()), { headers: response.headers, status: response.status });
    },
  });
  return new OpenAI({ baseURL: `${network.url}/v1`, apiKey: API_KEY, fetch: verifying, maxRetries: 0 });
}

test('a bundle of it verifies answers and streams where Node is not', async () => {
  const honest = client((text) => text);
  const plain = await honest.chat.completions.create(question);
  expect(plain.choices[0]!.message.content).toContain('Norway');
  const streamed = await honest.chat.completions.stream(question).finalChatCompletion();
  expect(streamed.choices[0]!.message.content).toBe(plain.choices[0]!.message.content);
});

test('a bundle of it fails closed where Node is not', async () => {
  const tampered = client((text) => text.replaceAll('Norway', 'Norwaz'));
  // The SDK wraps what its fetch throws.
  const wrapped = expect.objectContaining({ cause: expect.objectContaining({ name: 'VerificationError' }) });
  await expect(tampered.chat.completions.create(question)).rejects.toEqual(wrapped);
  await expect(tampered.chat.completions.stream(question).finalChatCompletion()).rejects.toThrow();
});

test('a bundle of it checks webhooks where Node is not, by the published example', () => {
  const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
  const body = '{"test": 2432232314}';
  const headers = {
    'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    'webhook-timestamp': '1614265330',
    'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  };
  const now = { nowMs: 1_614_265_330_000, seen: () => false };
  expect(check(secret, headers, body, now)).toBe('ok');
  expect(check(secret, headers, body.replace('2', '3'), now)).toBe('unsigned');
  expect(check(secret, headers, body, { ...now, seen: () => true })).toBe('repeated');
  expect(check(secret, headers, body, { ...now, nowMs: now.nowMs + 300_001 })).toBe('stale');
});
