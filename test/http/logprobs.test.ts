/** Log-probabilities of a real committee: sealed, compared, attested, verified offline; and who lies about them. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readRequest } from '#protocol/asked';
import { recoverNative } from '#protocol/signer-native';
import { verifyResponse } from '#protocol/verify';
import type { Fetch } from '../../gateway/round/provider-client.ts';
import type { Engine, GeneratedToken } from '../../provider/engine/engine.ts';
import { API_KEY } from '../fixtures/network.ts';
import { type HttpNetwork, loadMinnows, type Minnows, startHttpNetwork } from '../fixtures/network-http.ts';

const QUESTION = {
  model: 'minnow-5m',
  temperature: 0.7,
  seed: 5,
  logprobs: true,
  top_logprobs: 3,
  max_tokens: 40,
  messages: [{ role: 'user', content: 'What is the capital of Norway?' }],
};

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

async function post(at: HttpNetwork, body: object): Promise<{ status: number; text: string; request: string }> {
  const request = JSON.stringify(body);
  const response = await fetch(`${at.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${API_KEY}` },
    body: request,
  });
  return { status: response.status, text: await response.text(), request };
}

interface Body {
  choices: {
    logprobs: { content: { token: string; logprob: number; top_logprobs: { token: string; logprob: number }[] }[] };
  }[];
  assay: { unverified: string[]; faults: { fault: string }[]; logprobs: { tokens: number[][]; chunks: object[] }[] };
}

function itemOf(response: string, request: string | null, withText = true) {
  const text = withText ? minnows.model.text : null;
  const asked = request === null ? null : readRequest(request, text);
  const result = verifyResponse({ response, asked, text, recover: recoverNative });
  return { ...result, item: result.items.find(({ name }) => name === 'logprobs') };
}

function changed(text: string, change: (body: Body) => void): string {
  const body = JSON.parse(text) as Body;
  change(body);
  return JSON.stringify(body);
}

describe('an honest committee', () => {
  test.each([false, true])(
    'its log-probabilities are proved, with the tokenizer and without (stream %s)',
    async (stream) => {
      const { status, text, request } = await post(network, { ...QUESTION, stream });
      expect(status).toBe(200);
      for (const withText of [true, false]) {
        const { ok, item } = itemOf(text, request, withText);
        expect(item).toMatchObject({ status: 'proved' });
        expect(ok).toBe(true);
      }
    },
  );

  test('they are the model’s own: the best alternative at temperature 0 is the token itself', async () => {
    const { text } = await post(network, { ...QUESTION, temperature: 0, presence_penalty: 0 });
    const { content } = (JSON.parse(text) as Body).choices[0]!.logprobs;
    for (const { token, logprob, top_logprobs } of content) {
      expect(top_logprobs[0]).toMatchObject({ token, logprob });
      expect(top_logprobs.reduce((sum, other) => sum + Math.exp(other.logprob), 0)).toBeLessThan(1.001);
    }
  });

  test('penalties and biases do not touch them', async () => {
    const plain = await post(network, { ...QUESTION, temperature: 0, max_tokens: 1 });
    const biased = await post(network, { ...QUESTION, temperature: 0, max_tokens: 1, logit_bias: { '300': 50 } });
    const topOf = ({ text }: { text: string }) => (JSON.parse(text) as Body).choices[0]!.logprobs.content[0]!;
    expect(topOf(biased).top_logprobs).toEqual(topOf(plain).top_logprobs);
    expect(topOf(biased).logprob).toBeLessThan(topOf(plain).logprob);
  });
});

test('of several choices each is proved by itself, and one cannot stand for another', async () => {
  for (const stream of [false, true]) {
    const { text, request } = await post(network, { ...QUESTION, n: 2, stream });
    expect(itemOf(text, request)).toMatchObject({ ok: true, item: { status: 'proved' } });
    expect(itemOf(text, request, false)).toMatchObject({ ok: true, item: { status: 'proved' } });
  }
  const { text } = await post(network, { ...QUESTION, n: 2 });
  const swapped = changed(text, ({ assay: { logprobs } }) => {
    [logprobs[0]!.chunks, logprobs[1]!.chunks] = [logprobs[1]!.chunks, logprobs[0]!.chunks];
  });
  expect(itemOf(swapped, null, false).item).toMatchObject({ status: 'failed' });
});

describe('whoever carries an answer', () => {
  let text: string;
  let request: string;
  beforeAll(async () => {
    ({ text, request } = await post(network, QUESTION));
  });

  const ATTACKS: readonly [string, (body: Body) => void][] = [
    ['changes a number', ({ choices }) => void Object.assign(choices[0]!.logprobs.content[0]!, { logprob: -9 })],
    [
      'changes an alternative',
      ({ choices }) => void Object.assign(choices[0]!.logprobs.content[1]!.top_logprobs[2]!, { token: 'no' }),
    ],
    ['drops one', ({ choices }) => void choices[0]!.logprobs.content.pop()],
    ['drops all', ({ choices }) => void Object.assign(choices[0]!, { logprobs: null })],
    ['changes what was sealed', ({ assay }) => void assay.logprobs[0]!.tokens[0]!.splice(0, 1, -5)],
    ['drops what was sealed', ({ assay }) => void assay.logprobs.pop()],
    ['drops a chunk of it', ({ assay }) => void assay.logprobs[0]!.chunks.pop()],
  ];
  test.each(ATTACKS)('who %s is found out, with the tokenizer and without', (_, change) => {
    for (const withText of [true, false]) {
      expect(itemOf(changed(text, change), null, withText).item).toMatchObject({ status: 'failed' });
    }
  });

  test('an answer without those that were asked for, and one with other ones, are not what was asked', async () => {
    const { text: without } = await post(network, { ...QUESTION, logprobs: false, top_logprobs: 0 });
    expect(itemOf(without, null).item).toBeUndefined();
    expect(itemOf(without, request).item).toMatchObject({ status: 'failed' });
    expect(itemOf(text, JSON.stringify({ ...QUESTION, top_logprobs: 2 })).item).toMatchObject({ status: 'failed' });
    expect(itemOf(text, JSON.stringify({ ...QUESTION, logprobs: false, top_logprobs: 0 })).item).toMatchObject({
      status: 'failed',
    });
  });
});

/** The same tokens with more confident numbers: a better look for a worse model. */
function boasting(engine: Engine): Engine {
  return {
    info: engine.info,
    text: engine.text,
    async *generate(request) {
      for await (const token of engine.generate(request)) {
        yield { ...token, logprobs: token.logprobs && sharpened(token.logprobs) };
      }
    },
    score: (request) => engine.score(request),
    close: async () => {},
  };
}

