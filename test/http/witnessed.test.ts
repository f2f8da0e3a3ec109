/** Mode `witnessed` over the whole gateway: one generates, the others score before release, and whoever lies is found (DESIGN §9). */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { clientAccount } from '../../gateway/ledger/accounts.ts';
import { jobPrice } from '../../gateway/ledger/price.ts';
import { jobsOfRequest } from '../../gateway/store/jobs-repo.ts';
import { balanceNano } from '../../gateway/store/ledger-repo.ts';
import { booksOf } from '../fixtures/network.ts';
import {
  failuresOf,
  startWitnessedNetwork,
  statementOf,
  statementOfStream,
  verified,
  type WitnessedNetwork,
} from '../fixtures/witnessed-network.ts';
import { TOY_MODEL } from '../simulation/toy-machine.ts';

const WITNESSED = { temperature: 1, seed: 5, logit_bias: { 0: -100 }, verification: 'witnessed; n=3' };
const FULL = { ...WITNESSED, verification: 'witnessed; n=3; evidence=full' };

let network: WitnessedNetwork;
beforeEach(async () => {
  network = await startWitnessedNetwork();
});
afterEach(async () => {
  await network.gateway.settled();
  expect(await booksOf(network.store)).toEqual([]);
  await network.stop();
});

const funds = () => network.store.read((handle) => balanceNano(handle, clientAccount('key-test')));
const disputes = async () => {
  await network.gateway.settled();
  const { data } = (await (await network.call('/v1/disputes')).json()) as {
    data: { provider: string; fault: string; ruling: string | null }[];
  };
  return data;
};
const contentOf = (saved: string) =>
  (JSON.parse(saved) as { choices: { message: { content: string } }[] }).choices[0]!.message.content;
const codeOf = (saved: string) => (JSON.parse(saved) as { error: { code: string } }).error.code;
/** The frames of a stream: its text, its error, and whether it came to its end. */
function streamOf(saved: string) {
  const frames = saved.split('\n\n').flatMap((frame) => (frame.startsWith('data: ') ? [frame.slice(6)] : []));
  const parsed = frames.filter((frame) => frame !== '[DONE]').map((frame) => JSON.parse(frame) as StreamFrame);
  return {
    text: parsed.map(({ choices }) => choices?.[0]?.delta?.content ?? '').join(''),
    error: parsed.find(({ error }) => error)?.error?.code ?? null,
    isDone: frames.includes('[DONE]'),
  };
}
interface StreamFrame {
  readonly choices?: readonly { readonly delta?: { readonly content?: string } }[];
  readonly error?: { readonly code: string };
}

