/** Whether a database's applied migrations are a prefix of the program's: drizzle compares timestamps, never contents. Pure. */

/** A migration: the SHA-256 of its file, and its timestamp in the journal. */
export interface Migration {
  readonly hash: string;
  readonly createdAtMs: number;
}

export type History =
  | { readonly ok: true /** Migrations still to apply. */; readonly pending: number }
  | { readonly ok: false; readonly problem: string /** Index of the migration at fault. */; readonly at: number };

/** @param applied what the database has, @param known what the program has; both in their order */
export function checkMigrationHistory(applied: readonly Migration[], known: readonly Migration[]): History {
  for (const [at, migration] of applied.entries()) {
    const file = known[at];
    if (file === undefined) return { ok: false, problem: 'The database was migrated by a newer version.', at };
    if (file.createdAtMs !== migration.createdAtMs) {
      return { ok: false, problem: 'The order of applied migrations was changed.', at };
    }
    if (file.hash !== migration.hash) {
      return { ok: false, problem: 'A migration was edited after it was applied.', at };
    }
  }
  return { ok: true, pending: known.length - applied.length };
}
