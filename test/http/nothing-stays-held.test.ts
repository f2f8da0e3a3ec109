/** However a request is given up, by whom and at which moment: what it held goes back, and nothing of it goes on (DESIGN §11, §13). */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Engine } from '../../provider/engine/engine.ts';
import { type Fault, type FaultyNetwork, type FaultyOptions, startFaultyNetwork } from '../fixtures/faulty-network.ts';
import { untilHolds } from '../fixtures/hand-clock.ts';
import { LIMITS } from '../fixtures/network.ts';
import { WatchedStore } from '../fixtures/watched-store.ts';
import { toyMachine } from '../simulation/toy-machine.ts';

let network: FaultyNetwork | null = null;
let store: WatchedStore;
beforeEach(() => {
  network = null;
});
afterEach(() => network?.stop());

async function start(options: Partial<FaultyOptions> = {}): Promise<FaultyNetwork> {
  network = await startFaultyNetwork({
    seats: 3,
    honest: 4,
    hasReferee: true,
    wrapStore: (inner) => {
      store = new WatchedStore(inner);
      return store;
    },
    ...options,
  });
  return network;
}

const streams = () => network!.members.reduce((sum, member) => sum + member.streams(), 0);

/** How the only request ended. */
async function ending() {
  const rows = await network!.store.read((handle) => handle.db.select().from(handle.tables.requests));
  return rows.map(({ state, errorCode, verdict }) => ({ state, errorCode, verdict }))[0];
}

/** One look each turn of the event loop: a request that never ends must not keep the test from ending. */
async function untilEnded(): Promise<void> {
  while (!['failed', 'settled'].includes((await ending())?.state ?? ''))
    await new Promise((resolve) => setImmediate(resolve));
}

test.each([false, true])('a client that leaves while its request is being accepted (stream: %s)', async (stream) => {
  const { ask, gateway, charged } = await start();
  const leaving = new AbortController();
  store.onDone = (result) => {
    if ((result as { outcome?: string } | undefined)?.outcome === 'accepted') leaving.abort();
  };
  const response = await ask({ stream, signal: leaving.signal });
  expect(response.status).toBe(499);
  await untilEnded();
  expect(await ending()).toEqual({ state: 'failed', errorCode: 'client_closed', verdict: 'disconnected' });
  expect(await charged()).toEqual([0n]);
  // It is not waited for when the gateway stops.
  expect(await gateway.drain(0)).toBe(true);
});

test('a request whose end could not be recorded is ended as soon as there is room again, and is charged nothing', async () => {
  let isFull = false;
  const { ask, gateway, charged, clock } = await start({
    seats: 1,
    honest: 0,
    faultOf: () => (response) => {
      isFull = true;
      response.destroy();
    },
  });
  store.refuses = () => isFull;
  const response = await ask();
  expect(response.status).toBe(503);
  expect(await response.text()).toContain('"code":"storage_unavailable"');
  expect(await ending()).toMatchObject({ state: 'running' });
  // Still full when it is tried again.
  await untilHolds(() => clock.waiting((ms) => ms === 1_000) > 0);
  clock.pass(1_000);
  await untilHolds(() => clock.waiting((ms) => ms === 2_000) > 0);
  isFull = false;
  clock.pass(2_000);
  await gateway.settled();
  expect(await ending()).toMatchObject({ state: 'failed' });
  expect(await charged()).toEqual([0n]);
});

test('work whose record failed once is written down with the end of its request, and paid', async () => {
  const { ask, charged } = await start({ seats: 1, honest: 0 });
  let isRefused = false;
  // What members have sealed and opened is written with the settlement, where nothing of it is released before.
  store.refuses = (result) => {
    const isIt = !isRefused && typeof result === 'object' && result !== null && 'statement' in result;
    isRefused ||= isIt;
    return isIt;
  };
  expect((await ask()).status).toBe(503);
  expect(await charged()).toEqual([0n]);
  const jobs = await network!.store.read((handle) => handle.db.select().from(handle.tables.jobs));
  expect(jobs).toMatchObject([{ outputTokens: 8, standing: 'counted' }]);
  expect(jobs[0]!.earnedNano).toBeGreaterThan(0n);
});

test('members that were seated while another one failed in a way that is ours are let go', async () => {
  const isSkip = (result: unknown) => typeof result === 'number';
  const { ask } = await start({
    // Only once the other two are connected: then they are in nobody's list yet.
    faultOf: () => async (response) => {
      await untilHolds(() => streams() === 3);
      await new Promise((resolve) => setImmediate(resolve));
      response.writeHead(500).end();
    },
  });
  store.refuses = isSkip;
  const response = await ask();
  expect(response.status).toBe(503);
  await untilHolds(() => streams() === 0);
  expect(await network!.charged()).toEqual([0n]);
});

test('a witness that could not be heard to its end gives back what was set aside for it', async () => {
  const silent: Fault = (response) => response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
  const { ask, passUntil, gateway, charged } = await start({ faultOf: (order) => (order === 0 ? silent : null) });
  let refused = 0;
  // The root of the round in which it is heard: the answer was one chunk, and one round.
  store.refuses = async (_, { db, tables }) => (await db.select().from(tables.rounds)).length > 1 && refused++ === 0;
  expect((await passUntil(ask(), 1_000)).status).toBe(200);
  await passUntil(gateway.settled(), 1_000);
  expect(refused).toBeGreaterThan(0);
  const accounts = await network!.store.read((handle) => handle.db.select().from(handle.tables.accounts));
  expect(accounts.filter(({ kind, balanceNano }) => kind === 'cover' && balanceNano !== 0n)).toEqual([]);
  expect((await charged())[0]).toBeGreaterThan(0n);
});

/** Long enough that a client that reads nothing holds the stream up. */
const MAX_TOKENS = 200;

test('a client that stops reading is one that has left: at the deadline its request ends, and it pays for what was opened', async () => {
  const { ask, clock, gateway, charged } = await start({ seats: 1, honest: 0 });
  const response = await ask({ stream: true, maxTokens: MAX_TOKENS });
  const reader = response.body!.getReader();
  await reader.read();
  await untilHolds(() => streams() === 1);
  for (let turns = 0; turns < 200; turns++) await new Promise((resolve) => setImmediate(resolve));
  expect(await ending()).toMatchObject({ state: 'running' });
  clock.pass(LIMITS.requestMs);
  await gateway.settled();
  await untilEnded();
  expect(await ending()).toEqual({ state: 'failed', errorCode: 'client_closed', verdict: 'disconnected' });
  await untilHolds(() => streams() === 0);
  const [paid] = await charged();
  expect(paid).toBeGreaterThan(0n);
  // What it reads afterwards ends in an error.
  let text = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    text += new TextDecoder().decode(value);
  }
  expect(text).toContain('"code":"client_closed"');
  expect(text).not.toContain('[DONE]');
});

test('an answer that is sealed at the very deadline is sealed, or refused, and never both', async () => {
  const engineOf = (): Engine => toyMachine();
  const { ask, clock, gateway, charged } = await start({ engineOf });
  store.onDone = (result) => {
    if (typeof result === 'object' && result !== null && 'statement' in result) clock.pass(LIMITS.requestMs);
  };
  const response = await ask();
  expect(response.status).toBe(200);
  await gateway.settled();
  expect(await ending()).toMatchObject({ state: 'settled' });
  expect((await charged())[0]).toBeGreaterThan(0n);
});
