/** The whole gateway behind its HTTP surface: policies, releases, failures and records on a real committee (DESIGN §9, §13). */
import OpenAI from 'openai';
import request from 'supertest';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clientAccount } from '../../gateway/ledger/accounts.ts';
import { balanceNano } from '../../gateway/store/ledger-repo.ts';
import { logSize } from '../../gateway/store/log-repo.ts';
import { requestById, requestsOfKey } from '../../gateway/store/requests-repo.ts';
import { API_KEY, booksOf, STAKE_NANO } from '../fixtures/network.ts';
import { type HttpNetwork, loadMinnows, type Minnows, startHttpNetwork } from '../fixtures/network-http.ts';

const STORY = [{ role: 'user' as const, content: 'Write a short story about a fox.' }];

let minnows: Minnows;
let network: HttpNetwork;
let openai: OpenAI;

beforeAll(async () => {
  minnows = await loadMinnows();
  network = await startHttpNetwork(minnows);
  openai = new OpenAI({ baseURL: `${network.url}/v1`, apiKey: API_KEY, maxRetries: 0 });
});

afterAll(async () => {
  await network.stop();
  await minnows.close();
});

const post = (body: object, headers: Record<string, string> = {}) =>
  request(network.url)
    .post('/v1/chat/completions')
    .set('authorization', `Bearer ${API_KEY}`)
    .set(headers)
    .send({ model: 'minnow-5m', temperature: 0, max_tokens: 8, messages: STORY, ...body });

describe('the SDK', () => {
  test('gets the same answer streamed as plain, greedy and sampled', async () => {
    for (const sampling of [{ temperature: 0 }, { temperature: 1, top_p: 0.9, seed: 77 }]) {
      const body = { model: 'minnow-5m', messages: STORY, ...sampling };
      const plain = await openai.chat.completions.create(body);
      const stream = openai.chat.completions.stream({ ...body, stream_options: { include_usage: true } });
      const final = await stream.finalChatCompletion();
      expect(final.choices[0]!.message.content).toBe(plain.choices[0]!.message.content);
      expect(final.choices[0]!.finish_reason).toBe(plain.choices[0]!.finish_reason);
      expect(final.usage).toEqual(plain.usage);
    }
  });

  test('gets text that ends before a stop string, wherever tokens end', async () => {
    const whole = await openai.chat.completions.create({ model: 'minnow-5m', temperature: 0, messages: STORY });
    const text = whole.choices[0]!.message.content!;
    const stop = text.slice(21, 27);
    const cut = await openai.chat.completions.create({ model: 'minnow-5m', temperature: 0, messages: STORY, stop });
    expect(cut.choices[0]!.message.content).toBe(text.slice(0, text.indexOf(stop)));
    expect(cut.choices[0]!.finish_reason).toBe('stop');
  });
});

describe('a policy', () => {
  test('stands in the body before the header before the model, and is told', async () => {
    const header = await post({}, { 'assay-verification': 'quorum; n=5; agree=4' });
    expect(header.headers['assay-policy']).toContain('n=5;agree=4');
    expect(header.body.assay.agreement).toEqual({ needed: 4, standing: 5, of: 5 });
    const body = await post({ verification: { mode: 'single' } }, { 'assay-verification': 'quorum; n=5' });
    expect(body.body.assay.verdict).toBe('unverified');
    expect((await post({ model: 'minnow-5m:quorum-5' })).headers['assay-policy']).toContain('n=5');
    expect((await post({})).headers['assay-policy']).toContain('quorum;n=3;agree=3');
  });

  test('that the registry cannot seat is refused at once, uncharged, and not worth a retry', async () => {
    const record = () =>
      network.store.read(async (handle) => [
        await logSize(handle),
        await requestsOfKey(handle, 'key-test', 100),
        await balanceNano(handle, clientAccount('key-test')),
      ]);
    await network.gateway.settled();
    const before = await record();
    const { status, body, headers } = await post({ verification: { mode: 'quorum', n: 7 } });
    // Nothing was held, drawn or logged for it.
    expect(await record()).toEqual(before);
    expect(status).toBe(503);
    expect(body.error.code).toBe('committee_unavailable');
    expect(headers['x-should-retry']).toBe('false');
    expect(await booksOf(network.store)).toEqual([]);
  });

  test('of a mode that is not served is a 400 with its param', async () => {
    for (const mode of ['optimistic', 'proved']) {
      const { status, body } = await post({ verification: { mode } });
      expect([status, body.error.param]).toEqual([400, 'verification.mode']);
    }
  });

  test('with an eager release gives the same stream when all agree', async () => {
    const body = { model: 'minnow-5m', temperature: 0, messages: STORY, stream: true as const };
    const texts = await Promise.all(
      ['verified', 'eager'].map(async (release) => {
        let text = '';
        const stream = await openai.chat.completions.create({
          ...body,
          verification: { mode: 'quorum', release },
        } as typeof body);
        for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
        return text;
      }),
    );
    expect(texts[0]).toBe(texts[1]);
    expect(texts[0]!.length).toBeGreaterThan(50);
  });
});