describe('an honest answer', () => {
  test('is generated once, scored by the two members that were drawn after it, and agreed', async () => {
    const { status, saved, request } = await network.post(WITNESSED);
    expect(status).toBe(200);
    const statement = statementOf(saved);
    expect([statement.verdict, statement.agreement]).toEqual(['agreed', { needed: 3, standing: 3, of: 3 }]);
    expect(statement.waves.flatMap(({ members }) => members)).toHaveLength(1);
    expect(statement.scores.map(({ accepted, about }) => [accepted, about])).toEqual(
      Array(2).fill([true, statement.served]),
    );
    expect(failuresOf(saved, request)).toEqual([]);
    const alone = await network.post({ ...WITNESSED, verification: 'single' });
    expect(contentOf(saved)).toBe(contentOf(alone.saved));
  });

  test('costs one generation and two scores, and that is what the three are paid', async () => {
    const before = await funds();
    const { saved } = await network.post(WITNESSED);
    const { requestId, request, outputIds, price } = statementOf(saved);
    const tokens = outputIds.length;
    const work = { inputTokens: request.promptTokens, outputTokens: 0, scoredTokens: 0 };
    const generation = jobPrice(TOY_MODEL.price, { ...work, outputTokens: tokens }).chargeNano;
    const score = jobPrice(TOY_MODEL.price, { ...work, scoredTokens: tokens }).chargeNano;
    expect(BigInt(price.chargedNano)).toBe(generation + 2n * score);
    expect(before - (await funds())).toBe(generation + 2n * score);
    const jobs = await network.store.read((handle) => jobsOfRequest(handle, requestId));
    expect(jobs.map(({ role, wave, standing, earnedNano }) => [role, wave, standing, earnedNano > 0n])).toEqual([
      ['member', 0, 'counted', true],
      ['scorer', 0, 'counted', true],
      ['scorer', 0, 'counted', true],
    ]);
  });

  test('streams chunk by chunk, every chunk scored before it leaves, and the end says the same', async () => {
    const plain = await network.post(WITNESSED);
    network.conduct.scores = 0;
    const { saved, request } = await network.post({ ...WITNESSED, stream: true });
    expect(streamOf(saved)).toEqual({ text: contentOf(plain.saved), error: null, isDone: true });
    // 40 tokens in chunks of 4, 8, 16 and the rest: four passes of two witnesses.
    expect(network.conduct.scores).toBe(8);
    expect(failuresOf(saved, request)).toEqual([]);
    network.conduct.scores = 0;
    await network.post({ ...WITNESSED, verification: 'witnessed; n=3; release=eager', stream: true });
    expect(network.conduct.scores).toBe(2);
  });

  test('can be judged again from the evidence that came with it, and only then counts as proved', async () => {
    const short = await network.post(WITNESSED);
    expect(verified(short.saved, short.request).get('agreement')?.status).toBe('not checked');
    const full = await network.post(FULL);
    const items = verified(full.saved, full.request);
    expect([items.get('scores')?.status, items.get('agreement')?.status, items.get('draw')?.status]).toEqual(
      Array(3).fill('proved'),
    );
    const streamed = await network.post({ ...FULL, stream: true, n: 2 });
    expect(verified(streamed.saved, streamed.request).get('agreement')?.status).toBe('proved');
  });

  test('is quoted as it is charged at most, and shows what it buys', async () => {
    const body = { ...WITNESSED, model: 'toy', max_tokens: 40, messages: [{ role: 'user', content: 'hello' }] };
    const quoted = async (fields: object) => {
      const reply = await network.call('/v1/quote', {
        method: 'POST',
        headers: { authorization: 'Bearer sk-assay-test-network', 'content-type': 'application/json' },
        body: JSON.stringify({ ...body, ...fields }),
      });
      return (await reply.json()) as {
        price: { quote_nano: string; modes: Record<string, string> };
        security: Record<string, number>;
      };
    };
    const { price } = statementOf((await network.post(WITNESSED)).saved);
    // All 40 tokens were generated: the charge is the quote.
    expect(price.chargedNano).toBe(price.quoteNano);
    const streamed = statementOfStream((await network.post({ ...WITNESSED, stream: true })).saved);
    for (const [stream, attested] of [
      [false, price],
      [true, streamed.price],
    ] as const) {
      const quote = await quoted({ stream });
      expect(quote.price.quote_nano).toBe(attested.quoteNano);
      expect(quote.price.modes.witnessed).toBe(quote.price.quote_nano);
      const multiple = Number(quote.price.quote_nano) / Number(quote.price.modes.single);
      expect(quote.security.price_multiple).toBeCloseTo(multiple, 2);
      expect(quote.security).toMatchObject({ seats: 3, agree: 3 });
      // One of five operators never is both generator and every witness.
      expect(quote.security.capture_probability).toBe(0);
    }
  });
});

