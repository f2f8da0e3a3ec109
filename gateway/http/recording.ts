/** An answer that several clients read while it is made: whoever comes later gets it from its beginning. */

export interface RecordedHead {
  readonly headers: Readonly<Record<string, string>>;
  readonly isStream: boolean;
}

type Head = { readonly value: RecordedHead } | { readonly error: unknown };

/** Written once, by `open`, `push` and `end`, or `fail`; read by any number of readers, none of which holds it up. */
export class Recording {
  readonly #frames: string[] = [];
  #head: Head | null = null;
  #end: { readonly error?: unknown } | null = null;
  #waiting: (() => void)[] = [];

  open(head: RecordedHead): void {
    this.#head = { value: head };
    this.#wake();
  }

  push(frame: string): void {
    this.#frames.push(frame);
    this.#wake();
  }

  end(): void {
    this.#end = {};
    this.#wake();
  }

  /** Ends it with an error, which every reader gets where it stands. */
  fail(error: unknown): void {
    this.#head ??= { error };
    this.#end = { error };
    this.#wake();
  }

  /** What was pushed so far. */
  get frames(): readonly string[] {
    return this.#frames;
  }

  /** @throws what it failed with before it was opened */
  async head(): Promise<RecordedHead> {
    while (this.#head === null) await this.#change();
    if ('error' in this.#head) throw this.#head.error;
    return this.#head.value;
  }

  /** All frames from the first on, as they come. @throws what it failed with */
  async *read(): AsyncGenerator<string, void, undefined> {
    for (let at = 0; ; ) {
      while (at < this.#frames.length) yield this.#frames[at++]!;
      if (at < this.#frames.length) continue;
      if (this.#end === null) {
        await this.#change();
        continue;
      }
      if ('error' in this.#end) throw this.#end.error;
      return;
    }
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
