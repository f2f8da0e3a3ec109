/**
 * One life of a simulated process. At its crash everything that it still awaits is cut off for ever, and nothing that its code does
 * afterwards reaches the world: its store, its wire and its clock are handed to it through the life.
 */
import { setMaxListeners } from 'node:events';
import type { Clock } from '#protocol/env';
import { linkAbort } from '../../gateway/round/deadline.ts';
import type { Fetch } from '../../gateway/round/provider-client.ts';
import type { Store } from '../../gateway/store/handle.ts';

/** What rolls a dead life's transaction back; nobody of the living sees it. */
class CutOff extends Error {
  override readonly name = 'CutOff';
}

export class Life {
  readonly #cut = new AbortController();
  #crossings = 0;
  #crashAt: number | null = null;

  constructor() {
    // One listener for each open connection; 0 for any number makes Node 20's getMaxListeners throw.
    setMaxListeners(10_000, this.#cut.signal);
  }

  get alive(): boolean {
    return !this.#cut.signal.aborted;
  }

  /** Aborts at the crash: connections break with it. */
  get cut(): AbortSignal {
    return this.#cut.signal;
  }

  /** How often the process has touched the world. */
  get crossings(): number {
    return this.#crossings;
  }

  /** Dies when the world has been touched so many times more; null: not by itself. */
  crashAfter(crossings: number | null): void {
    this.#crashAt = crossings === null ? null : this.#crossings + crossings;
  }

  crash(): void {
    this.#cut.abort(new TypeError('connection reset'));
  }

  /** Called whenever the process touches the world, which may be the instant of its death. @returns whether it lives on */
  cross(): boolean {
    if (!this.alive) return false;
    if (++this.#crossings === this.#crashAt) this.crash();
    return this.alive;
  }

  /** Runs `work` as the living do; for the dead it neither begins nor ends. */
  async through<T>(work: () => Promise<T>): Promise<T> {
    if (!this.cross()) return never();
    try {
      const value = await work();
      return this.cross() ? value : never();
    } catch (error) {
      if (!this.cross()) return never();
      throw error;
    }
  }

  /** The clock of this process, wrong by what `skewMs` says at the time. */
  clock(clock: Clock, skewMs: () => number = () => 0): Clock {
    return {
      nowMs: () => clock.nowMs() + skewMs(),
      sleep: (ms, signal) => this.through(() => clock.sleep(ms, signal)),
    };
  }

  /** The database as this process has it: a transaction that it dies in is rolled back, whatever is committed stays. */
  store(store: Store): Store {
    const died = new Promise<never>((_, reject) => {
      this.cut.addEventListener('abort', () => reject(new CutOff()), { once: true });
    });
    died.catch(() => undefined);
    return {
      withTx: (fn, told) =>
        this.through(() =>
          store.withTx(async (tx) => {
            if (!this.alive) throw new CutOff();
            const value = await Promise.race([fn(tx), died]);
            // The instant before the commit.
            if (!this.cross()) throw new CutOff();
            return value;
          }, told),
        ),
      read: (fn) => this.through(() => store.read(fn)),
      peek: (fn) => this.through(() => store.peek(fn)),
      changesOf: (topic) => store.changesOf(topic),
      close: async () => undefined,
    };
  }

  /** Calls that this process makes: they break when it dies. */
  fetch(fetch: Fetch): Fetch {
    return (url, init) =>
      this.through(async () => {
        const { signal, release } = linkAbort([this.cut, ...(init.signal ? [init.signal] : [])]);
        const response = await fetch(url, { ...init, signal });
        const { status, headers } = response;
        return new Response(response.body && this.body(response.body, release), { status, headers });
      });
  }

  /** A body that this process reads or writes. */
  body(body: ReadableStream<Uint8Array>, onEnd = () => {}): ReadableStream<Uint8Array> {
    const reader = body.getReader();
    return new ReadableStream<Uint8Array>(
      {
        pull: (controller) =>
          this.through(async () => {
            const { done, value } = await reader.read();
            if (!done) {
              controller.enqueue(value);
              return;
            }
            onEnd();
            controller.close();
          }),
        cancel: (reason) => {
          onEnd();
          return reader.cancel(reason);
        },
      },
      { highWaterMark: 0 },
    );
  }
}

function never(): Promise<never> {
  return new Promise(() => undefined);
}