describe('a generator that lies', () => {
  test('gets nothing served, loses its stake, and the client pays nothing', async () => {
    network.conduct.liesFrom = 6;
    const before = await funds();
    const { status, saved } = await network.post(WITNESSED);
    expect([status, codeOf(saved)]).toEqual([502, 'inconclusive']);
    expect(await funds()).toBe(before);
    const open = await disputes();
    expect(open.map(({ fault, ruling }) => [fault, ruling])).toEqual([['wrong_output', 'upheld']]);
  });

  test('is not saved by a witness that colludes with it: fresh members and the referee judge', async () => {
    network.conduct.liesFrom = 0;
    // Whoever scores first in a request accepts what the generator made up.
    network.conduct.liesInScore = (order) => order === 0;
    const { status } = await network.post(WITNESSED);
    expect(status).toBe(502);
    const open = await disputes();
    expect(open.map(({ fault, ruling }) => [fault, ruling])).toEqual([['wrong_output', 'upheld']]);
    expect(network.conduct.scores).toBe(4);
  });

  test('late in a stream ends it with an error after the last chunk that held, and never with [DONE]', async () => {
    const plain = contentOf((await network.post(WITNESSED)).saved);
    network.conduct.liesFrom = 20;
    const before = await funds();
    const { saved } = await network.post({ ...WITNESSED, stream: true });
    const { text, error, isDone } = streamOf(saved);
    expect([error, isDone]).toEqual(['inconclusive', false]);
    // Chunks of 4 and 8 were released; the one from token 12 to 28 holds the lie.
    expect(text).toBe(plain.slice(0, 12));
    expect(await funds()).toBe(before);
    expect((await disputes()).map(({ ruling }) => ruling)).toEqual(['upheld']);
  });
});

describe('a witness', () => {
  test('that rejects an honest answer is overruled by fresh members, and nobody is accused', async () => {
    network.conduct.liesInScore = (order) => order === 0;
    const { status, saved, request } = await network.post(FULL);
    expect(status).toBe(200);
    const statement = statementOf(saved);
    expect(statement.verdict).toBe('agreed');
    expect(statement.scores.map(({ accepted }) => accepted)).toEqual([false, true, true, true]);
    expect(statement.agreement).toEqual({ needed: 4, standing: 4, of: 4 });
    const items = verified(saved, request);
    expect([...items.values()].filter(({ status }) => status === 'failed')).toEqual([]);
    expect(items.get('agreement')?.status).toBe('proved');
    expect(await disputes()).toEqual([]);
    // The fresh members are the reserve's, not the client's.
    const { price, request: asked, outputIds } = statement;
    const work = { inputTokens: asked.promptTokens, outputTokens: 0, scoredTokens: outputIds.length };
    const score = jobPrice(TOY_MODEL.price, work).chargeNano;
    const generation = jobPrice(TOY_MODEL.price, {
      ...work,
      scoredTokens: 0,
      outputTokens: outputIds.length,
    }).chargeNano;
    expect(BigInt(price.chargedNano)).toBe(generation + 2n * score);
  });

  test('that rejected one part of a stream has no seat for the next', async () => {
    network.conduct.liesInScore = (order) => order === 0;
    const { saved, request } = await network.post({ ...WITNESSED, stream: true });
    expect(streamOf(saved)).toMatchObject({ error: null, isDone: true });
    expect(failuresOf(saved, request)).toEqual([]);
    // Two witnesses and two fresh members for the first part, two for each of the three others.
    expect(network.conduct.scores).toBe(4 + 3 * 2);
  });

  test('that cannot be reached is passed over in the log, and the next of the draw scores', async () => {
    const probe = statementOf((await network.post(WITNESSED)).saved);
    const [first] = probe.scores;
    const name = network.names[network.members.findIndex(({ address }) => address === first!.provider)]!;
    network.down(name, true);
    for (let i = 0; i < 6; i++) {
      const { status, saved, request } = await network.post(WITNESSED, `question ${i}`);
      expect(status).toBe(200);
      expect(statementOf(saved).scores).toHaveLength(2);
      expect(failuresOf(saved, request)).toEqual([]);
    }
    network.down(name, false);
  });

  test('that is unsure stands behind nothing: more are asked, and where none are left it is no answer', async () => {
    await network.stop();
    network = await startWitnessedNetwork({ members: 3 });
    network.conduct.liesInScore = (order) => order === 1;
    // One of two witnesses rejects, nobody else is left but the referee, who accepts.
    const { status, saved } = await network.post(WITNESSED);
    expect(status).toBe(200);
    expect(statementOf(saved).scores.map(({ role, accepted }) => [role, accepted])).toEqual([
      ['member', true],
      ['member', false],
      ['referee', true],
    ]);
  });
});
