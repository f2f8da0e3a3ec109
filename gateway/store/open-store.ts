/** Opens the SQLite database: durability settings and migrations. */
import Database from 'better-sqlite3';
import { storageFailure } from './failures.ts';
import type { Store } from './handle.ts';
import { migrateSqlite, requireMigrated, sqliteMigrationsFolder } from './migrations.ts';
import { SqliteStore } from './sqlite-store.ts';
import { type Flush, WalSync } from './wal-sync.ts';

/** The driver waits in the event loop's own thread, so not long: 2 s outlasts a backup's or an fsck's short lock. */
const BUSY_TIMEOUT_MS = 2_000;

/** A checkpoint blocks the event loop and writes every changed page once: 16 MiB of log hold the busiest pages many times over. */
const CHECKPOINT_PAGES = 4096;
/** The inner pages of every index, so that a lookup reads from memory; SQLite's own 2 MB are the size of a day's requests. */
const CACHE_KIB = 16 * 1024;

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
  /** A timer; without, what is told `soon` does not wait for company. */
  readonly after?: ((ms: number, callback: () => void) => () => void) | undefined;
  /** How the write-ahead log is flushed; for tests that hold a flush back or let it fail. */
  readonly flush?: Flush;
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
    const isFlushed = !options.readOnly && options.fsync !== false;
    const sync = isFlushed ? new WalSync(options.file, options.flush) : null;
    const { guardsNesting = true, after = null } = options;
    return new SqliteStore({ writer, reader, sync, guardsNesting, after });
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
  sqlite.pragma(`cache_size = -${CACHE_KIB}`);
  if (!readonly) {
    sqlite.pragma('journal_mode = WAL');
    // NORMAL orders log and database file, so that no power failure can damage them; that a commit is on the disk before anybody
    // hears of it is seen to by WalSync, which does it beside the event loop and once for many.
    sqlite.pragma(`synchronous = ${options.fsync === false ? 'OFF' : 'NORMAL'}`);
    sqlite.pragma(`wal_autocheckpoint = ${options.pagesMax === undefined ? CHECKPOINT_PAGES : 1000}`);
    if (options.pagesMax !== undefined) sqlite.pragma(`max_page_count = ${options.pagesMax}`);
  }
  return sqlite;
}
