/** Applying migrations, and refusing a history that was edited: drizzle alone compares timestamps, never contents. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type Database from 'better-sqlite3';
import { drizzle } from 'drizzle-orm/better-sqlite3';
import { migrate } from 'drizzle-orm/better-sqlite3/migrator';
import { readMigrationFiles } from 'drizzle-orm/migrator';
import { ProtocolError } from '#protocol/errors';
import { checkMigrationHistory, type Migration } from '#protocol/migration-history';

/** Where drizzle's migrator keeps what it applied: the SHA-256 of each file and the journal's timestamp. */
const APPLIED_TABLE = '__drizzle_migrations';

/** The folder of SQLite's migrations in this package, from source as well as from the built output. */
export function sqliteMigrationsFolder(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const candidate = join(folder, 'migrations', 'sqlite');
    if (existsSync(join(candidate, 'meta', '_journal.json'))) return candidate;
    if (dirname(folder) === folder) throw new ProtocolError('internal_error', 'The migrations folder is missing.');
  }
}

/**
 * Brings a database up to date after re-hashing everything that was applied before.
 * @returns the number of migrations that were applied now
 * @throws {ProtocolError} storage_unavailable when the applied history is not a prefix of the folder's
 */
export function migrateSqlite(sqlite: Database.Database, folder: string): number {
  const pending = checkHistory(sqlite, folder);
  if (pending > 0) migrate(drizzle(sqlite), { migrationsFolder: folder });
  return pending;
}

/**
 * Whether the database has every migration of the folder and no other; for a store that may not write.
 * @throws {ProtocolError} storage_unavailable when it has not
 */
export function requireMigrated(sqlite: Database.Database, folder: string): void {
  if (checkHistory(sqlite, folder) > 0) throw refusal('The database is older than this version; migrate it first.', {});
}

/** Number of migrations still to apply. */
function checkHistory(sqlite: Database.Database, folder: string): number {
  const files = readMigrationFiles({ migrationsFolder: folder });
  const known = files.map(({ hash, folderMillis }) => ({ hash, createdAtMs: folderMillis }));
  const history = checkMigrationHistory(readApplied(sqlite), known);
  if (!history.ok) throw refusal(history.problem, { migration: history.at });
  return history.pending;
}

function readApplied(sqlite: Database.Database): readonly Migration[] {
  const table = sqlite.prepare("select name from sqlite_master where type = 'table' and name = ?").get(APPLIED_TABLE);
  if (table === undefined) return [];
  const rows = sqlite.prepare(`select hash, created_at from ${APPLIED_TABLE} order by created_at`).raw().all() as [
    string,
    bigint,
  ][];
  return rows.map(([hash, createdAt]) => ({ hash, createdAtMs: Number(createdAt) }));
}

function refusal(message: string, details: Record<string, number>): ProtocolError {
  return new ProtocolError('storage_unavailable', message, { details });
}
