/** Several choices of one answer over real sockets with minnow: made apart, attested together, and attacked (SPEC.md §4.4, §10). */
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readRequest } from '#protocol/asked';
import { parseAttestation } from '#protocol/attestation';
import { choicesOf } from '#protocol/choices';
import { choiceSeed } from '#protocol/request';
import { recoverNative } from '#protocol/signer-native';
import { type ItemName, verifyResponse } from '#protocol/verify';
import { createVerifyingFetch } from '#protocol/verifying-fetch';
import { clientAccount } from '../../gateway/ledger/accounts.ts';
import { jobsOfRequest } from '../../gateway/store/jobs-repo.ts';
import { balancesNano } from '../../gateway/store/ledger-repo.ts';
import { requestById } from '../../gateway/store/requests-repo.ts';
import { CARRIED, FORGED } from '../fixtures/choice-forgeries.ts';
import { forgeAnswer, type SavedBody } from '../fixtures/forged-answer.ts';
import { API_KEY, booksOf } from '../fixtures/network.ts';
import {
  type HttpAnswer,
  type HttpNetwork,
  loadMinnows,
  type Minnows,
  startHttpNetwork,
} from '../fixtures/network-http.ts';

const messages = [{ role: 'user' as const, content: 'Tell me about Norway.' }];
const SAMPLED = { temperature: 1, seed: 7, max_tokens: 40, n: 3, messages };

let minnows: Minnows;
let network: HttpNetwork;
let answer: HttpAnswer;
let client: OpenAI;

beforeAll(async () => {
  minnows = await loadMinnows();
  network = await startHttpNetwork(minnows);
  answer = await network.ask(SAMPLED);
  const verifying = createVerifyingFetch({
    gatewayAddress: network.gatewaySigner.address,
    model: minnows.model,
    recover: recoverNative,
  });
  client = new OpenAI({ baseURL: `${network.url}/v1`, apiKey: API_KEY, fetch: verifying, maxRetries: 0 });
});

afterAll(async () => {
  await network.stop();
  await minnows.close();
});

function check(response: string, requestText: string) {
  const { text, digest } = minnows.model;
  const asked = readRequest(requestText, text, null);
  return verifyResponse({ response, asked, text, modelDigest: digest, recover: recoverNative });
}

function failures(response: string, requestText = answer.requestText): ItemName[] {
  const failed = check(response, requestText).items.filter((item) => item.status === 'failed');
  return failed.map((item) => item.name);
}

function textsOf(saved: string): string[] {
  return (JSON.parse(saved) as SavedBody).choices.map((choice) => choice.message.content);
}

describe('sampled choices', () => {
  test('differ from one another, and come out the same for the same seed', async () => {
    const texts = textsOf(answer.saved);
    expect(new Set(texts).size).toBe(3);
    expect(textsOf((await network.ask(SAMPLED)).saved)).toEqual(texts);
    // Choice 0 is the answer that one choice would have been.
    expect(textsOf((await network.ask({ ...SAMPLED, n: 1 })).saved)).toEqual(texts.slice(0, 1));
  });

  test('are each what their own seed gives alone', async () => {
    const texts = textsOf(answer.saved);
    for (const choice of [1, 2]) {
      const seed = BigInt.asIntN(64, choiceSeed(7n, choice));
      // JSON numbers of more than 53 bits: written by hand.
      const body = JSON.stringify({ ...SAMPLED, model: 'minnow-5m', n: 1 }).replace('"seed":7', `"seed":${seed}`);
      const response = await fetch(`${network.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' },
        body,
      });
      expect(textsOf(await response.text())).toEqual([texts[choice]]);
    }
  });

  test('are proved one by one, sampled and greedy', async () => {
    const { items, ok } = check(answer.saved, answer.requestText);
    expect(ok).toBe(true);
    const open = items.filter((item) => item.status !== 'proved').map((item) => item.name);
    expect(open).toEqual(['gateway-key', 'log-key', 'policy']);
    // Shown beside the texts, for display alone.
    const { assay } = JSON.parse(answer.saved) as { assay: { choices: { verdict: string }[] } };
    expect(assay.choices.map(({ verdict }) => verdict)).toEqual(['agreed', 'agreed', 'agreed']);
    const agreement = items.find((item) => item.name === 'agreement')!;
    for (const choice of [0, 1, 2]) expect(agreement.detail).toContain(`choice ${choice}: verdict: agreed`);
    const greedy = await network.ask({ ...SAMPLED, temperature: 0 });
    expect(new Set(textsOf(greedy.saved)).size).toBe(1);
    expect(failures(greedy.saved, greedy.requestText)).toEqual([]);
  });

  test('have waves, jobs and request hashes of their own, under one draw', () => {
    const choices = choicesOf(answer.statement);
    expect(choices).toHaveLength(3);
    const waves = choices.flatMap((choice) => choice.waves);
    for (const field of ['roundId', 'padSeed'] as const) expect(new Set(waves.map((wave) => wave[field])).size).toBe(3);
    expect(new Set(choices.map((choice) => choice.requestHash)).size).toBe(3);
    const committees = waves.map((wave) => wave.members.map((member) => member.provider));
    expect(committees[1]).toEqual(committees[0]);
    expect(committees[2]).toEqual(committees[0]);
  });

  test('are charged job by job, and the books balance', async () => {
    const { requestId } = answer.statement;
    const row = await network.store.read((handle) => requestById(handle, requestId));
    const jobs = await network.store.read((handle) => jobsOfRequest(handle, requestId));
    expect(jobs.map((job) => job.choice)).toEqual([0, 0, 0, 1, 1, 1, 2, 2, 2]);
    const { inputNanoPerMtok: input, outputNanoPerMtok: output } = minnows.model.price;
    const exact = jobs.map((job) => BigInt(job.inputTokens) * input + BigInt(job.outputTokens) * output);
    const charged = exact.reduce((sum, micro) => sum + (micro + 999_999n) / 1_000_000n, 0n);
    expect(row!.chargedNano).toBe(charged);
    expect(answer.statement.price.chargedNano).toBe(charged.toString());
    expect(await booksOf(network.store)).toEqual([]);
  });
});

describe('a keyed call of several choices', () => {
  test.each([false, true])('is charged once and replayed byte for byte (streamed: %s)', async (stream) => {
    const call = () =>
      fetch(`${network.url}/v1/chat/completions`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${API_KEY}`,
          'content-type': 'application/json',
          'idempotency-key': `choices ${stream}`,
        },
        body: JSON.stringify({ ...SAMPLED, model: 'minnow-5m', n: 2, stream }),
      }).then((response) => response.text());
    const first = await call();
    const funds = await balanceOf(network.store);
    expect(await call()).toBe(first);
    expect(await balanceOf(network.store)).toBe(funds);
    expect(failures(first, JSON.stringify({ ...SAMPLED, model: 'minnow-5m', n: 2, stream }))).toEqual([]);
  });

  async function balanceOf(store: HttpNetwork['store']): Promise<bigint> {
    const account = clientAccount('key-test');
    return store.read(async (handle) => (await balancesNano(handle, [account])).get(account)!);
  }
});

