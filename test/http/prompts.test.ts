/** Several prompts of one text completion over real sockets: each answered by a wave of its own, attested together, and attacked. */
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readRequest } from '#protocol/asked';
import { wavesOf } from '#protocol/attestation';
import { choicesOf } from '#protocol/choices';
import { choiceSeed, promptHash } from '#protocol/request';
import { recoverNative } from '#protocol/signer-native';
import { type ItemName, verifyResponse } from '#protocol/verify';
import { createVerifyingFetch } from '#protocol/verifying-fetch';
import { jobsOfRequest } from '../../gateway/store/jobs-repo.ts';
import { requestById } from '../../gateway/store/requests-repo.ts';
import { type AnsweredTexts, postCompletion as post } from '../fixtures/completion-call.ts';
import { forgeAnswer, type SavedBody } from '../fixtures/forged-answer.ts';
import { API_KEY, booksOf } from '../fixtures/network.ts';
import { type HttpNetwork, loadMinnows, type Minnows, startHttpNetwork } from '../fixtures/network-http.ts';
import { CARRIED, FORGED, type SavedTexts } from '../fixtures/prompt-forgeries.ts';

const PROMPTS = ['The capital of Norway', 'Once upon a time there was a small'];
const ASK = { model: 'minnow-5m', prompt: PROMPTS, temperature: 0.9, seed: 3, max_tokens: 10, n: 2 };

let minnows: Minnows;
let network: HttpNetwork;
let answer: AnsweredTexts;
beforeAll(async () => {
  minnows = await loadMinnows();
  network = await startHttpNetwork(minnows);
  answer = await post(network, ASK);
});
afterAll(async () => {
  await network.stop();
  await minnows.close();
});

function check(response: string, request: string | null) {
  const { text, digest } = minnows.model;
  const asked = request === null ? null : readRequest(request, text, null);
  return verifyResponse({ response, asked, text, modelDigest: digest, recover: recoverNative });
}

function failures(response: string, request: string | null = answer.request): ItemName[] {
  return check(response, request)
    .items.filter(({ status }) => status === 'failed')
    .map(({ name }) => name);
}

const textsOf = ({ text }: { text: string }) => (JSON.parse(text) as SavedTexts).choices.map((choice) => choice.text);
const idsOf = (prompt: string) => minnows.model.text.encodePrompt(prompt);

test.each([
  [{}],
  [{ n: 1 }],
  [{ echo: true }],
  [{ n: 1, logprobs: 2 }],
  [{ stop: ['e'] }],
  [{ prompt: [[5, 300, 42], [7, 9], [11]], n: 1, echo: true }],
  [{ prompt: ['Same', 'Same'], n: 1, temperature: 0 }],
])('every item that can be is proved, plain and streamed (%o)', async (fields) => {
  for (const stream of [false, true]) {
    const { text, request } = await post(network, { ...ASK, ...fields, stream });
    const { items, verdict } = check(text, request);
    expect(items.filter(({ status }) => status === 'failed')).toEqual([]);
    expect(verdict).toBe('agreed');
    const open = items.filter(({ status }) => status !== 'proved').map(({ name }) => name);
    expect(open).toEqual(['gateway-key', 'log-key', 'policy']);
    // Without the client's body nothing is found wrong either.
    expect(failures(text, null)).toEqual([]);
  }
  expect(await booksOf(network.store)).toEqual([]);
});

test('each answer is what its own prompt gives alone under the seed of its index', async () => {
  const texts = textsOf(answer);
  expect(new Set(texts).size).toBe(4);
  for (const index of [0, 1, 2, 3]) {
    const seed = BigInt.asIntN(64, choiceSeed(3n, index));
    const prompt = PROMPTS[Math.floor(index / 2)];
    // JSON numbers of more than 53 bits: written by hand.
    const alone = JSON.stringify({ ...ASK, prompt, n: 1 }).replace('"seed":3', `"seed":${seed}`);
    expect(textsOf(await post(network, alone))).toEqual([texts[index]]);
  }
});

test('as many prompts as are served at once are answered, each with its own', async () => {
  const prompt = Array.from({ length: 16 }, (_, at) => `Item ${at}: the`);
  const asked = { ...ASK, prompt, n: 1, max_tokens: 3, echo: true };
  const { text, request } = await post(network, asked);
  expect(failures(text, request)).toEqual([]);
  expect(textsOf({ text }).map((said, at) => said.startsWith(prompt[at]!))).toEqual(Array(16).fill(true));
});

test('one draw, one committee, and for each index a wave, a seed and a request hash of its own', () => {
  const { statement } = answer;
  const choices = choicesOf(statement);
  const [a, b] = PROMPTS.map((prompt) => promptHash(idsOf(prompt)));
  expect(choices.map(({ request }) => request.promptHash)).toEqual([a, a, b, b]);
  expect(statement.choices!.map((choice) => 'prompt' in choice)).toEqual([false, true, true]);
  expect(new Set(choices.map(({ requestHash }) => requestHash)).size).toBe(4);
  const waves = wavesOf(statement);
  expect(new Set(waves.map(({ roundId }) => roundId)).size).toBe(4);
  const committees = waves.map(({ members }) => members.map(({ provider }) => provider).join());
  expect(new Set(committees).size).toBe(1);
});

test('a list of one prompt is attested like the prompt itself', async () => {
  for (const n of [1, 2]) {
    const { statement } = await post(network, { ...ASK, prompt: [PROMPTS[0]], n });
    for (const choice of statement.choices ?? []) expect(choice).not.toHaveProperty('prompt');
    expect(statement.choices?.length).toBe(n === 1 ? undefined : 1);
  }
});

