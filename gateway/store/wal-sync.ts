/**
 * Makes committed transactions durable beside the event loop: SQLite writes a commit into its write-ahead log, this flushes the file,
 * and one flush serves all commits that were written before it began (SPEC.md §Money, "Durability").
 */
import { closeSync, fdatasync, fsyncSync, openSync } from 'node:fs';
import path from 'node:path';
import { ProtocolError } from '#protocol/errors';

/** Flushes what was written to the descriptor; tests pass one that they hold back or let fail. */
export type Flush = (fd: number, done: (error: Error | null) => void) => void;

interface Waiter {
  readonly written: number;
  readonly resolve: () => void;
  readonly reject: (error: ProtocolError) => void;
}

export class WalSync {
  readonly #fd: number;
  readonly #flush: Flush;
  #waiting: Waiter[] = [];
  #flushing = false;
  #failure: ProtocolError | null = null;
  /** Commits so far, and how many of them are on the disk. */
  #written = 0;
  #durable = 0;

  /** @param databaseFile whose log exists: a connection in WAL mode is open @throws {Error} when the log cannot be opened */
  constructor(databaseFile: string, flush: Flush = fdatasync) {
    // SAFETY: SQLite keeps the log's file as long as a connection is open, and holds no lock on it that a second descriptor could break.
    this.#fd = openSync(`${databaseFile}-wal`, 'r+');
    this.#flush = flush;
    // A log whose name is not in its folder after a power failure is no log; SQLite would see to that at its own first flush.
    const folder = openSync(path.dirname(path.resolve(databaseFile)), 'r');
    try {
      fsyncSync(folder);
    } finally {
      closeSync(folder);
    }
  }

  /** Notes that a commit was written. */
  wrote(): void {
    this.#written += 1;
  }

  /**
   * Resolves when all that was written before the call is durable.
   * @throws {ProtocolError} storage_unavailable when a flush failed, now or ever: nobody knows what then is on the disk
   */
  durable(): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure);
    if (this.#durable === this.#written) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiting.push({ written: this.#written, resolve, reject });
      if (!this.#flushing) this.#start();
    });
  }

  close(): void {
    closeSync(this.#fd);
  }

  #start(): void {
    // INVARIANT: a flush counts only for commits that were written before it began.
    const covers = this.#written;
    this.#flushing = true;
    this.#flush(this.#fd, (error) => {
      this.#flushing = false;
      if (error) {
        this.#fail(error);
        return;
      }
      this.#durable = covers;
      const covered = this.#waiting.filter((waiter) => waiter.written <= covers);
      this.#waiting = this.#waiting.filter((waiter) => waiter.written > covers);
      for (const waiter of covered) waiter.resolve();
      if (this.#waiting.length > 0) this.#start();
    });
  }

  #fail(error: Error): void {
    const details = { flush: 'code' in error ? String(error.code) : error.name };
    this.#failure = new ProtocolError('storage_unavailable', 'The database could not be made durable.', { details });
    for (const waiter of this.#waiting.splice(0)) waiter.reject(this.#failure);
  }
}
