/** A Clock over whatever time and timers the composition root hands in. */
import type { Clock } from './env.ts';

/** The three things that a clock is made of. */
export interface ClockSource {
  now(): number;
  /** Calls back after `ms` milliseconds; the returned function cancels. */
  after(ms: number, callback: () => void): () => void;
}

/** Longest delay of setTimeout: a signed 32-bit count of milliseconds, about 24.8 days. */
const TIMER_MAX_MS = 2 ** 31 - 1;

export function createClock(source: ClockSource): Clock {
  return {
    nowMs: () => source.now(),
    after: (ms, callback) => source.after(Math.min(ms, TIMER_MAX_MS), callback),
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) {
          reject(signal.reason);
          return;
        }
        const onAbort = () => {
          cancel();
          reject(signal?.reason);
        };
        const cancel = source.after(Math.min(ms, TIMER_MAX_MS), () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        });
        signal?.addEventListener('abort', onAbort, { once: true });
      }),
  };
}