describe('unchanged clients behind the verifying fetch', () => {
  const question = { model: 'minnow-5m', temperature: 1, seed: 7, max_tokens: 40, n: 2, messages };

  test('openai: stream() with n = 2 ends in the two choices of the plain answer', async () => {
    const plain = await client.chat.completions.create(question);
    const streamed = await client.chat.completions.stream(question).finalChatCompletion();
    expect(streamed.choices.map(({ message }) => message.content)).toEqual(textsOf(answer.saved).slice(0, 2));
    expect(streamed.choices.map(({ finish_reason }) => finish_reason)).toEqual(
      plain.choices.map(({ finish_reason }) => finish_reason),
    );
  });

  test('a stream of two choices has the attested content, usage once', async () => {
    const stream = await client.chat.completions.create({
      ...question,
      stream: true,
      stream_options: { include_usage: true },
    });
    const usages: object[] = [];
    const seen = new Set<number>();
    for await (const chunk of stream) {
      if (chunk.usage) usages.push(chunk.usage);
      for (const choice of chunk.choices) seen.add(choice.index);
    }
    expect(usages).toHaveLength(1);
    expect([...seen].sort()).toEqual([0, 1]);
  });
});

describe('a verifier sees', () => {
  test('nothing wrong in an answer that was only signed and logged anew', () => {
    expect(failures(forgeAnswer(answer.saved, network.gatewaySigner, () => undefined))).toEqual([]);
  });

  test.each(CARRIED)('%s, changed by whoever carries the answer', (_, mutate) => {
    const body = JSON.parse(answer.saved) as SavedBody;
    mutate(body);
    expect(failures(JSON.stringify(body))).toContain('content-hash');
  });

  test.each(FORGED)('%s, signed by the gateway', (_, mutate, item) => {
    expect(failures(forgeAnswer(answer.saved, network.gatewaySigner, mutate))).toContain(item);
  });

  test('a saved stream whose choices were renamed', async () => {
    const requestText = JSON.stringify({ ...SAMPLED, model: 'minnow-5m', n: 2, stream: true });
    const response = await fetch(`${network.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' },
      body: requestText,
    });
    const saved = await response.text();
    expect(failures(saved, requestText)).toEqual([]);
    const other = { '0': '1', '1': '0' } as const;
    const renamed = saved.replaceAll(/"index":([01])/g, (_, at: '0' | '1') => `"index":${other[at]}`);
    expect(failures(renamed, requestText)).toContain('content-hash');
  });
});

test('an attestation of one choice has neither of the members that several need', async () => {
  const one = await network.ask({ ...SAMPLED, n: 1 });
  const { wire } = parseAttestation((JSON.parse(one.saved) as SavedBody).assay.attestation)!;
  expect(Object.keys(wire)).not.toContain('choices');
  expect(Object.keys(wire)).not.toContain('firstVerdict');
});
