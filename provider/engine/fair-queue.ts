/** Lets several jobs share a model fairly: each waits its turn for every single run. */

/**
 * First come, first served, one at a time: the runtime computes on the calling thread anyway. Jobs hand in one short run
 * after the other, so that they take turns by themselves, and a long prompt delays the others by one chunk at most.
 */
export class FairQueue {
  #running = false;
  readonly #waiting: (() => void)[] = [];
  readonly #idle: (() => void)[] = [];

  /** Waits for a turn, then runs the task; its failure is the caller's and does not hold up the others. */
  async run<Result>(task: () => Promise<Result>): Promise<Result> {
    if (this.#running) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running = true;
    try {
      return await task();
    } finally {
      // The turn is handed on directly, so that nobody who comes later can take it.
      const next = this.#waiting.shift();
      if (next) next();
      else this.#leave();
    }
  }

  /** Resolves once nothing runs or waits. */
  async idle(): Promise<void> {
    if (this.#running) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #leave(): void {
    this.#running = false;
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}
