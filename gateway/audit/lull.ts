/** Moments in which no client waits for an answer: what may be late begins in them, and runs beside nobody (SPEC.md §8.1). */
import type { Clock } from '#protocol/env';

/** After the last answer: who asks one thing after the other from nearby has asked again by then. */
export const QUIET_MS = 10;

export class Lull {
  readonly #clock: Clock;
  #inFlight = 0;
  /** When nothing was in flight any more; requests that began since. */
  #sinceMs = Number.NEGATIVE_INFINITY;
  #begun = 0;
  readonly #onEmpty = new Set<() => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether it is one. */
  get isNow(): boolean {
    return this.#inFlight === 0 && this.#leftMs() <= 0;
  }

  /** The same answer; no moment until its end is a lull. */
  async *during<T>(answer: AsyncGenerator<T>): AsyncGenerator<T> {
    this.#inFlight++;
    this.#begun++;
    try {
      yield* answer;
    } finally {
      this.#inFlight--;
      if (this.#inFlight === 0) {
        this.#sinceMs = this.#clock.nowMs();
        for (const told of this.#onEmpty) told();
        this.#onEmpty.clear();
      }
    }
  }

  /** Resolves in the next one, or now. @throws what the signal is aborted for */
  async next(signal: AbortSignal): Promise<void> {
    while (!this.isNow) {
      if (this.#inFlight > 0) await this.#empty(signal);
      const before = this.#begun;
      await this.#clock.sleep(Math.max(0, this.#leftMs()), signal);
      // A clock that was set back would be waited for.
      if (this.#inFlight === 0 && this.#begun === before) return;
    }
  }

  #leftMs(): number {
    return this.#sinceMs + QUIET_MS - this.#clock.nowMs();
  }

  #empty(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#onEmpty.delete(told);
        reject(signal.reason);
      };
      const told = () => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      };
      this.#onEmpty.add(told);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }
}
