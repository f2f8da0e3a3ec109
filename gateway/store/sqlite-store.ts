/**
 * Transactions on SQLite that async code cannot break, committed in groups: those that wait together share one BEGIN and COMMIT, each
 * in a savepoint of its own, and nobody is told before the commit is on the disk (SPEC.md §Money, "Durability").
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Database, Statement } from 'better-sqlite3';
import { drizzle } from 'drizzle-orm/better-sqlite3';
import { ProtocolError } from '#protocol/errors';
import { storageFailure } from './failures.ts';
import type { Db, Handle, Store, Told, Topic, Tx } from './handle.ts';
import { sqliteSchema } from './schema/sqlite.ts';
import type { WalSync } from './wal-sync.ts';

/** Most transactions of one group: what one COMMIT writes stays far below SQLite's page cache (2,000 pages of 4 KiB). */
const GROUP_MAX = 64;
/** How long a `soon` may wait for company: some twenty answers share one commit, and a restart has little to make again. */
const SOON_MS = 50;

export interface SqliteStoreParts {
  readonly writer: Database;
  readonly reader: Database;
  /** Null where nothing is flushed: read-only, or a simulation. */
  readonly sync: WalSync | null;
  readonly guardsNesting: boolean;
  /** A timer, for transactions that may wait for company; null where none waits. @returns cancels */
  readonly after: ((ms: number, callback: () => void) => () => void) | null;
}

/** A transaction that waits for its turn. */
interface Waiting {
  readonly fn: (tx: Tx) => Promise<unknown>;
  readonly told: Told;
  readonly resolve: (result: never) => void;
  readonly reject: (error: unknown) => void;
}

interface Done {
  readonly waiting: Waiting;
  readonly result: unknown;
  readonly changed: ReadonlySet<Topic>;
}

/** An open transaction of a group. */
interface State {
  open: boolean;
  readonly changed: Set<Topic>;
}

export class SqliteStore implements Store {
  readonly #parts: SqliteStoreParts;
  readonly #writerDb: Db;
  readonly #readerHandle: Handle;
  readonly #current: AsyncLocalStorage<State> | null;
  readonly #control: Readonly<Record<'begin' | 'commit' | 'rollback' | 'save' | 'release' | 'undo', Statement>>;
  readonly #waiting: Waiting[] = [];
  /** Ends when nothing waits any more; null while nothing runs. */
  #draining: Promise<void> | null = null;
  /** Begins with what is in no hurry, where nothing else comes first. */
  #cancelSoon: (() => void) | null = null;
  readonly #changes = new Map<Topic, number>();
  #closed = false;
  #broken = false;

