/** Lulls: nothing that may be late begins while a client waits, or in the instant between two of its requests (SPEC.md §8.1). */
import { expect, test } from 'vitest';
import { DueWork } from '../../gateway/audit/due-work.ts';
import { Lull, QUIET_MS } from '../../gateway/audit/lull.ts';
import { HandClock } from '../fixtures/hand-clock.ts';

/** An answer that goes on until it is ended. */
function answering(lull: Lull) {
  async function* answer() {
    yield 'begun';
    yield 'ended';
  }
  const running = lull.during(answer());
  return { begin: () => running.next(), end: () => running.return(undefined) };
}

const turns = async () => {
  for (let at = 0; at < 20; at++) await Promise.resolve();
};

function waitFor(lull: Lull, signal = new AbortController().signal) {
  const seen = { isOver: false };
  lull.next(signal).then(
    () => {
      seen.isOver = true;
    },
    () => undefined,
  );
  return seen;
}

test('before the first request there is one, during an answer there is none, and after it as soon as nobody has asked again', async () => {
  const clock = new HandClock();
  const lull = new Lull(clock);
  expect(lull.isNow).toBe(true);
  const [one, other] = [answering(lull), answering(lull)];
  await one.begin();
  await other.begin();
  const waited = waitFor(lull);
  clock.pass(1_000);
  await one.end();
  clock.pass(1_000);
  await turns();
  expect([lull.isNow, waited.isOver]).toEqual([false, false]);
  await other.end();
  await turns();
  clock.pass(QUIET_MS - 1);
  await turns();
  expect([lull.isNow, waited.isOver]).toEqual([false, false]);
  clock.pass(1);
  await turns();
  expect([lull.isNow, waited.isOver]).toEqual([true, true]);
});

test('a client that asks again and again leaves none, however short its pauses', async () => {
  const clock = new HandClock();
  const lull = new Lull(clock);
  const first = answering(lull);
  await first.begin();
  const waited = waitFor(lull);
  await first.end();
  for (let at = 0; at < 5; at++) {
    await turns();
    clock.pass(QUIET_MS - 1);
    const next = answering(lull);
    await next.begin();
    clock.pass(QUIET_MS + 1);
    await turns();
    expect(waited.isOver).toBe(false);
    await next.end();
  }
  await turns();
  clock.pass(QUIET_MS);
  await turns();
  expect(waited.isOver).toBe(true);
});

test('an answer that fails ends like any other, and whoever waits is let go by a stop', async () => {
  const clock = new HandClock();
  const lull = new Lull(clock);
  async function* failing(): AsyncGenerator<string> {
    yield 'begun';
    throw new Error('lost');
  }
  const running = lull.during(failing());
  await running.next();
  const stop = new AbortController();
  const stopped = lull.next(stop.signal);
  stop.abort(new Error('stopping'));
  await expect(stopped).rejects.toThrow('stopping');
  await expect(lull.next(stop.signal)).rejects.toThrow('stopping');
  await expect(running.next()).rejects.toThrow('lost');
  clock.pass(QUIET_MS);
  expect(lull.isNow).toBe(true);
});

test('work that may not begin is left, and said to be where nothing runs whose end asks again; what is begun is begun once', async () => {
  const background: Promise<void>[] = [];
  const ran: string[] = [];
  let isOpen = false;
  let end: () => void = () => undefined;
  const work = new DueWork<string>({
    runningMax: 2,
    keyOf: (row) => row,
    due: async () => ['a', 'b', 'late'].filter((row) => !ran.includes(row)),
    mayBegin: (row, running) => row === 'late' || (isOpen && running === 0),
    run: async (row) => {
      await new Promise<void>((resolve) => {
        end = resolve;
      });
      ran.push(row);
    },
    background: (piece) => background.push(piece),
  });
  expect([await work.begin(), background.length]).toEqual([false, 1]);
  isOpen = true;
  // Beside the late one nothing else begins, and waiting for a lull that is there already would be waiting for nothing.
  expect([await work.begin(), background.length]).toEqual([false, 1]);
  end();
  await Promise.all(background);
  isOpen = false;
  expect([await work.begin(), background.length]).toEqual([true, 1]);
  isOpen = true;
  expect([await work.begin(), background.length]).toEqual([false, 2]);
  end();
  await Promise.all(background);
  expect([await work.begin(), background.length]).toEqual([false, 3]);
  end();
  await Promise.all(background);
  expect(ran).toEqual(['late', 'a', 'b']);
});
