/** Time as a queue of events: nothing waits, and the same seed gives the same order (DESIGN §3, "simulation"). */
import type { Clock } from '#protocol/env';

/** 14 November 2023, 22:13:20 UTC: any instant will do, as long as it is always the same one. */
export const START_MS = 1_700_000_000_000;
/**
 * Turns of the real event loop after which everything that is not waiting for virtual time has run: promises drain within
 * one turn, and streams of the platform defer to the next one at most once.
 */
const TURNS_TO_SETTLE = 2;

interface Sleeper {
  readonly atMs: number;
  readonly order: number;
  readonly wake: () => void;
}

/** Thrown when something is awaited that no event can bring any more: the simulation's deadlock. */
export class StalledError extends Error {
  override readonly name = 'StalledError';
}

export class VirtualClock implements Clock {
  #nowMs = START_MS;
  #order = 0;
  /** A binary heap by time, then by order of arrival. */
  readonly #heap: Sleeper[] = [];
  readonly #cancelled = new Set<Sleeper>();
  /** Events so far: two runs of one seed must agree on it. */
  events = 0;

  nowMs(): number {
    return this.#nowMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const onAbort = () => {
        this.#cancelled.add(sleeper);
        reject(signal!.reason);
      };
      const wake = () => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      };
      // Whole milliseconds, as every clock of the protocol counts.
      const sleeper = { atMs: this.#nowMs + Math.max(0, Math.ceil(ms)), order: this.#order++, wake };
      this.#push(sleeper);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** Lets time pass until `work` has settled. @throws {StalledError} where no event is left that could settle it */
  async run<T>(work: Promise<T>): Promise<T> {
    let over = false;
    const done = () => {
      over = true;
    };
    work.then(done, done);
    for (;;) {
      for (let turn = 0; turn < TURNS_TO_SETTLE && !over; turn++) await nextTurn();
      if (over) return work;
      if (!this.#step()) throw new StalledError('something waits for what can never happen');
    }
  }

  /** The next event; false where there is none. */
  #step(): boolean {
    for (let next = this.#pop(); next !== undefined; next = this.#pop()) {
      if (this.#cancelled.delete(next)) continue;
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      this.events++;
      next.wake();
      return true;
    }
    return false;
  }

  #push(sleeper: Sleeper): void {
    const heap = this.#heap;
    let at = heap.push(sleeper) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(heap[at]!, heap[parent]!)) return;
      [heap[at], heap[parent]] = [heap[parent]!, heap[at]!];
      at = parent;
    }
  }

  #pop(): Sleeper | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (top === undefined || last === undefined || heap.length === 0) return top;
    heap[0] = last;
    for (let at = 0; ; ) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      let least = at;
      if (left < heap.length && before(heap[left]!, heap[least]!)) least = left;
      if (right < heap.length && before(heap[right]!, heap[least]!)) least = right;
      if (least === at) return top;
      [heap[at], heap[least]] = [heap[least]!, heap[at]!];
      at = least;
    }
  }
}

function before(a: Sleeper, b: Sleeper): boolean {
  return a.atMs === b.atMs ? a.order < b.order : a.atMs < b.atMs;
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
