/** The client's own verification, behind an unchanged OpenAI SDK: it fails closed, streams included (SPEC.md §10.4). */
import OpenAI from 'openai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { recoverNative } from '#protocol/signer-native';
import { createVerifyingFetch, VerificationError, type VerifyingFetchOptions } from '#protocol/verifying-fetch';
import { API_KEY } from '../fixtures/network.ts';
import { type HttpNetwork, loadMinnows, type Minnows, signerOf, startHttpNetwork } from '../fixtures/network-http.ts';

let minnows: Minnows;
let network: HttpNetwork;

beforeAll(async () => {
  minnows = await loadMinnows();
  network = await startHttpNetwork(minnows);
});

afterAll(async () => {
  await network.stop();
  await minnows.close();
});

function client(options: Partial<VerifyingFetchOptions> = {}): OpenAI {
  const verifying = createVerifyingFetch({
    gatewayAddress: network.gatewaySigner.address,
    model: minnows.model,
    recover: recoverNative,
    ...options,
  });
  return new OpenAI({ baseURL: `${network.url}/v1`, apiKey: API_KEY, fetch: verifying, maxRetries: 0 });
}

const question = {
  model: 'minnow-5m',
  temperature: 0,
  messages: [{ role: 'user' as const, content: 'Tell me about Norway.' }],
};

/** A gateway, or anybody on the way, that changes the text of what it passes on. */
const tampering: NonNullable<VerifyingFetchOptions['fetch']> = async (input, init) => {
  const response = await fetch(input, init);
  const text = (await response.text()).replaceAll('Norway', 'Norwaz');
  return new Response(text, {
    status: response.status,
    headers: { 'content-type': response.headers.get('content-type')! },
  });
};

test('a verified answer reaches the SDK unchanged, with all items that could be checked proved', async () => {
  let proved = 0;
  const verified = client({
    onVerified: (items) => {
      proved = items.filter((item) => item.status === 'proved').length;
    },
  });
  const plain = await verified.chat.completions.create(question);
  expect(plain.choices[0]!.message.content).toContain('Norway');
  expect(proved).toBeGreaterThan(18);
  const streamed = await verified.chat.completions.stream(question).finalChatCompletion();
  expect(streamed.choices[0]!.message.content).toBe(plain.choices[0]!.message.content);
  const held = await client({ holdStreams: true }).chat.completions.stream(question).finalChatCompletion();
  expect(held.choices[0]!.message.content).toBe(plain.choices[0]!.message.content);
});

test('a changed answer is an exception, not an answer', async () => {
  const asked = client({ fetch: tampering }).chat.completions.create(question);
  await expect(asked).rejects.toSatisfy((error: Error) => isVerification(error, 'content-hash'));
});

/** The SDK wraps what its fetch throws. */
function isVerification(error: Error, item: string): boolean {
  const cause = error instanceof VerificationError ? error : error.cause;
  return cause instanceof VerificationError && cause.failed.some((name) => name === item);
}

test('a changed stream never comes to its end', async () => {
  const stream = client({ fetch: tampering }).chat.completions.stream(question);
  await expect(stream.finalChatCompletion()).rejects.toThrow();
});

test('an answer that nobody compared is refused unless the program accepts it', async () => {
  const single = { ...question, verification: { mode: 'single' } };
  await expect(client().chat.completions.create(single)).rejects.toThrow();
  const accepted = await client({ verdicts: ['unverified'] }).chat.completions.create(single);
  expect(accepted.choices[0]!.message.content).toContain('Norway');
});

test('an answer of another gateway is refused, and a missing pin is a mistake', async () => {
  const asked = client({ gatewayAddress: signerOf('somebody').address }).chat.completions.create(question);
  await expect(asked).rejects.toSatisfy((error: Error) => isVerification(error, 'gateway-key'));
  expect(() => createVerifyingFetch({ gatewayAddress: '' as `0x${string}` })).toThrow(TypeError);
});

test('errors and other routes pass as they are', async () => {
  await expect(client().chat.completions.create({ ...question, model: 'none' })).rejects.toMatchObject({ status: 404 });
  expect((await client().models.list()).data.map((model) => model.id)).toEqual(['minnow-5m']);
});
