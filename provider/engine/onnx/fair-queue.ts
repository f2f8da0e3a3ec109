/** Lets several jobs share a model fairly: each waits its turn for every single run. */

/**
 * First come, first served, with a bound on how many run at once. Jobs hand in one short run after the other, so that
 * they take turns by themselves, and a long prompt delays the others by one chunk at most.
 */
export class FairQueue {
  readonly #runningMax: number;
  #running = 0;
  readonly #waiting: (() => void)[] = [];
  readonly #idle: (() => void)[] = [];

  /** @param runningMax runs at one time, at least 1. */
  constructor(runningMax: number) {
    this.#runningMax = runningMax;
  }

  /** Waits for a turn, then runs the task; its failure is the caller's and does not hold up the others. */
  async run<Result>(task: () => Promise<Result>): Promise<Result> {
    if (this.#running >= this.#runningMax) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running += 1;
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
    if (this.#running > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #leave(): void {
    this.#running -= 1;
    if (this.#running === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }
}