test('every job is charged with its own prompt, usage counts each prompt once, and the quote is what was held', async () => {
  const { requestId, price } = answer.statement;
  const [row, jobs] = await network.store.read(async (handle) => [
    await requestById(handle, requestId),
    await jobsOfRequest(handle, requestId),
  ]);
  const [a, b] = PROMPTS.map((prompt) => idsOf(prompt).length);
  expect(jobs.map(({ inputTokens }) => inputTokens)).toEqual([...Array(6).fill(a), ...Array(6).fill(b)]);
  const { inputNanoPerMtok: input, outputNanoPerMtok: output } = minnows.model.price;
  const charge = (inputTokens: number, outputTokens: number) =>
    (BigInt(inputTokens) * input + BigInt(outputTokens) * output + 999_999n) / 1_000_000n;
  const charged = jobs.reduce((sum, job) => sum + charge(job.inputTokens, job.outputTokens), 0n);
  expect([row!.chargedNano, price.chargedNano]).toEqual([charged, charged.toString()]);
  expect((JSON.parse(answer.text) as SavedTexts).usage.prompt_tokens).toBe(a! + b!);
  const quoted = 6n * (charge(a!, ASK.max_tokens) + charge(b!, ASK.max_tokens));
  expect(price.quoteNano).toBe(quoted.toString());
  const headers = { authorization: `Bearer ${API_KEY}` };
  const response = await fetch(`${network.url}/v1/quote`, { method: 'POST', headers, body: answer.request });
  const quote = (await response.json()) as { prompt_tokens: number; choices: number; price: Record<string, string> };
  expect(quote).toMatchObject({ prompt_tokens: a! + b!, choices: 4, price: { quote_nano: quoted.toString() } });
  expect(BigInt(quote.price.input_nano!) + BigInt(quote.price.output_nano!)).toBe(quoted);
  expect(await booksOf(network.store)).toEqual([]);
});

describe('a verifier sees', () => {
  const forge = (mutate: (typeof FORGED)[number][1]) =>
    forgeAnswer(answer.text, network.gatewaySigner, (statement, body: SavedBody) =>
      mutate(statement, body as unknown as SavedTexts),
    );

  test('nothing wrong in an answer that was only signed and logged anew', () => {
    expect(failures(forge(() => undefined))).toEqual([]);
  });

  test.each(CARRIED)('%s, by whoever carries the answer', (_, mutate) => {
    const body = JSON.parse(answer.text) as SavedTexts;
    mutate(body);
    expect(failures(JSON.stringify(body))).toContain('content-hash');
  });

  test.each(FORGED)('%s, signed by the gateway', (_, mutate, item) => {
    expect(failures(forge(mutate))).toContain(item);
  });

  test.each([
    ['replaced by one as long', [PROMPTS[0], 'Once upon a time there was a large']],
    ['repeated', [PROMPTS[0], PROMPTS[0]]],
    ['in another order', [...PROMPTS].reverse()],
    ['left out', [PROMPTS[0]]],
    ['added', [...PROMPTS, 'And then']],
  ])('a prompt that was really answered in place of the asked one: %s', async (_, prompt) => {
    const other = await post(network, { ...ASK, prompt });
    const { bodyHash } = readRequest(answer.request, null, null);
    const passedOff = forgeAnswer(other.text, network.gatewaySigner, (statement) => {
      statement.bodyHash = bodyHash;
    });
    expect(failures(passedOff)).toContain('prompt');
  });

  test('without the tokenizer, another number of prompts and other token ids still', async () => {
    const ids = [
      [5, 300, 42],
      [7, 9],
    ];
    const { text } = await post(network, { ...ASK, prompt: ids, n: 1 });
    const promptItem = (prompt: unknown, n: number) =>
      verifyResponse({
        response: text,
        asked: readRequest(JSON.stringify({ ...ASK, prompt, n }), null, null),
        recover: recoverNative,
      }).items.find(({ name }) => name === 'prompt')!.status;
    expect(promptItem(ids, 1)).toBe('proved');
    expect(
      promptItem(
        [
          [5, 300, 42],
          [7, 8],
        ],
        1,
      ),
    ).toBe('failed');
    expect(promptItem('one prompt of two choices', 2)).toBe('failed');
    expect(promptItem(['two', 'texts'], 1)).toBe('not checked');
  });
});

test('the openai client behind the verifying fetch gets all prompts, streams too, and nothing that was swapped', async () => {
  const options = {
    gatewayAddress: network.gatewaySigner.address,
    model: minnows.model,
    recover: recoverNative,
  };
  const clientOf = (fetcher: typeof fetch) =>
    new OpenAI({ baseURL: `${network.url}/v1`, apiKey: API_KEY, maxRetries: 0, fetch: fetcher });
  const client = clientOf(createVerifyingFetch(options) as typeof fetch);
  const plain = await client.completions.create(ASK);
  expect(plain.choices.map(({ text }) => text)).toEqual(textsOf(answer));
  const joined = ['', '', '', ''];
  for await (const chunk of await client.completions.create({ ...ASK, stream: true })) {
    for (const { index, text } of chunk.choices) joined[index] += text;
  }
  expect(joined).toEqual(textsOf(answer));
  const lying = createVerifyingFetch({
    ...options,
    fetch: async (input, init) => {
      const response = await fetch(input, init);
      const swapped = (await response.text()).replaceAll(/"index":([02])/g, (_, at) => `"index":${at === '0' ? 2 : 0}`);
      return new Response(swapped, response);
    },
  });
  await expect(clientOf(lying as typeof fetch).completions.create(ASK)).rejects.toThrow();
});
