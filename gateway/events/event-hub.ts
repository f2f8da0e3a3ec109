/** Who is waiting for events: woken when something has happened, and every second in case nobody said so. */
import type { Clock } from '#protocol/env';
import { ProtocolError } from '#protocol/errors';

/** From an event that nobody was woken for to the moment a reader sees it. */
const POLL_MS = 1_000;
/** Readers of one key at one time: a program, its second copy while it is replaced, and somebody who looks. */
const KEY_READERS_MAX = 4;
/** Readers in all. */
const READERS_MAX = 256;

export class EventHub {
  readonly #clock: Clock;
  readonly #stopping: AbortSignal;
  readonly #readers = new Map<string, number>();
  #count = 0;
  readonly #waiting = new Set<() => void>();

  constructor(clock: Clock, stopping: AbortSignal) {
    this.#clock = clock;
    this.#stopping = stopping;
  }

  /** Something was written that a reader may want. */
  wake(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }

  /** Takes a place for one reader of a key. @returns gives it back, once @throws {ProtocolError} rate_limit_exceeded, queue_full */
  enter(keyId: string): () => void {
    const own = this.#readers.get(keyId) ?? 0;
    if (own >= KEY_READERS_MAX) {
      throw new ProtocolError('rate_limit_exceeded', `A key may read ${KEY_READERS_MAX} event streams at a time.`);
    }
    if (this.#count >= READERS_MAX) {
      throw new ProtocolError('queue_full', 'Too many event streams are open.', { retryable: true });
    }
    this.#readers.set(keyId, own + 1);
    this.#count++;
    let isIn = true;
    return () => {
      if (!isIn) return;
      isIn = false;
      this.#count--;
      const left = this.#readers.get(keyId)! - 1;
      if (left > 0) this.#readers.set(keyId, left);
      else this.#readers.delete(keyId);
    };
  }

  /** Until something may have happened, or `signal` or the gateway ends. */
  async change(signal: AbortSignal): Promise<void> {
    const timer = new AbortController();
    const end = () => timer.abort();
    const signals = [signal, this.#stopping];
    if (signals.some(({ aborted }) => aborted)) return;
    for (const one of signals) one.addEventListener('abort', end, { once: true });
    let wake = () => {};
    const woken = new Promise<void>((resolve) => {
      wake = resolve;
    });
    this.#waiting.add(wake);
    await Promise.race([woken, this.#clock.sleep(POLL_MS, timer.signal).catch(() => undefined)]);
    this.#waiting.delete(wake);
    for (const one of signals) one.removeEventListener('abort', end);
    timer.abort();
  }

  /** Whether the gateway is stopping: readers end then, and come back to another. */
  get isOver(): boolean {
    return this.#stopping.aborted;
  }
}
