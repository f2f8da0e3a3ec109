/** Opens the SQLite database: durability settings, migrations, and transactions that async code cannot break. */
import { AsyncLocalStorage } from 'node:async_hooks';
import Database from 'better-sqlite3';
import { drizzle } from 'drizzle-orm/better-sqlite3';
import { ProtocolError } from '#protocol/errors';
import { storageFailure } from './failures.ts';
import type { Db, Store, Tx } from './handle.ts';
import { migrateSqlite, requireMigrated, sqliteMigrationsFolder } from './migrations.ts';
import { sqliteSchema } from './schema/sqlite.ts';

/** The driver waits in the event loop's own thread, so not long: 2 s outlasts a backup's or an fsck's short lock. */
const BUSY_TIMEOUT_MS = 2_000;

export interface StoreOptions {
  /** A path; `:memory:` is refused, since readers have a connection of their own. */
  readonly file: string;
  readonly migrationsFolder?: string;
  /** Opens without migrating; every transaction is refused with storage_unavailable. */
  readonly readOnly?: boolean;
  /** False skips fsync: for simulations that crash by dropping the process state, never the machine. */
  readonly fsync?: boolean;
  /**
   * False leaves out the check for withTx inside withTx. Its hook on every promise takes a third of a simulation's time, and a
   * simulation sees by itself when something waits for ever.
   */
  readonly guardsNesting?: boolean;
  readonly busyTimeoutMs?: number;
  /** Most pages of 4,096 bytes that the file may grow to; a full disk in small. */
  readonly pagesMax?: number;
}

/**
 * Opens the store and brings it up to date.
 * @throws {ProtocolError} storage_unavailable when the file cannot be opened or its migrations were tampered with
 */
export function openStore(options: StoreOptions): Store {
  if (options.file === '' || options.file === ':memory:') throw new RangeError('"file" expected a path');
  const opened: Database.Database[] = [];
  try {
    const writer = connect(options, options.readOnly ?? false);
    opened.push(writer);
    const folder = options.migrationsFolder ?? sqliteMigrationsFolder();
    if (options.readOnly) requireMigrated(writer, folder);
    else migrateSqlite(writer, folder);
    // SAFETY: reads have a connection of their own. On the writer's they would see rows of a transaction that is still open.
    const reader = connect(options, true);
    opened.push(reader);
    return new SqliteStore(writer, reader, options.guardsNesting ?? true);
  } catch (error) {
    for (const connection of opened) connection.close();
    throw storageFailure(error);
  }
}

function connect(options: StoreOptions, readonly: boolean): Database.Database {
  const sqlite = new Database(options.file, { readonly, timeout: options.busyTimeoutMs ?? BUSY_TIMEOUT_MS });
  // Every integer comes back as bigint: money above 2^53 would lose nano without a word.
  sqlite.defaultSafeIntegers(true);
  sqlite.pragma('foreign_keys = ON');
  if (!readonly) {
    sqlite.pragma('journal_mode = WAL');
    sqlite.pragma(`synchronous = ${options.fsync === false ? 'OFF' : 'FULL'}`);
    if (options.pagesMax !== undefined) sqlite.pragma(`max_page_count = ${options.pagesMax}`);
  }
  return sqlite;
}

class SqliteStore implements Store {
  readonly #writer: Database.Database;
  readonly #reader: Database.Database;
  readonly #writerDb: Db;
  readonly #readerDb: Db;
  readonly #current: AsyncLocalStorage<{ open: boolean }> | null;
  /** Ends when the last queued transaction has ended; never rejects. */
  #queue: Promise<unknown> = Promise.resolve();
  #closed = false;
  #broken = false;

  constructor(writer: Database.Database, reader: Database.Database, guardsNesting: boolean) {
    this.#current = guardsNesting ? new AsyncLocalStorage() : null;
    this.#writer = writer;
    this.#reader = reader;
    this.#writerDb = drizzle(writer);
    this.#readerDb = drizzle(reader);
  }

  withTx<T>(fn: (tx: Tx) => Promise<T>): Promise<T> {
    if (this.#current?.getStore()?.open) {
      // It would wait for itself for ever.
      return Promise.reject(new ProtocolError('internal_error', 'withTx was called inside withTx.'));
    }
    if (this.#closed) return Promise.reject(closedError());
    const result = this.#queue.then(() => this.#transact(fn));
    this.#queue = result.catch(() => undefined);
    return result;
  }

  async read<T>(fn: (handle: { db: Db; tables: typeof sqliteSchema }) => Promise<T>): Promise<T> {
    if (this.#closed) throw closedError();
    try {
      return await fn({ db: this.#readerDb, tables: sqliteSchema });
    } catch (error) {
      throw storageFailure(error);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#queue;
    this.#reader.close();
    this.#writer.close();
  }

  /**
   * By hand, since the driver's own `transaction` takes only synchronous callbacks: with an async one it commits at the first
   * await. IMMEDIATE takes the write lock at once, so no transaction fails half-way for having read first.
   */
  async #transact<T>(fn: (tx: Tx) => Promise<T>): Promise<T> {
    if (this.#broken) throw new ProtocolError('storage_unavailable', 'The database could not be rolled back.');
    const state = { open: true };
    try {
      this.#writer.exec('BEGIN IMMEDIATE');
      const work = () => fn(makeTx(this.#writerDb, state));
      const result = await (this.#current?.run(state, work) ?? work());
      state.open = false;
      this.#writer.exec('COMMIT');
      return result;
    } catch (error) {
      state.open = false;
      this.#rollback();
      throw storageFailure(error);
    }
  }

  #rollback(): void {
    // SQLite rolls back by itself on a full disk; a second ROLLBACK would be an error.
    if (!this.#writer.inTransaction) return;
    try {
      this.#writer.exec('ROLLBACK');
    } catch {
      this.#broken = true;
    }
  }
}

/** A handle that stops working when its transaction ends: a forgotten await would otherwise write into the next one. */
function makeTx(db: Db, state: { open: boolean }): Tx {
  const tx = {
    get db() {
      if (!state.open) throw new ProtocolError('internal_error', 'A transaction was used after its end.');
      return db;
    },
    tables: sqliteSchema,
  };
  return tx as unknown as Tx;
}

function closedError(): ProtocolError {
  return new ProtocolError('shutting_down', 'The database is closed.', { retryable: true });
}
