/** Audits by whole answers run on machines that have time for them, and look like a client's job there (SPEC.md §5.7, §8.1). */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { LogEntry } from '#protocol/log';
import { hasIdleRoom } from '../../gateway/audit/idle-room.ts';
import type { Fetch } from '../../gateway/round/provider-client.ts';
import type { Handle, Store } from '../../gateway/store/handle.ts';
import { MortalStore } from '../fixtures/mortal-store.ts';
import { clock, signerOf, type ToyNetwork, type ToyOptions } from '../fixtures/toy-network.ts';
import { entriesOf, toyNetworks } from '../fixtures/toy-networks.ts';

const open = toyNetworks();
const AUDITS = { ratePpm: 1_000_000, regeneratePpm: 1_000_000, delayMs: 0, withinMs: 3_600_000 };
const ASKED = { temperature: 1, logit_bias: { 0: -100 }, max_tokens: 16, verification: 'audited' };

interface Order {
  readonly to: string;
  readonly form: string;
}

/** Counts orders to generate, and writes down what of them is no random value. */
function watched(orders: Order[]): NonNullable<ToyOptions['wrap']> {
  return (fetch: Fetch): Fetch =>
    async (url, init) => {
      const { hostname, pathname } = new URL(url);
      if (pathname === '/v1/jobs') {
        const body = JSON.parse(String(init?.body)) as Record<string, unknown> & { ticket: Record<string, unknown> };
        const { ticket } = body;
        const form = [
          Object.keys(body),
          Object.keys(ticket),
          [...new Headers(init?.headers).keys()].sort(),
          [body.chunkSizes, ticket.kind],
          Number(ticket.expiresAtMs) - Number(ticket.issuedAtMs),
          Number(ticket.retainUntilMs) - Number(ticket.issuedAtMs),
          String(init?.body).length - String(body.seed).length,
        ];
        orders.push({ to: hostname, form: JSON.stringify(form) });
      }
      return fetch(url, init);
    };
}

const auditsIn = (entries: readonly LogEntry[]) =>
  entries.flatMap((entry) => (entry.type === 'audited' ? [entry] : []));

async function start(orders: Order[], audits: Partial<typeof AUDITS> = {}): Promise<ToyNetwork> {
  return open({ members: 4, wrap: watched(orders), limits: { audits: { ...AUDITS, ...audits } } });
}

/** Every member is at as many jobs as this; the returned function ends them. */
function occupy(network: ToyNetwork, jobs: number): () => void {
  const reports = network.members.flatMap(({ address }) =>
    Array.from({ length: jobs }, () => network.gateway.breakers.sent(address)),
  );
  return () => {
    for (const report of reports) report.dropped();
  };
}

async function retry(network: ToyNetwork): Promise<void> {
  await network.store.withTx(async (tx) => void (await tx.db.update(tx.tables.audits).set({ dueAtMs: 0 })));
  await network.gateway.tick();
  await network.gateway.settled();
}

test('a provider at work is not asked for one: its turn waits, and comes when there is room', async () => {
  const orders: Order[] = [];
  const network = await start(orders);
  const concurrency = network.gateway.registry.concurrencyOf(signerOf('p0').address);
  const free = occupy(network, concurrency - 2);
  await network.ask('hello', ASKED);
  await network.gateway.settled();
  expect([orders.length, auditsIn(await entriesOf(network))]).toEqual([1, []]);
  await retry(network);
  expect(orders).toHaveLength(1);
  free();
  await retry(network);
  const [audit] = auditsIn(await entriesOf(network));
  expect([orders.length, audit!.outcome, audit!.skipped]).toEqual([2, 'held', []]);
  // Who was waited for is who was drawn first: nobody was passed over for being busy.
  expect((await entriesOf(network)).filter(({ type }) => type === 'skip')).toEqual([]);
  for (const { address } of network.members) expect(network.gateway.breakers.runningAt(address)).toBe(0);
});

test('what has no time left is asked for all the same', async () => {
  const orders: Order[] = [];
  const network = await start(orders, { withinMs: 0 });
  const free = occupy(network, 100);
  await network.ask('hello', ASKED);
  await network.gateway.settled();
  free();
  expect(auditsIn(await entriesOf(network)).map(({ outcome }) => outcome)).toEqual(['held']);
});

test.each([
  ['whole', false],
  ['in chunks', true],
] as const)(
  'an order of an audit is made like the one of the client, %s: same members, chunks, lifetimes and size',
  async (_, stream) => {
    const orders: Order[] = [];
    const network = await start(orders);
    for (let at = 0; at < 4; at++) {
      await network.ask(`question ${at}`, { ...ASKED, seed: 7, stream });
      await network.gateway.settled();
    }
    expect(orders).toHaveLength(8);
    expect(new Set(orders.map(({ form }) => form)).size).toBe(1);
  },
);

