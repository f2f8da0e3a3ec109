/** What repositories are given: a connection to read with, or an open transaction (SPEC.md §Money, "Durability"). */
import type { BetterSQLite3Database } from 'drizzle-orm/better-sqlite3';
import type { Schema } from './schema/make-schema.ts';

export type Db = BetterSQLite3Database<Record<string, never>>;

/** Enough to read. Queries are awaited, never run synchronously, so that PostgreSQL answers the same calls. */
export interface Handle {
  readonly db: Db;
  readonly tables: Schema;
}

/** What changes seldom and is asked for with many requests; `stakes` is all that a provider's free and frozen stake follow from. */
export type Topic = 'stakes';

declare const transactionBrand: unique symbol;

/** An open transaction; only `withTx` makes one, so nothing is written outside of one. */
export interface Tx extends Handle {
  readonly [transactionBrand]: true;
  /** Notes that it changes this; counted when it is committed. */
  changes(topic: Topic): void;
}

/** When the caller of a transaction hears of it; see `withTx`. */
export type Told = 'durable' | 'committed' | 'soon';

/** The database, as the rest of the gateway sees it. */
export interface Store {
  /**
   * Runs `fn` in one transaction: all of its writes become durable together, or none does. Transactions run one after another
   * on SQLite; `fn` must not wait for the network, and must not call `withTx` again.
   * @param told when the caller hears of it. `committed` saves waiting for the disk where nothing leaves the gateway before a later
   *   transaction of the caller is durable: then this one is, too. A killed process loses neither. `soon` waits, a few hundredths of a
   *   second at most, for another transaction whose commit it can share: for what a restart would make again.
   * @throws {ProtocolError} storage_unavailable when the database cannot take it; else what `fn` throws
   */
  withTx<T>(fn: (tx: Tx) => Promise<T>, told?: Told): Promise<T>;
  /** Reads durable state only. @throws {ProtocolError} storage_unavailable */
  read<T>(fn: (handle: Handle) => Promise<T>): Promise<T>;
  /** Reads what is committed, without waiting for the disk: for what decides alone, and for what is known to be durable. */
  peek<T>(fn: (handle: Handle) => Promise<T>): Promise<T>;
  /** Committed transactions so far that have changed this: what was read under one count holds as long as the count does. */
  changesOf(topic: Topic): number;
  /** Waits for the running transactions, then closes; later calls are refused with shutting_down. */
  close(): Promise<void>;
}
