/** Durable work that comes due: each piece once at a time, and so many together. */

/** What a queue is made of. */
export interface DueWorkParts<Row> {
  /** Pieces at one time. */
  readonly runningMax: number;
  readonly keyOf: (row: Row) => string;
  /** The oldest that are due, begun ones among them. */
  readonly due: (limit: number) => Promise<readonly Row[]>;
  /** Whether one may begin beside so many that run; where it is left out, all may. */
  readonly mayBegin?: (row: Row, running: number) => boolean;
  readonly run: (row: Row) => Promise<void>;
  readonly background: (work: Promise<void>) => void;
  /** Called when a piece has ended and its place is free. */
  readonly onFree?: () => Promise<unknown> | undefined;
}

export class DueWork<Row> {
  readonly #parts: DueWorkParts<Row>;
  readonly #running = new Set<string>();

  constructor(parts: DueWorkParts<Row>) {
    this.#parts = parts;
  }

  /**
   * Begins what is due and not begun.
   * @returns whether some of it may not begin yet though nothing runs; the end of what runs looks again by itself
   */
  async begin(): Promise<boolean> {
    const { runningMax, keyOf, due, mayBegin, run, background, onFree } = this.#parts;
    let isLeft = false;
    for (const row of await due(runningMax + this.#running.size)) {
      const key = keyOf(row);
      if (this.#running.has(key) || this.#running.size >= runningMax) continue;
      if (mayBegin && !mayBegin(row, this.#running.size)) {
        isLeft = true;
        continue;
      }
      this.#running.add(key);
      background(
        run(row)
          .finally(() => this.#running.delete(key))
          .then(async () => void (await onFree?.())),
      );
    }
    return isLeft && this.#running.size === 0;
  }
}
