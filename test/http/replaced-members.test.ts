/** Members that are lost after their seals, with nobody of their wave left: others answer in a wave of their own (SPEC.md §6.5). */
import { afterEach, describe, expect, test } from 'vitest';
import { readRequest } from '#protocol/asked';
import { parseAttestation, type Statement } from '#protocol/attestation';
import { LOCAL_DOMAIN } from '#protocol/eip712';
import { verifyResponse } from '#protocol/verify';
import { checkAgreement } from '#protocol/verify-agreement';
import type { GatewayLimits } from '../../gateway/gateway-deps.ts';
import { clientAccount, earningsAccount } from '../../gateway/ledger/accounts.ts';
import { listDisputes } from '../../gateway/store/disputes-repo.ts';
import { jobsOfRequest } from '../../gateway/store/jobs-repo.ts';
import { balanceNano } from '../../gateway/store/ledger-repo.ts';
import type { Engine } from '../../provider/engine/engine.ts';
import { earlyStop } from '../fixtures/cheats-engine.ts';
import { API_KEY, booksOf, testLogSigner } from '../fixtures/network.ts';
import { signerOf, startToyNetwork, type ToyNetwork } from '../fixtures/toy-network.ts';
import { TOY_MODEL, toyMachine } from '../simulation/toy-machine.ts';

const SINGLE = { verification: 'single' };
const QUORUM = { verification: { mode: 'quorum', n: 3 } };
const MEMBERS = 6;

let network: ToyNetwork;
afterEach(async () => {
  await network.gateway.settled();
  expect(await booksOf(network.store)).toEqual([]);
  await network.stop();
});

interface Trouble {
  /** Orders from the first on whose streams break off. */
  readonly orders: number;
  /** Events that each of them still brings: a seal, an opening, … */
  readonly events: number;
}

/** The first events of a stream, after which the connection breaks. */
function cut(response: Response, events: number): Response {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  const encoder = new TextEncoder();
  let left = events;
  let text = '';
  const source = {
    async pull(controller: ReadableStreamDefaultController<Uint8Array>) {
      while (left > 0 && !text.includes('\n\n')) {
        const { value, done } = await reader.read();
        if (done) break;
        text += value;
      }
      const end = text.indexOf('\n\n') + 2;
      if (left-- === 0 || end === 1) {
        await reader.cancel();
        controller.error(new TypeError('terminated'));
        return;
      }
      controller.enqueue(encoder.encode(text.slice(0, end)));
      text = text.slice(end);
    },
    cancel: () => reader.cancel(),
  };
  // Nothing is read ahead: an error would take what waits with it.
  const body = new ReadableStream(source, { highWaterMark: 0 });
  return new Response(body, { status: response.status, headers: response.headers });
}

async function start(trouble: Trouble, engine?: (order: number) => Engine, limits: Partial<GatewayLimits> = {}) {
  let orders = 0;
  const engines = Object.fromEntries(
    Array.from({ length: MEMBERS }, (_, i): [string, Engine] => {
      const honest = toyMachine();
      const generate: Engine['generate'] = (request) => (engine?.(generated++) ?? honest).generate(request);
      return [`p${i}`, { ...honest, generate }];
    }),
  );
  let generated = 0;
  network = await startToyNetwork({
    members: MEMBERS,
    engines,
    limits,
    host: (_name, handle) => async (request) => {
      const isOrder = new URL(request.url).pathname === '/v1/jobs';
      const response = await handle(request);
      return isOrder && orders++ < trouble.orders ? cut(response, trouble.events) : response;
    },
  });
}

async function ask(fields: object) {
  const request = JSON.stringify({
    model: TOY_MODEL.id,
    max_tokens: 24,
    temperature: 0,
    logit_bias: { 0: -100 },
    messages: [{ role: 'user', content: 'Who is left?' }],
    ...fields,
  });
  const before = await fundsNano();
  const response = await network.call('/v1/chat/completions', {
    method: 'POST',
    headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' },
    body: request,
  });
  const saved = await response.text();
  await network.gateway.settled();
  return { status: response.status, saved, request, paidNano: before - (await fundsNano()) };
}

