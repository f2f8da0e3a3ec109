/** `assay migrate`: brings databases of gateways and providers up to date, before a new version starts or to see that it can. */
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import Database from 'better-sqlite3';
import { EXIT_FAILED, EXIT_MISUSED, EXIT_OK, parseCommandLine } from '#protocol/command-line';
import { migrateSqlite, sqliteMigrationsFolder } from '../store/migrations.ts';
import { type CliIo, reasonOf } from './cli-io.ts';

const USAGE = `assay migrate <folder>

Applies the migrations that are missing to the databases in a data folder (assay.sqlite of a gateway, jobs.sqlite of a provider)
and in its direct subfolders, and says what it did. A database whose applied migrations were edited, or that a newer version
made, is refused and left as it is. Gateway and provider do the same by themselves when they start.

  --help   print this text`;

/** Applies what is missing. @returns the number of migrations applied @throws {Error} on an edited history */
export type Migrate = (database: Database.Database) => number;

/** @param migrateProvider the provider's own migration, handed in by the root since servers do not import each other */
export function runMigrate(argv: readonly string[], io: CliIo, migrateProvider: Migrate): number {
  const line = parseCommandLine(argv, { valued: [], switches: ['help'], wordsMax: 1 });
  if (line.switches.has('help')) {
    io.print(USAGE);
    return EXIT_OK;
  }
  const folder = line.words[0];
  const problems = folder === undefined ? [...line.problems, 'needs a data folder'] : line.problems;
  if (folder === undefined || problems.length > 0) {
    for (const problem of problems) io.fail(`assay migrate: ${problem}`);
    return EXIT_MISUSED;
  }
  const kinds: Readonly<Record<string, Migrate>> = {
    'assay.sqlite': (database) => migrateSqlite(database, sqliteMigrationsFolder()),
    'jobs.sqlite': migrateProvider,
  };
  const found = databasesIn(folder, Object.keys(kinds));
  if (found.length === 0) {
    io.fail(`assay migrate: ${folder} holds no database of a gateway or provider`);
    return EXIT_FAILED;
  }
  const results = found.map((file) => migrateFile(file, kinds[path.basename(file)]!, io));
  return results.every(Boolean) ? EXIT_OK : EXIT_FAILED;
}

function databasesIn(folder: string, names: readonly string[]): string[] {
  if (!existsSync(folder)) return [];
  const subfolders = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const places = [folder, ...subfolders.map(({ name }) => path.join(folder, name)).sort()];
  return places.flatMap((place) => names.map((name) => path.join(place, name))).filter((file) => existsSync(file));
}

function migrateFile(file: string, migrate: Migrate, io: CliIo): boolean {
  try {
    const database = new Database(file, { fileMustExist: true, timeout: 0 });
    try {
      const applied = migrate(database);
      io.print(`${file}: ${applied === 0 ? 'up to date' : `${applied} migration${applied > 1 ? 's' : ''} applied`}`);
    } finally {
      database.close();
    }
    return true;
  } catch (error) {
    const busy = error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY');
    io.fail(`assay migrate: ${file}: ${busy ? 'in use by a running server' : reasonOf(error)}`);
    return false;
  }
}
