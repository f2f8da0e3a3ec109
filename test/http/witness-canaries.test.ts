/** Wrong answers that are shown to witnesses on purpose, pass by pass as real ones come: who does not look is passed over, who does is paid (spec-judge.md §7.13). */
import { expect, test } from 'vitest';
import { LOCAL_DOMAIN } from '#protocol/eip712';
import { LOGIT_SCALE, type TokenEvidence } from '#protocol/evidence';
import { toHex } from '#protocol/hash';
import { jackpotNano, scoreNano } from '#protocol/jackpot';
import { type LogEntry, logEntryBytes, signCheckpoint, zLogEntry } from '#protocol/log';
import { leafHash, merkleRoot } from '#protocol/merkle';
import { recoverNative } from '#protocol/signer-native';
import { verifyResponse } from '#protocol/verify';
import type { Fetch } from '../../gateway/round/provider-client.ts';
import type { Engine } from '../../provider/engine/engine.ts';
import { HandClock, untilHolds } from '../fixtures/hand-clock.ts';
import { testLogSigner } from '../fixtures/network.ts';
import { signerOf, type ToyNetwork, type ToyOptions } from '../fixtures/toy-network.ts';
import { entriesOf, toyNetworks } from '../fixtures/toy-networks.ts';
import { statementOf, statementOfStream } from '../fixtures/witnessed-network.ts';
import { toyMachine } from '../simulation/toy-machine.ts';

const open = toyNetworks();
const TRIAL_PPM = 1_000_000;
/** With chunks of 4, 8 and 16 tokens a stream has three passes. */
const ASKED = { temperature: 1, logit_bias: { 0: -100 }, max_tokens: 24, verification: 'witnessed; n=2' };

/** Of three members one writes, one is its witness, and the third is tried. */
const start = (options: ToyOptions = {}) =>
  open({ members: 3, ...options, limits: { scorerTrialPpm: TRIAL_PPM, ...options.limits } });

async function ask(network: ToyNetwork, from: number, count: number, stream = true): Promise<string[]> {
  const saved: string[] = [];
  for (let at = from; at < from + count; at++) {
    saved.push((await network.ask(`question ${at}`, { ...ASKED, seed: at, stream })).saved);
    await network.gateway.settled();
  }
  return saved;
}

type Trial = Extract<LogEntry, { type: 'trial' }>;
const trialsIn = (entries: readonly LogEntry[]): Trial[] =>
  entries.flatMap((entry) => (entry.type === 'trial' ? [entry] : []));

/** Puts the claimed token before all others where it is not the first: evidence that an accomplice has computed, and no look at what was claimed. */
function fine(item: TokenEvidence): TokenEvidence {
  const [[best, bestLogit]] = item.top as [readonly [number, number]];
  if (best === item.chosen) return item;
  const chosenLogit = bestLogit + 40 * LOGIT_SCALE;
  const others = item.top.filter(([id]) => id !== item.chosen).slice(0, item.top.length - 1);
  return { ...item, chosenLogit, top: [[item.chosen, chosenLogit] as const, ...others] };
}

/** @param looks whether it computes an order, by how many about the same answer it has had before */
function witness(looks: (before: number) => boolean): Engine {
  const honest = toyMachine();
  const seen = new Map<string, number>();
  return {
    info: honest.info,
    text: honest.text,
    generate: (request) => honest.generate(request),
    close: () => honest.close(),
    async score(request) {
      const answer = `${request.promptIds.join()} ${request.seed}`;
      const before = seen.get(answer) ?? 0;
      seen.set(answer, before + 1);
      const evidence = await honest.score(request);
      return looks(before) ? evidence : evidence.map(fine);
    },
  };
}