const fundsNano = () => network.store.read((handle) => balanceNano(handle, clientAccount('key-test')));

function statementOf(saved: string): Statement {
  const compact = /"attestation":"(v1\.[^"]+)"/.exec(saved)![1]!;
  return parseAttestation(compact)!.statement;
}

function failed({ saved, request }: { saved: string; request: string }): string[] {
  const { items } = verifyResponse({
    response: saved,
    asked: readRequest(request, TOY_MODEL.text, null),
    text: TOY_MODEL.text,
    modelDigest: TOY_MODEL.digest,
    trusted: {
      gatewayAddress: signerOf('gateway').address,
      domain: LOCAL_DOMAIN,
      logKeys: testLogSigner(signerOf('gateway')),
    },
  });
  return items.filter(({ status }) => status === 'failed').map(({ name, detail }) => `${name}: ${detail}`);
}

const tokensOf = (statement: Statement) => statement.outputIds;

/** What the same question brings, and costs, where nobody fails. */
async function undisturbed(fields: object) {
  await start({ orders: 0, events: 0 });
  const answer = await ask(fields);
  await network.stop();
  return { tokens: tokensOf(statementOf(answer.saved)), paidNano: answer.paidNano };
}

/** With 24 tokens in chunks of 4, 8, 16 a stream has three seals and openings and a claim. */
const MOMENTS: readonly (readonly [string, boolean, number])[] = [
  ['after its seal', false, 1],
  ['after its opening, without a claim', false, 2],
  ['after its first seal, in a stream', true, 1],
  ['after the first words of a stream were released', true, 2],
  ['in the middle of a stream', true, 3],
  ['after the last opening of a stream, without a claim', true, 6],
];

describe.each([
  ['single', SINGLE, 1],
  ['quorum', QUORUM, 3],
] as const)('in %s, where every member breaks off', (_mode, policy, seats) => {
  test.each(MOMENTS)(
    '%s, the next of the draw answer, and the client pays for them alone',
    async (_at, stream, events) => {
      const fields = { ...policy, stream };
      const usual = await undisturbed(fields);
      await start({ orders: seats, events });
      const answer = await ask(fields);
      expect(answer.status).toBe(200);
      expect(failed(answer)).toEqual([]);
      const statement = statementOf(answer.saved);
      expect(tokensOf(statement)).toEqual(usual.tokens);
      expect(statement.waves.map(({ members }) => members.map(({ standing }) => standing))).toEqual([
        Array(seats).fill('failed'),
        Array(seats).fill('counted'),
      ]);
      expect(new Set(statement.waves.map(({ roundId }) => roundId)).size).toBe(2);
      expect(statement.faults).toHaveLength(seats);
      expect(answer.paidNano).toBe(usual.paidNano);
      // What the lost ones had opened is paid to them by the reserve.
      const jobs = await network.store.read((handle) => jobsOfRequest(handle, statement.requestId));
      const lost = jobs.filter(({ standing }) => standing === 'failed');
      expect(lost).toHaveLength(seats);
      for (const { provider, outputTokens, earnedNano } of lost) {
        expect(outputTokens > 0).toBe(events > 1);
        expect(earnedNano > 0n).toBe(events > 1);
        expect(await network.store.read((handle) => balanceNano(handle, earningsAccount(provider)))).toBe(earnedNano);
      }
    },
  );

  test('and so do those who sit in for them, the client gets an error and pays nothing', async () => {
    await start({ orders: MEMBERS, events: 1 });
    const { status, saved, paidNano } = await ask(policy);
    expect(status).toBe(503);
    expect(saved).toContain('"code":"committee_unavailable"');
    expect(paidNano).toBe(0n);
  });
});

