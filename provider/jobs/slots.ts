/** The bounded queue in front of the engine: so many run, so many wait, the rest is refused (SPEC.md §6). */

/** One place in the queue. */
export interface Place {
  /** Resolves when the place has reached the engine; never, when it is released before. */
  readonly ready: Promise<void>;
  /** Gives the place up, waiting or running; a second call does nothing. */
  release(): void;
}

/** Slots of one engine; first come, first served. */
export class Slots {
  readonly #runningMax: number;
  readonly #waitingMax: number;
  #running = 0;
  readonly #waiting: { start: () => void }[] = [];

  constructor(limits: { runningMax: number; waitingMax: number }) {
    this.#runningMax = limits.runningMax;
    this.#waitingMax = limits.waitingMax;
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Takes a place, or null when the queue is full. */
  enter(): Place | null {
    if (this.#running < this.#runningMax) {
      this.#running++;
      return { ready: Promise.resolve(), release: this.#releaser(null) };
    }
    if (this.#waiting.length >= this.#waitingMax) return null;
    let resolve: () => void = () => {};
    const promise = new Promise<void>((done) => {
      resolve = done;
    });
    const entry = { start: resolve };
    this.#waiting.push(entry);
    return { ready: promise, release: this.#releaser(entry) };
  }

  #releaser(entry: { start: () => void } | null): () => void {
    let released = false;
    return () => {
      if (released) return;
      released = true;
      const at = entry === null ? -1 : this.#waiting.indexOf(entry);
      if (at >= 0) {
        this.#waiting.splice(at, 1);
        return;
      }
      const next = this.#waiting.shift();
      // The slot passes on without being free in between, so a newcomer cannot overtake.
      if (next === undefined) this.#running--;
      else next.start();
    };
  }
}