test.each<[string, (before: number) => boolean]>([
  ['says of everything that it is fine', () => false],
  ['computes the first pass of a stream and takes the later ones on trust', (before) => before === 0],
  ['takes the first pass on trust, and computes what follows', (before) => before > 0],
])('a witness that %s is soon in quarantine, and nobody else', async (_, looks) => {
  const network = await start({ engines: { p1: witness(looks) } });
  const lazy = signerOf('p1').address;
  const { registry } = network.gateway;
  // A third of the answers try it, a half of those hold an error, a third of which stands in the first pass: two of 160 is what one run in 5,000 misses.
  for (let from = 0; from < 160 && registry.excluded().length === 0; from += 4) await ask(network, from, 4);
  expect(registry.excluded().map(({ provider, reason }) => [provider, reason])).toEqual([
    [lazy, 'quarantine:lying-scorer'],
  ]);
  const wrong = trialsIn(await entriesOf(network)).filter(({ outcome }) => outcome === 'wrong');
  expect(wrong.length).toBeGreaterThan(1);
  for (const { provider, jackpotNano: prize } of wrong) expect([provider, prize]).toEqual([lazy, undefined]);
});

test('a witness that looks has the prize of every error that it was shown, and the opened key proves it', async () => {
  const network = await start();
  const saved = await ask(network, 0, 16);
  await network.gateway.epochs.begin(0);
  const entries = (await entriesOf(network)).map((entry) => zLogEntry.parse(entry));
  const trials = trialsIn(entries);
  expect(trials.map(({ outcome }) => outcome)).toEqual(Array(16).fill('right'));
  const paid = trials.filter(({ jackpotNano: prize }) => prize !== undefined);
  // One in 32,000 runs has none or sixteen.
  expect([paid.length > 0, paid.length < 16]).toEqual([true, true]);
  for (const { requestId, jackpotNano: prize } of paid) {
    const { request, outputIds, waves } = saved.map(statementOfStream).find((one) => one.requestId === requestId)!;
    const { inputNanoPerMtok } = waves[0]!.members[0]!.ticket;
    const costNano = scoreNano(BigInt(inputNanoPerMtok), { prompt: request.promptTokens, output: outputIds.length });
    expect(BigInt(prize!)).toBe(jackpotNano(costNano, TRIAL_PPM, { mode: 'witnessed', n: 2 }, null));
  }
  const root = toHex(merkleRoot(entries.map((entry) => leafHash(logEntryBytes(entry)))));
  const keys = testLogSigner(signerOf('gateway'));
  const log = { checkpoint: signCheckpoint(LOCAL_DOMAIN, keys, { size: entries.length, root }), entries };
  for (const response of saved) {
    const { items } = verifyResponse({ response, log, recover: recoverNative });
    expect(items.find(({ name }) => name === 'trials')).toMatchObject({ status: 'proved' });
  }
});

interface Order {
  readonly to: string;
  readonly init: RequestInit;
  readonly body: Record<string, unknown> & { readonly ticket: Record<string, unknown>; readonly outputIds: number[] };
}

function watched(orders: Order[]): NonNullable<ToyOptions['wrap']> {
  return (fetch: Fetch): Fetch =>
    async (url, init) => {
      const { hostname, pathname } = new URL(url);
      if (pathname === '/v1/scores' && hostname !== 'referee') {
        orders.push({ to: hostname, init: init!, body: JSON.parse(String(init?.body)) as Order['body'] });
      }
      return fetch(url, init);
    };
}

/** All of a message but what is random by itself, and the tokens. */
function formOf({ init, body: { outputIds: _, ticket, ...rest } }: Order): string {
  const { jobId, roundId, provider, jobHash, issuedAtMs, expiresAtMs, retainUntilMs, ...terms } = ticket;
  const random = [jobId, roundId, provider, jobHash, rest.signature].map((value) => String(value).length);
  const lasts = [Number(expiresAtMs) - Number(issuedAtMs), Number(retainUntilMs) - Number(issuedAtMs)];
  return JSON.stringify([[...new Headers(init.headers)].sort(), { ...rest, signature: null }, terms, random, lasts]);
}

/** By answer and witness: its orders as they came. @returns of every answer the real witness's, then those of the trial */
function seriesOf(orders: readonly Order[]): Order[][][] {
  const answers = grouped(orders, ({ body }) => String(body.ticket.requestHash));
  return answers.map((all) => grouped(all, ({ to }) => to));
}