  constructor(parts: SqliteStoreParts) {
    this.#parts = parts;
    const { writer, reader } = parts;
    this.#current = parts.guardsNesting ? new AsyncLocalStorage() : null;
    this.#writerDb = drizzle(writer);
    this.#readerHandle = { db: drizzle(reader), tables: sqliteSchema };
    this.#control = {
      // IMMEDIATE takes the write lock at once, so no transaction fails half-way for having read first.
      begin: writer.prepare('BEGIN IMMEDIATE'),
      commit: writer.prepare('COMMIT'),
      rollback: writer.prepare('ROLLBACK'),
      save: writer.prepare('SAVEPOINT member'),
      release: writer.prepare('RELEASE member'),
      undo: writer.prepare('ROLLBACK TO member'),
    };
  }

  withTx<T>(fn: (tx: Tx) => Promise<T>, told: Told = 'durable'): Promise<T> {
    if (this.#current?.getStore()?.open) {
      // It would wait for itself for ever.
      return Promise.reject(new ProtocolError('internal_error', 'withTx was called inside withTx.'));
    }
    if (this.#closed) return Promise.reject(closedError());
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({ fn, told, resolve, reject });
      const { after } = this.#parts;
      if (told === 'soon' && after) this.#cancelSoon ??= after(SOON_MS, () => this.#start());
      else this.#start();
    });
  }

  async read<T>(fn: (handle: Handle) => Promise<T>): Promise<T> {
    const result = await this.peek(fn);
    // What a power failure could still undo is not shown to anybody.
    await this.#parts.sync?.durable();
    return result;
  }

  async peek<T>(fn: (handle: Handle) => Promise<T>): Promise<T> {
    if (this.#closed) throw closedError();
    try {
      return await fn(this.#readerHandle);
    } catch (error) {
      throw storageFailure(error);
    }
  }

  changesOf(topic: Topic): number {
    return this.#changes.get(topic) ?? 0;
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#waiting.length > 0) this.#start();
    await this.#draining;
    await this.#parts.sync?.durable().catch(() => undefined);
    this.#parts.reader.close();
    this.#parts.writer.close();
    this.#parts.sync?.close();
  }

  #start(): void {
    this.#cancelSoon?.();
    this.#cancelSoon = null;
    this.#draining ??= this.#drain();
  }

  async #drain(): Promise<void> {
    // Whoever asks within this turn of the event loop shares the first commit. Simulations count turns, and flush nothing.
    if (this.#parts.sync) await new Promise((resolve) => setImmediate(resolve));
    else await Promise.resolve();
    while (this.#waiting.length > 0) await this.#commitGroup(this.#waiting.splice(0, GROUP_MAX));
    this.#draining = null;
  }

  /** By hand, since the driver's own `transaction` takes only synchronous callbacks: with an async one it commits at the first await. */
  async #commitGroup(group: readonly Waiting[]): Promise<void> {
    const done: Done[] = [];
    const fail = (error: unknown, waiting: readonly Waiting[]) => {
      const failure = storageFailure(error);
      for (const { reject } of waiting) reject(failure);
    };
    if (this.#broken) {
      fail(new ProtocolError('storage_unavailable', 'The database could not be rolled back.'), group);
      return;
    }
    try {
      this.#control.begin.run();
    } catch (error) {
      fail(error, group);
      return;
    }
    let lost: unknown = null;
    for (const waiting of group) {
      if (!this.#parts.writer.inTransaction) {
        // SQLite has ended the whole transaction (a full disk does that): those before are undone, those after have not begun.
        fail(
          lost,
          done.splice(0).map((member) => member.waiting),
        );
        this.#waiting.unshift(...group.slice(group.indexOf(waiting)));
        return;
      }
      try {
        done.push({ waiting, ...(await this.#runMember(waiting)) });
      } catch (error) {
        lost = error;
        waiting.reject(storageFailure(error));
      }
    }
    try {
      if (this.#parts.writer.inTransaction) this.#control.commit.run();
      else throw lost;
    } catch (error) {
      this.#rollback();
      fail(
        error,
        done.map((member) => member.waiting),
      );
      return;
    }
    for (const topic of done.flatMap(({ changed }) => [...changed])) {
      this.#changes.set(topic, this.changesOf(topic) + 1);
    }
    this.#tell(done);
  }

  /** One transaction of the group; what it wrote is undone when it fails, and only that. */
  async #runMember({ fn }: Waiting): Promise<Omit<Done, 'waiting'>> {
    const state: State = { open: true, changed: new Set() };
    const { save, release, undo } = this.#control;
    try {
      save.run();
      const work = () => fn(makeTx(this.#writerDb, state));
      const result = await (this.#current?.run(state, work) ?? work());
      state.open = false;
      release.run();
      return { result, changed: state.changed };
    } catch (error) {
      state.open = false;
      try {
        if (this.#parts.writer.inTransaction) {
          undo.run();
          release.run();
        }
      } catch {
        // INVARIANT: half a transaction is never committed, so that all of the group goes where this one's part cannot be undone.
        this.#rollback();
      }
      throw error;
    }
  }

  /** Callers hear of their commit when it is durable; the next group does not wait for that. */
  #tell(done: readonly Done[]): void {
    if (done.length === 0) return;
    const { sync } = this.#parts;
    const tell = (members: readonly Done[]) => {
      for (const { waiting, result } of members) waiting.resolve(result as never);
    };
    sync?.wrote();
    tell(done.filter(({ waiting }) => sync === null || waiting.told === 'committed'));
    const later = done.filter(({ waiting }) => sync !== null && waiting.told !== 'committed');
    if (later.length === 0) return;
    sync?.durable().then(
      () => tell(later),
      (error: unknown) => {
        for (const { waiting } of later) waiting.reject(error);
      },
    );
  }

  #rollback(): void {
    // SQLite rolls back by itself on a full disk; a second ROLLBACK would be an error.
    if (!this.#parts.writer.inTransaction) return;
    try {
      this.#control.rollback.run();
    } catch {
      this.#broken = true;
    }
  }
}

/** A handle that stops working when its transaction ends: a forgotten await would otherwise write into the next one. */
function makeTx(db: Db, state: State): Tx {
  const tx = {
    get db() {
      if (!state.open) throw new ProtocolError('internal_error', 'A transaction was used after its end.');
      return db;
    },
    tables: sqliteSchema,
    changes: (topic: Topic) => void state.changed.add(topic),
  };
  return tx as unknown as Tx;
}

function closedError(): ProtocolError {
  return new ProtocolError('shutting_down', 'The database is closed.', { retryable: true });
}
