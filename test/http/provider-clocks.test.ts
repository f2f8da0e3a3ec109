/** Providers whose clocks are wrong, and providers that come and go, over real sockets (SPEC.md §6.3, §6.7). */
import { afterEach, describe, expect, test } from 'vitest';
import type { Clock } from '#protocol/env';
import { OPEN_MS, WINDOW_MIN } from '../../gateway/committee/breaker.ts';
import { CLOCK_SKEW_MS } from '../../provider/jobs/ticket.ts';
import { type FaultyNetwork, startFaultyNetwork } from '../fixtures/faulty-network.ts';
import { LIMITS } from '../fixtures/network.ts';

let network: FaultyNetwork | null = null;
afterEach(async () => {
  await network?.stop();
  network = null;
});

/** The bad member's clock is off by `offset.ms`. */
function startSkewed(seats: number, offset: { ms: number }) {
  const clockOf = (name: string, clock: Clock): Clock =>
    name === 'bad' ? { nowMs: () => clock.nowMs() + offset.ms, sleep: (ms, signal) => clock.sleep(ms, signal) } : clock;
  return startFaultyNetwork({ seats, honest: 4, hasReferee: true, clockOf });
}

async function skipsOf({ store }: FaultyNetwork): Promise<string[]> {
  const rows = await store.read((handle) => handle.db.select().from(handle.tables.logEntries));
  const entries = rows.map(({ entryJson }) => JSON.parse(entryJson) as { type: string; reason: string });
  return entries.filter(({ type }) => type === 'skip').map(({ reason }) => reason);
}

describe.each([1, 3])('of a request with %i seats', (seats) => {
  test.each([CLOCK_SKEW_MS, -CLOCK_SKEW_MS])(
    'a member whose clock is off by %i ms counts like any other',
    async (ms) => {
      network = await startSkewed(seats, { ms });
      const response = await network.ask();
      expect(await response.text()).toContain(seats === 1 ? '"verdict":"unverified"' : '"verdict":"agreed"');
      expect(network.members[0]!.orders()).toBe(1);
      expect(await skipsOf(network)).toEqual([]);
    },
  );

  test.each([
    ['behind by more than the tolerance', -CLOCK_SKEW_MS - 1, 'refused:invalid_ticket'],
    ['ahead by more than a ticket lives', LIMITS.requestMs + CLOCK_SKEW_MS + 1, 'refused:ticket_expired'],
  ])('a member whose clock falls %s is passed over by its own signed word', async (_, ms, reason) => {
    const offset = { ms: 0 };
    network = await startSkewed(seats, offset);
    offset.ms = ms;
    const response = await network.ask({ stream: true });
    expect(await response.text()).toContain('data: [DONE]');
    expect(await skipsOf(network)).toEqual([reason]);
    expect((await network.charged())[0]).toBeGreaterThan(0n);
    // It said so in good form: that opens no breaker.
    const { address } = network.gateway.registry.members().find(({ url }) => url === network!.members[0]!.url)!;
    expect(network.gateway.breakers.view(address)).toMatchObject({ state: 'closed', opens: 0 });
  });
});

test('a provider whose manifest comes from the future is not admitted', async () => {
  const starting = startSkewed(1, { ms: CLOCK_SKEW_MS + 1 });
  await expect(starting).rejects.toThrow('not admitted');
});

test('a member that is there and gone in turn is left alone once, probed, and taken back; the registry stays as it is', async () => {
  let flaps = true;
  network = await startFaultyNetwork({
    seats: 3,
    honest: 4,
    hasReferee: true,
    faultOf: (order) => (flaps && order % 2 === 0 ? (response) => void response.destroy() : null),
  });
  const { gateway, ask, clock, members } = network;
  const [bad] = members as [(typeof members)[number]];
  const registry = () => gateway.registry.members().map(({ url, manifestHash }) => ({ url, manifestHash }));
  const before = registry();
  const { address } = gateway.registry.members().find(({ url }) => url === bad.url)!;
  const view = () => gateway.breakers.view(address);
  const answered = async () => expect(await (await ask()).text()).toContain('"verdict":"agreed"');
  // Never two failures in a row; the share opens it at the first failure from the tenth outcome on.
  for (let order = 0; order <= WINDOW_MIN; order++) {
    expect(view().state).toBe('closed');
    await answered();
  }
  await gateway.settled();
  expect(view()).toMatchObject({ state: 'open', opens: 1, log_index: expect.any(Number) });
  const orders = bad.orders();
  await answered();
  expect(bad.orders()).toBe(orders);
  flaps = false;
  clock.pass(OPEN_MS - 1);
  await gateway.tick();
  expect(view().state).toBe('open');
  clock.pass(1);
  await gateway.tick();
  expect(view().state).toBe('half_open');
  await answered();
  expect(bad.orders()).toBe(orders + 1);
  expect(view()).toMatchObject({ state: 'closed', opens: 1 });
  expect(registry()).toEqual(before);
  expect((await skipsOf(network)).filter((reason) => reason === 'breaker:open')).toHaveLength(1);
});