describe('with liars in the committee', () => {
  test('an answer that cannot be settled is a 502 that is not charged, or marked where the client asked for it', async () => {
    // Four of five collude on a smaller model: no fresh operator is left, and too few stand behind the honest one.
    const liars = await startHttpNetwork(minnows, {
      cheats: [null, 'smaller_model', 'smaller_model', 'smaller_model', 'smaller_model'],
    });
    try {
      const ask = (body: object) =>
        request(liars.url)
          .post('/v1/chat/completions')
          .set('authorization', `Bearer ${API_KEY}`)
          .send({ model: 'minnow-5m', temperature: 0, messages: STORY, ...body });
      const refused = await ask({ verification: { mode: 'quorum', n: 5 } });
      expect(refused.status).toBe(502);
      expect(refused.body.error.code).toBe('inconclusive');
      expect(refused.headers['x-should-retry']).toBe('false');
      await liars.gateway.settled();
      expect(await booksOf(liars.store)).toEqual([]);
      const best = await ask({ verification: { mode: 'quorum', n: 5, on_inconclusive: 'best_effort' } });
      expect(best.status).toBe(200);
      expect(best.body.assay.verdict).toBe('inconclusive');
      const row = await liars.store.read((handle) => requestById(handle, best.headers['assay-id']!));
      expect(row).toMatchObject({ verdict: 'best_effort' });
      expect(row!.chargedNano).toBeGreaterThan(0n);
      const honest = liars.members[0]!.address;
      const { body } = await request(liars.url).get('/v1/providers');
      const stake = (body.data as { id: string; stake_nano: string }[]).find(({ id }) => id === honest)!.stake_nano;
      expect(BigInt(stake)).toBe(STAKE_NANO);
    } finally {
      await liars.stop();
    }
  });

  test('a stream of the liar is never released: what the client reads is the honest text', async () => {
    const liars = await startHttpNetwork(minnows, { cheats: ['smaller_model', null, null, null, null] });
    try {
      const client = new OpenAI({ baseURL: `${liars.url}/v1`, apiKey: API_KEY, maxRetries: 0 });
      const body = { model: 'minnow-5m', temperature: 0, messages: STORY };
      const honest = await openai.chat.completions.create(body);
      const streamed = await client.chat.completions
        .stream({ ...body, verification: { mode: 'quorum', n: 5 } } as typeof body)
        .finalChatCompletion();
      expect(streamed.choices[0]!.message.content).toBe(honest.choices[0]!.message.content);
      await liars.gateway.settled();
      const { body: disputes } = await request(liars.url).get('/v1/disputes');
      expect(disputes.data[0]).toMatchObject({
        provider: liars.members[0]!.address,
        ruling: 'upheld',
        state: 'settled',
      });
    } finally {
      await liars.stop();
    }
  });
});

test('health, readiness and metrics answer without a key', async () => {
  expect((await request(network.url).get('/healthz')).status).toBe(200);
  expect((await request(network.url).get('/readyz')).body.status).toBe('ready');
  expect((await request(network.url).get('/metrics')).text).toContain('assay_requests_total');
});
