/** The breakers of all providers: one word a job, and no draw passes anybody over before the log holds the reason (SPEC.md §6.7). */
import { expect, test } from 'vitest';
import { CONSECUTIVE_MAX, OPEN_MS } from '../../gateway/committee/breaker.ts';
import { BREAKER_OPEN, Breakers } from '../../gateway/committee/breakers.ts';
import type { Store } from '../../gateway/store/handle.ts';
import { HandClock } from '../fixtures/hand-clock.ts';

const PROVIDER = `0x${'11'.repeat(20)}` as const;

/** Breakers whose log entries become durable when `write` is called. */
function make() {
  const clock = new HandClock();
  const writes: (() => void)[] = [];
  const background: Promise<void>[] = [];
  let entries = 0;
  const store = {
    withTx: async (work: (tx: never) => Promise<number>) => {
      const index = await work(undefined as never);
      await new Promise<void>((resolve) => writes.push(resolve));
      return index;
    },
  } as unknown as Store;
  const log = { append: async () => entries++ };
  const breakers = new Breakers({ store, log, clock, background: (work) => void background.push(work) });
  const fail = (jobs = CONSECUTIVE_MAX) => {
    for (let job = 0; job < jobs; job++) breakers.sent(PROVIDER).failed();
  };
  const write = async () => {
    // The entry is made on later turns than the failure.
    while (writes.length === 0) await new Promise((resolve) => setImmediate(resolve));
    for (const resolve of writes.splice(0)) resolve();
    await Promise.all(background);
  };
  return { breakers, clock, fail, write };
}

test('a job says one thing, however often it is told', () => {
  const { breakers } = make();
  const report = breakers.sent(PROVIDER);
  for (let times = 0; times < CONSECUTIVE_MAX; times++) report.failed();
  expect(breakers.view(PROVIDER).state).toBe('closed');
});

test('nobody is passed over before the opening is durable, nor for an opening of before', async () => {
  const { breakers, clock, fail, write } = make();
  fail();
  expect(breakers.view(PROVIDER).state).toBe('open');
  expect(breakers.skips()).toEqual([]);
  await write();
  const first = [{ provider: PROVIDER, reason: BREAKER_OPEN, logIndex: 0 }];
  expect(breakers.skips()).toEqual(first);
  clock.pass(OPEN_MS);
  expect(breakers.skips()).toEqual([]);
  // While one job tries it, the others still rest on the first entry; once it fails, on none until there is a new one.
  const probe = breakers.sent(PROVIDER);
  expect(breakers.skips()).toEqual(first);
  clock.pass(1);
  probe.failed();
  expect(breakers.skips()).toEqual([]);
  await write();
  expect(breakers.skips()).toEqual([{ provider: PROVIDER, reason: BREAKER_OPEN, logIndex: 1 }]);
});
