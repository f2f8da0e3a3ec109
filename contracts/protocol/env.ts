/** What pure code receives instead of reaching for it: time and randomness (SPEC.md §1). */

/** A source of time. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  nowMs(): number;
  /** Resolves after `ms` milliseconds, or rejects with the signal's reason when it aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls back after `ms` milliseconds unless cancelled by what it returns; cheaper than a sleep that is mostly aborted. */
  after?(ms: number, callback: () => void): () => void;
}

/** A sleep that was cancelled. A reason that exists spares making a DOMException with its stack, which costs more than the timer. */
const CANCELLED = new Error('the timer was cancelled');

/** `clock.after`, also on clocks that only sleep. @returns cancels */
export function after(clock: Clock, ms: number, callback: () => void): () => void {
  if (clock.after) return clock.after(ms, callback);
  const timer = new AbortController();
  clock.sleep(ms, timer.signal).then(callback, () => undefined);
  return () => timer.abort(CANCELLED);
}

/** A source of randomness; cryptographic in servers, seeded in the simulation. */
export interface Rng {
  /** `length` fresh random bytes. */
  bytes(length: number): Uint8Array;
}
