/** One drawn member fails over a real socket in every way that one can; the client gets its answer all the same (DESIGN §13). */
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { getRequestListener } from '@hono/node-server';
import { afterEach, describe, expect, test } from 'vitest';
import type { Gateway } from '../../gateway/gateway.ts';
import type { Provider } from '../../provider/app.ts';
import { HandClock, untilHolds } from '../fixtures/hand-clock.ts';
import {
  API_KEY,
  booksOf,
  LIMITS,
  makeProvider,
  RESERVE_NANO,
  startGateway,
  temporaryStore,
} from '../fixtures/network.ts';
import { FastKeys } from '../simulation/fast-signer.ts';
import { SeededRng } from '../simulation/seeded-rng.ts';
import { TOY_MODEL, toyMachine } from '../simulation/toy-machine.ts';

type Fault = (response: ServerResponse) => void;

const EVENTS = { 'content-type': 'text/event-stream' };
/** Ends by itself: no clock is needed. */
const FAULTS: Readonly<Record<string, Fault>> = {
  'closes the connection': (response) => response.destroy(),
  'answers 500': (response) => response.writeHead(500).end('oops'),
  'points elsewhere': (response) => response.writeHead(307, { location: 'http://127.0.0.1:9/' }).end(),
  'sends another type': (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'),
  'sends no events': (response) => response.writeHead(200, EVENTS).end('event: commitment\ndata: {]\n\n'),
  'sends an endless line': (response) => {
    response.writeHead(200, EVENTS);
    const more = () => {
      while (!response.destroyed && response.write('x'.repeat(4096)));
    };
    response.on('drain', more);
    more();
  },
  'sends a bomb': (response) =>
    response.writeHead(200, { ...EVENTS, 'content-encoding': 'gzip' }).end(gzipSync(Buffer.alloc(1 << 24))),
  'breaks off': (response) => {
    response.writeHead(200, EVENTS);
    response.write('event: commitment\nda', () => response.destroy());
  },
};

const closers: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function startNetwork(fault: Fault, honest: number, hasReferee: boolean) {
  const clock = new HandClock();
  const keys = new FastKeys();
  const rng = new SeededRng('failing');
  const world = { clock, recover: keys.recover, rng: (name: string) => rng.branch(name) };
  const signer = keys.signer('gateway');
  const plug = async (name: string, broken: Fault | null) => {
    const { digest, id: modelId } = TOY_MODEL;
    const role = name === 'referee' ? ('referee' as const) : ('member' as const);
    const parts = { name, role, signer: keys.signer(name), gateway: signer.address, digest, modelId };
    const provider: Provider = makeProvider({ ...world, ...parts, engine: toyMachine() });
    const pass = getRequestListener(provider.app.fetch);
    const server: Server = createServer((request, response) => {
      if (broken && request.url === '/v1/jobs') request.resume().once('end', () => broken(response));
      else void pass(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closers.push(() => {
      provider.close();
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    });
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, role };
  };
  const bad = await plug('bad', fault);
  const good = await Promise.all(Array.from({ length: honest }, (_, i) => plug(`good-${i}`, null)));
  const referees = hasReferee ? [await plug('referee', null)] : [];
  const { store, remove } = await temporaryStore();
  closers.push(remove);
  const fetchAll = (url: string, init: RequestInit) => fetch(url, init);
  const gateway: Gateway = await startGateway(
    { ...world, store, signer, model: TOY_MODEL, fetch: fetchAll, limits: LIMITS },
    [bad, ...good.slice(0, 2)],
  );
  // With next to no stake they are drawn after the others: the bad one always has a seat.
  await gateway.admit([...good.slice(2), ...referees], { reserveNano: RESERVE_NANO, stakeNano: 1n });
  closers.push(() => gateway.stop());
  const ask = (stream: boolean) =>
    gateway.app.fetch(
      new Request('http://gateway/v1/chat/completions', {
        method: 'POST',
        headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'toy', stream, max_tokens: 8, messages: [{ role: 'user', content: 'Well?' }] }),
      }),
    );
  return { clock, store, ask };
}

describe.each(Object.keys(FAULTS))('a member that %s', (name) => {
  test.each([false, true])('costs the client nothing but time where others live (stream: %s)', async (stream) => {
    const { store, ask } = await startNetwork(FAULTS[name]!, 4, true);
    const response = await ask(stream);
    const text = await response.text();
    expect(response.status).toBe(200);
    expect(text).toContain(stream ? 'data: [DONE]' : '"verdict":"agreed"');
    expect(await booksOf(store)).toEqual([]);
  });

  test('leaves a clear error, and nothing charged, where too few others live', async () => {
    const { store, ask } = await startNetwork(FAULTS[name]!, 2, false);
    const response = await ask(false);
    expect(response.status).toBeGreaterThanOrEqual(502);
    expect(await response.json()).toMatchObject({
      error: { code: expect.stringMatching(/committee_unavailable|inconclusive/) },
    });
    const charged = await store.read(async (handle) => handle.db.select().from(handle.tables.requests));
    expect(charged.map(({ chargedNano }) => chargedNano)).toEqual([0n]);
    expect(await booksOf(store)).toEqual([]);
  });
});

test('a member that takes its order and never answers is passed over at its deadline, and not before', async () => {
  let hanging = 0;
  const { clock, store, ask } = await startNetwork(() => hanging++, 4, true);
  const asking = Promise.resolve(ask(false));
  // Only the one that hangs is still waited for.
  const isLast = () => clock.waiting((ms) => ms === LIMITS.connectTimeoutMs) === 1;
  await untilHolds(() => hanging === 1 && isLast());
  clock.pass(LIMITS.connectTimeoutMs);
  const response = await asking;
  expect(await response.text()).toContain('"verdict":"agreed"');
  expect(await booksOf(store)).toEqual([]);
});