test('room is what stays free for clients beside it: an eighth of the places, never of a single one', () => {
  expect([0, 1].map((running) => hasIdleRoom(running, 1))).toEqual([true, false]);
  expect([0, 1, 2].map((running) => hasIdleRoom(running, 2))).toEqual([true, false, false]);
  expect([12, 13, 14, 15].map((running) => hasIdleRoom(running, 16))).toEqual([true, true, false, false]);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1000 }), fc.integer({ min: 0, max: 1000 }), (concurrency, running) => {
      if (!hasIdleRoom(running, concurrency)) return;
      const left = concurrency - running - 1;
      expect(left).toBeGreaterThanOrEqual(concurrency < 2 ? 0 : concurrency / 8);
      expect(hasIdleRoom(Math.max(0, running - 1), concurrency)).toBe(true);
    }),
  );
});

/** Keeps the next order, to generate or of another kind, back until it is let go. */
function gate(kind = '/v1/jobs') {
  const held = { isOn: false, sent: () => {}, release: () => {} };
  const sent = new Promise<void>((resolve) => (held.sent = resolve));
  const released = new Promise<void>((resolve) => (held.release = resolve));
  const wrap: NonNullable<ToyOptions['wrap']> =
    (fetch: Fetch): Fetch =>
    async (url, init) => {
      if (held.isOn && new URL(url).pathname === kind) {
        held.isOn = false;
        held.sent();
        await released;
      }
      return fetch(url, init);
    };
  return { held, sent, wrap };
}

/** One answer whose audit is due while another client still waits for its own; `whileWaiting` runs meanwhile. */
async function besideAClient(patienceMs: number, whileWaiting: (network: ToyNetwork) => Promise<void>) {
  const { held, sent, wrap } = gate();
  const audits = { ...AUDITS, regeneratePpm: 0, patienceMs };
  const network = await open({ members: 4, wrap, limits: { audits } });
  held.isOn = true;
  const waiting = network.ask('a long one', ASKED);
  await sent;
  await network.ask('a short one', ASKED);
  await network.gateway.tick();
  await whileWaiting(network);
  held.release();
  await waiting;
  await network.gateway.settled();
  return network;
}

test('a due audit begins when no client waits any more, and needs no timer for it', async () => {
  const network = await besideAClient(3_600_000, async (running) => {
    // Not begun: nothing of it was ordered, and nothing was logged.
    const jobs = await running.store.read((handle) => handle.db.select().from(handle.tables.auditJobs));
    expect([jobs, auditsIn(await entriesOf(running))]).toEqual([[], []]);
  });
  expect(auditsIn(await entriesOf(network)).map(({ outcome }) => outcome)).toEqual(['held', 'held']);
});

test('a due audit runs beside clients once it has waited for as long as it may', async () => {
  await besideAClient(0, async (running) => {
    await running.gateway.settled();
    expect(auditsIn(await entriesOf(running)).map(({ outcome }) => outcome)).toEqual(['held']);
  });
});

test('no wait is longer than the time in which the audit was promised', async () => {
  const { held, sent, wrap } = gate();
  const audits = { ...AUDITS, regeneratePpm: 0, patienceMs: 3_600_000, withinMs: 0 };
  const network = await open({ members: 4, wrap, limits: { audits } });
  held.isOn = true;
  const waiting = network.ask('a long one', ASKED);
  await sent;
  await network.ask('a short one', ASKED);
  await network.gateway.settled();
  expect(auditsIn(await entriesOf(network))).toHaveLength(1);
  held.release();
  await waiting;
  await network.gateway.settled();
  expect(auditsIn(await entriesOf(network))).toHaveLength(2);
});

/** Without an end of its reads, a gateway that looks again and again would let nothing else run in this process either. */
class CountedStore extends MortalStore {
  left = Number.POSITIVE_INFINITY;

  override async read<T>(fn: (handle: Handle) => Promise<T>): Promise<T> {
    if (this.left-- <= 0) throw new Error('read without an end');
    return super.read(fn);
  }
}

test('while an audit runs and nobody asks, what is due beside it is not looked for again and again', async () => {
  const { held, sent, wrap } = gate('/v1/scores');
  const stores: CountedStore[] = [];
  const through = (store: Store): Store => {
    stores.push(new CountedStore(store));
    return stores.at(-1)!;
  };
  const audits = { ...AUDITS, regeneratePpm: 0, delayMs: 3_600_000, patienceMs: 3_600_000 };
  const network = await open({ members: 4, wrap, through, limits: { audits } });
  const waiting = () =>
    network.store.read(async (handle) => {
      const rows = await handle.db.select().from(handle.tables.audits);
      return rows.filter(({ logIndex }) => logIndex === null).length;
    });
  // Every other audit is drawn to begin at once: two that wait are what this is about.
  let asked = 0;
  for (; (await waiting()) < 2; asked++) {
    await network.ask('hello', { ...ASKED, seed: asked });
    await network.gateway.settled();
  }
  await network.store.withTx(async (tx) => void (await tx.db.update(tx.tables.audits).set({ dueAtMs: clock.nowMs() })));
  held.isOn = true;
  const reads = stores[0]!;
  reads.left = 1_000;
  const begun = network.gateway.tick();
  await sent;
  await new Promise((resolve) => setImmediate(resolve));
  expect(reads.left).toBeGreaterThan(800);
  reads.left = Number.POSITIVE_INFINITY;
  held.release();
  await begun;
  await network.gateway.settled();
  expect(auditsIn(await entriesOf(network)).map(({ outcome }) => outcome)).toEqual(Array(asked).fill('held'));
});