function sharpened([chosen, top]: NonNullable<GeneratedToken['logprobs']>): GeneratedToken['logprobs'] {
  const lower = (value: number) => (value === top[0]?.[1] ? value : value - 65_536);
  return [lower(chosen), top.map(([id, value]) => [id, lower(value)] as const)];
}

describe('a member that lies about them', () => {
  const committee = (engines: Record<string, Engine>, more: { fetch?: (fetch: Fetch) => Fetch } = {}) =>
    startHttpNetwork(minnows, { cheats: [null, null, null], engines, ...more });

  test('is not believed against two others, and what it spoils is named', async () => {
    const cheated = await committee({ p1: boasting(minnows.honest) });
    const honest = await post(network, { ...QUESTION, verification: 'single' });
    for (const stream of [false, true]) {
      const all = await post(cheated, { ...QUESTION, stream, verification: { mode: 'quorum', n: 3, agree: 3 } });
      expect(all.text).toContain('"unverified":["choices.logprobs"]');
      expect(itemOf(all.text, all.request).item).toMatchObject({ status: 'not checked' });
    }
    const two = await post(cheated, { ...QUESTION, verification: { mode: 'quorum', n: 3, agree: 2 } });
    expect((JSON.parse(two.text) as Body).assay.unverified).toEqual([]);
    expect((JSON.parse(two.text) as Body).choices[0]!.logprobs).toEqual(
      (JSON.parse(honest.text) as Body).choices[0]!.logprobs,
    );
    await cheated.stop();
  });

  test.each([
    ['opens others than it sealed', (data: string) => data.replace(/"tokens":\[\[-?\d+/, '"tokens":[[-77')],
    // Sound numbers, but not those under the seal: nothing but the seal tells.
    ['opens them under another seal', (data: string) => data.replace(/("logprobs":\{"salt":"0x)../, '$1ff')],
    ['opens none', (data: string) => data.replace(/,"logprobs":\{.*\}\}$/, '}')],
  ])('and %s is out as malformed', async (_, change) => {
    const cheated = await committee({}, { fetch: tampering(change) });
    const { status, text } = await post(cheated, { ...QUESTION, verification: { mode: 'quorum', n: 3, agree: 2 } });
    expect(status).toBe(200);
    const { assay } = JSON.parse(text) as Body;
    expect(assay.faults.map(({ fault }) => fault)).toEqual(['malformed']);
    expect(assay.unverified).toEqual([]);
    await cheated.stop();
  });
});

/** Changes the reveals of the first provider that is asked. */
function tampering(change: (data: string) => string): (fetch: Fetch) => Fetch {
  let origin: string | null = null;
  return (inner) => async (url, init) => {
    const response = await inner(url, init);
    if (!url.endsWith('/v1/jobs')) return response;
    origin ??= new URL(url).origin;
    if (new URL(url).origin !== origin) return response;
    const lines = response.body!.pipeThrough(new TextDecoderStream()).pipeThrough(
      new TransformStream<string, string>({
        transform: (text, controller) =>
          controller.enqueue(text.replace(/^data: (\{"opening".*)$/gm, (_, data: string) => `data: ${change(data)}`)),
      }),
    );
    return new Response(lines.pipeThrough(new TextEncoderStream()), response);
  };
}