function grouped(orders: readonly Order[], by: (order: Order) => string): Order[][] {
  const groups = new Map<string, Order[]>();
  for (const order of orders) groups.set(by(order), [...(groups.get(by(order)) ?? []), order]);
  return [...groups.values()];
}

test.each([
  ['a stream', true, [4, 12, 24]],
  ['a whole answer', false, [24]],
] as const)(
  'orders with a planted error come as a witness has them of %s: in form, number and length, and wrong in the last alone',
  async (_, stream, ends) => {
    const orders: Order[] = [];
    const network = await start({ wrap: watched(orders) });
    const saved = await ask(network, 0, 16, stream);
    const served = new Map(
      saved.map((text) => (stream ? statementOfStream(text) : statementOf(text))).map((one) => [one.requestHash, one]),
    );
    const answers = seriesOf(orders);
    expect(answers).toHaveLength(16);
    let planted = 0;
    for (const [real, tried, ...others] of answers) {
      expect(others).toEqual([]);
      const { outputIds } = served.get(real![0]!.body.ticket.requestHash as never)!;
      const lengths = (series: readonly Order[]) => series.map(({ body }) => body.outputIds.length);
      expect(lengths(real!)).toEqual([...ends]);
      expect(lengths(tried!)).toEqual(ends.slice(0, tried!.length));
      // To the byte but for what is random: nothing in it says that an answer has left, or whom it is about.
      expect(new Set([...real!, ...tried!].map(formOf)).size).toBe(1);
      const apart = tried!.map(({ body }) => body.outputIds.filter((id, at) => id !== outputIds[at]).length);
      const isPlanted = apart.at(-1) === 1;
      if (isPlanted) planted++;
      expect(apart).toEqual(tried!.map((__, at) => (isPlanted && at === tried!.length - 1 ? 1 : 0)));
      if (!isPlanted) expect(tried).toHaveLength(ends.length);
    }
    expect([planted > 0, planted < 16]).toEqual([true, true]);
  },
);

test('a later pass is ordered no sooner after the first than the real one was: chunks take time to be written', async () => {
  const clock = new HandClock();
  const honest = toyMachine();
  const slow: Engine = {
    ...{ info: honest.info, text: honest.text, score: (request) => honest.score(request), close: () => honest.close() },
    async *generate(request) {
      for await (const token of honest.generate(request)) {
        await clock.sleep(100, request.signal);
        yield token;
      }
    },
  };
  const orders: Order[] = [];
  const far = 3_600_000;
  const limits = {
    roundTimeoutMs: far,
    connectTimeoutMs: far,
    claimTimeoutMs: far,
    scoreTimeoutMs: far,
    sealLeastMs: far,
  };
  const times = { ...limits, requestMs: far, jobMs: far };
  const network = await start({
    clock,
    wrap: watched(orders),
    engines: { p0: slow, p1: slow, p2: slow },
    limits: times,
  });
  let compared = 0;
  // A pass that holds the error is the first in one of six: forty answers in a row all without a second pass are no chance.
  for (let at = 0; at < 40 && compared === 0; at++) {
    let isOver = false;
    const asked = ask(network, at, 1).finally(() => (isOver = true));
    while (!isOver) {
      // Time passes only where somebody waits for it, so that what is under way takes none.
      await untilHolds(() => isOver || clock.waiting((ms) => ms < 5_000) > 0);
      clock.pass(50);
    }
    await asked;
    const [real, tried] = seriesOf(orders.splice(0))[0]!.map((series) => {
      const sentMs = series.map(({ body }) => Number(body.ticket.issuedAtMs));
      return sentMs.map((ms) => ms - sentMs[0]!);
    });
    expect(real![1]).toBeGreaterThan(0);
    for (const [pass, ms] of tried!.entries()) expect(ms).toBeGreaterThanOrEqual(real![pass]!);
    if (tried!.length > 1) compared++;
  }
  expect(compared).toBe(1);
});
