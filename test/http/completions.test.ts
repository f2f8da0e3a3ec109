/** Text completions of a real committee: charged, attested and verified like chat, offline and in the verifying fetch. */
import OpenAI from 'openai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readRequest } from '#protocol/asked';
import { recoverNative } from '#protocol/signer-native';
import { verifyResponse } from '#protocol/verify';
import { createVerifyingFetch } from '#protocol/verifying-fetch';
import { API_KEY, booksOf } from '../fixtures/network.ts';
import { type HttpNetwork, loadMinnows, type Minnows, startHttpNetwork } from '../fixtures/network-http.ts';

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

const ASK = { model: 'minnow-5m', prompt: 'The capital of Norway', temperature: 0.8, seed: 3, max_tokens: 12 };

async function post(body: object): Promise<{ text: string; request: string }> {
  const request = JSON.stringify(body);
  const response = await fetch(`${network.url}/v1/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${API_KEY}` },
    body: request,
  });
  const text = await response.text();
  if (response.status !== 200) throw new Error(text);
  return { text, request };
}

function verified(response: string, request: string | null) {
  const { text } = minnows.model;
  const asked = request === null ? null : readRequest(request, text);
  const modelDigest = minnows.model.digest;
  return verifyResponse({ response, asked, text, modelDigest, recover: recoverNative });
}

const failures = ({ items }: ReturnType<typeof verified>) =>
  items.filter(({ status }) => status === 'failed').map(({ name }) => name);

test.each([
  [{}],
  [{ echo: true }],
  [{ logprobs: 3 }],
  [{ n: 2, logprobs: 0 }],
  [{ stop: ['e'], logprobs: 2 }],
  [{ prompt: [5, 300, 42] }],
  [{ prompt: [5, 300, 42], echo: true }],
])('every item that can be is proved, plain and streamed (%o)', async (fields) => {
  for (const stream of [false, true]) {
    const { text, request } = await post({ ...ASK, ...fields, stream });
    const result = verified(text, request);
    expect(failures(result)).toEqual([]);
    expect(result.verdict).toBe('agreed');
    for (const name of ['content-hash', 'usage', 'body-hash', 'parameters', 'prompt', 'answer-text']) {
      expect(result.items.find((item) => item.name === name)).toMatchObject({ status: 'proved' });
    }
    const logprobs = result.items.find((item) => item.name === 'logprobs');
    expect(logprobs?.status).toBe('logprobs' in fields ? 'proved' : undefined);
  }
  expect(await booksOf(network.store)).toEqual([]);
});

interface Body {
  object: string;
  choices: { text: string; logprobs: { tokens: string[]; token_logprobs: number[] } | null }[];
}

test.each<[string, object, (body: Body) => void, string]>([
  ['another text', {}, ({ choices }) => Object.assign(choices[0]!, { text: 'Oslo' }), 'content-hash'],
  [
    'a text where nothing was echoed',
    {},
    ({ choices }) => Object.assign(choices[0]!, { text: `No: ${choices[0]!.text}` }),
    'answer-text',
  ],
  [
    'another echo',
    { echo: true },
    ({ choices }) => Object.assign(choices[0]!, { text: `No${choices[0]!.text.slice(2)}` }),
    'answer-text',
  ],
  ['another number', { logprobs: 1 }, ({ choices }) => void choices[0]!.logprobs!.token_logprobs.fill(-1), 'logprobs'],
  ['another token', { logprobs: 1 }, ({ choices }) => void choices[0]!.logprobs!.tokens.fill('x'), 'logprobs'],
  ['another kind of object', {}, (body) => Object.assign(body, { object: 'chat.completion' }), 'content-hash'],
  ['a message beside the text', {}, ({ choices }) => Object.assign(choices[0]!, { message: {} }), 'content-hash'],
])('%s is found out', async (_, fields, change, item) => {
  const { text, request } = await post({ ...ASK, ...fields });
  const body = JSON.parse(text) as Body;
  change(body);
  expect(failures(verified(JSON.stringify(body), request))).toContain(item);
});

test('without the request an echo cannot be told from other words, and is not called proved', async () => {
  const echoed = await post({ ...ASK, echo: true });
  const plain = await post(ASK);
  const statusOf = ({ text }: { text: string }) =>
    verified(text, null).items.find(({ name }) => name === 'answer-text')!.status;
  expect(statusOf(echoed)).toBe('not checked');
  expect(statusOf(plain)).toBe('proved');
});

test('another prompt, a template around it, and more tokens than asked are found out', async () => {
  const { text } = await post(ASK);
  expect(failures(verified(text, JSON.stringify({ ...ASK, prompt: 'The capital of Sweden' })))).toContain('prompt');
  expect(failures(verified(text, JSON.stringify({ ...ASK, max_tokens: 3 })))).toContain('parameters');
  const { prompt, ...rest } = ASK;
  const asChat = JSON.stringify({ ...rest, messages: [{ role: 'user', content: prompt }] });
  expect(failures(verified(text, asChat))).toContain('prompt');
});

test('the openai client behind the verifying fetch gets text completions, streams too, and nothing that was changed', async () => {
  const { text, digest } = minnows.model;
  const options = { gatewayAddress: network.gatewaySigner.address, model: { text, digest }, recover: recoverNative };
  const client = new OpenAI({
    baseURL: `${network.url}/v1`,
    apiKey: API_KEY,
    maxRetries: 0,
    fetch: createVerifyingFetch(options),
  });
  const plain = await client.completions.create({ ...ASK, echo: true });
  expect(plain.choices[0]!.text.startsWith(ASK.prompt)).toBe(true);
  let streamed = '';
  for await (const chunk of await client.completions.create({ ...ASK, echo: true, stream: true })) {
    streamed += chunk.choices[0]?.text ?? '';
  }
  expect(streamed).toBe(plain.choices[0]!.text);
  const lying = createVerifyingFetch({
    ...options,
    fetch: async (input, init) => {
      const answer = await fetch(input, init);
      return new Response((await answer.text()).replace('"text":"', '"text":"!'), answer);
    },
  });
  const cheated = new OpenAI({ baseURL: `${network.url}/v1`, apiKey: API_KEY, maxRetries: 0, fetch: lying });
  await expect(cheated.completions.create(ASK)).rejects.toThrow();
});
