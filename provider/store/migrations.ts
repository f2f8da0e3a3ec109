/** Brings the provider's database up to date, and refuses one whose applied migrations were edited. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type Database from 'better-sqlite3';
import { drizzle } from 'drizzle-orm/better-sqlite3';
import { migrate } from 'drizzle-orm/better-sqlite3/migrator';
import { readMigrationFiles } from 'drizzle-orm/migrator';
import { checkMigrationHistory } from '#protocol/migration-history';

/** Where drizzle's migrator keeps what it applied: the SHA-256 of each file and the journal's timestamp. */
const APPLIED_TABLE = '__drizzle_migrations';

/** The generated migrations, next to the sources or to `dist`. @throws {Error} in a damaged installation */
export function providerMigrationsFolder(): string {
  for (let folder = path.dirname(fileURLToPath(import.meta.url)); ; folder = path.dirname(folder)) {
    const candidate = path.join(folder, 'migrations', 'provider-sqlite');
    if (existsSync(path.join(candidate, 'meta', '_journal.json'))) return candidate;
    if (path.dirname(folder) === folder) throw new Error('migrations/provider-sqlite is missing');
  }
}

/**
 * @returns the number of migrations that were applied now
 * @throws {Error} when the applied history is not a prefix of the folder's
 */
export function migrateProvider(database: Database.Database, folder: string): number {
  const known = readMigrationFiles({ migrationsFolder: folder });
  const history = checkMigrationHistory(
    readApplied(database),
    known.map(({ hash, folderMillis }) => ({ hash, createdAtMs: folderMillis })),
  );
  if (!history.ok) throw new Error(history.problem);
  if (history.pending > 0) migrate(drizzle(database), { migrationsFolder: folder });
  return history.pending;
}

function readApplied(database: Database.Database): { hash: string; createdAtMs: number }[] {
  const table = database.prepare("select name from sqlite_master where type = 'table' and name = ?").get(APPLIED_TABLE);
  if (table === undefined) return [];
  const rows = database.prepare(`select hash, created_at from ${APPLIED_TABLE} order by created_at`).raw().all();
  return (rows as [string, number | bigint][]).map(([hash, at]) => ({ hash, createdAtMs: Number(at) }));
}