test('where the attestation has no room for a second wave, the lost one ends the request, free of charge', async () => {
  // A chunk a token: three seats that seal and open 2,800 take 3.3 of the 4 Mi characters.
  const limits = { streamChunks: [1] };
  const fields = { ...QUORUM, stream: true, logit_bias: {} };
  await start({ orders: 3, events: 1 }, undefined, limits);
  const refused = await ask({ ...fields, max_tokens: 2_800 });
  expect(refused.saved).toContain('"code":"committee_unavailable"');
  expect(refused.paidNano).toBe(0n);
  await network.stop();
  await start({ orders: 3, events: 1 }, undefined, limits);
  expect(statementOf((await ask({ ...fields, max_tokens: 8 })).saved).waves).toHaveLength(2);
});

describe('of a witnessed answer, a generator that breaks off', () => {
  const WITNESSED = { verification: { mode: 'witnessed', n: 3 } };

  test.each([false, true])(
    'before anybody has scored makes room for the next of the draw (stream: %s)',
    async (stream) => {
      const usual = await undisturbed({ ...WITNESSED, stream });
      await start({ orders: 1, events: 1 });
      const answer = await ask({ ...WITNESSED, stream });
      expect(answer.status).toBe(200);
      expect(failed(answer)).toEqual([]);
      const statement = statementOf(answer.saved);
      expect(statement.waves).toHaveLength(2);
      expect(tokensOf(statement)).toEqual(usual.tokens);
      expect(answer.paidNano).toBe(usual.paidNano);
    },
  );

  test('once witnesses have scored ends the stream with an error, free of charge: they were drawn after it', async () => {
    await start({ orders: 1, events: 3 });
    const { saved, paidNano } = await ask({ ...WITNESSED, stream: true });
    expect(saved).toContain('"code":"committee_unavailable"');
    expect(saved).not.toContain('[DONE]');
    expect(paidNano).toBe(0n);
  });
});

test('who sits in and says something else than what was streamed already ends the stream with an error, free of charge', async () => {
  await start({ orders: 1, events: 4 }, (order) => toyMachine(order === 0 ? {} : { salt: 'cheap' }));
  const { saved, paidNano } = await ask({ ...SINGLE, stream: true });
  expect(saved).toContain('"content":');
  expect(saved).toContain('"code":"inconclusive"');
  expect(saved).not.toContain('[DONE]');
  expect(paidNano).toBe(0n);
  // Two chunks were out; it is found out by its first one.
  const { requests, jobs } = await network.store.read(async ({ db, tables }) => {
    return { requests: await db.select().from(tables.requests), jobs: await db.select().from(tables.jobs) };
  });
  expect(requests).toHaveLength(1);
  expect(jobs.map(({ outputTokens }) => outputTokens).sort((a, b) => a - b)).toEqual([4, 12]);
});

test('a transcript that breaks the order makes room like silence, and its member is accused all the same', async () => {
  await start({ orders: 0, events: 0 }, (order) => (order === 0 ? earlyStop(toyMachine()) : toyMachine()));
  const answer = await ask(SINGLE);
  expect(answer.status).toBe(200);
  expect(failed(answer)).toEqual([]);
  const statement = statementOf(answer.saved);
  expect(statement.waves.map(({ members }) => members.map(({ standing }) => standing))).toEqual([
    ['rejected'],
    ['counted'],
  ]);
  const disputes = await network.store.read((handle) => listDisputes(handle, { limit: 10 }));
  const [accused] = statement.waves[0]!.members;
  expect(disputes.map(({ provider, ruling }) => [provider, ruling])).toEqual([[accused!.provider, 'upheld']]);
});

test('what a gateway could pass on from one wave to the next never counts together', async () => {
  await start({ orders: 0, events: 0 });
  const statement = statementOf((await ask(QUORUM)).saved);
  const opened = { problem: null, votes: new Map() };
  expect(checkAgreement(statement, opened).status).toBe('proved');
  const [wave] = statement.waves;
  const split = [wave!.members.slice(0, 1), wave!.members.slice(1)].map((members) => ({ ...wave!, members }));
  expect(checkAgreement({ ...statement, waves: split }, opened)).toMatchObject({
    status: 'failed',
    detail: 'seats of several waves stand behind the answer',
  });
});
