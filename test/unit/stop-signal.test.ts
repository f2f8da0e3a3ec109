/** Signals that end a process: one wish, or two (DESIGN §13). */
import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import { stopSignal } from '#protocol/stop-signal';
import { HandClock } from '../fixtures/hand-clock.ts';

/** Sends signals, each so many milliseconds after the one before. @returns what was understood */
async function send(...signals: readonly [signal: string, afterMs: number][]) {
  const clock = new HandClock();
  const source = new EventEmitter();
  const { first, second } = stopSignal(clock, source);
  for (const [signal, afterMs] of signals) {
    clock.pass(afterMs);
    source.emit(signal, signal);
  }
  const none = new Promise<null>((resolve) => setImmediate(() => resolve(null)));
  return Promise.all([Promise.race([first, none]), Promise.race([second, none])]);
}

test('a signal is the first wish, and the same one within a second is its echo', async () => {
  expect(await send()).toEqual([null, null]);
  expect(await send(['SIGTERM', 0])).toEqual(['SIGTERM', null]);
  expect(await send(['SIGINT', 0], ['SIGINT', 999])).toEqual(['SIGINT', null]);
});

test('the same signal a second later, or another one at once, does not wait', async () => {
  expect(await send(['SIGINT', 0], ['SIGINT', 1000])).toEqual(['SIGINT', 'SIGINT']);
  expect(await send(['SIGTERM', 0], ['SIGINT', 0])).toEqual(['SIGTERM', 'SIGINT']);
  expect(await send(['SIGINT', 0], ['SIGINT', 500], ['SIGINT', 500])).toEqual(['SIGINT', 'SIGINT']);
});
