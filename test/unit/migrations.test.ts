/** The migrations folder against the schema, and databases against the migrations folder. */
import { appendFileSync, cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { getTableConfig } from 'drizzle-orm/sqlite-core';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { sqliteMigrationsFolder } from '../../gateway/store/migrations.ts';
import { openStore } from '../../gateway/store/open-store.ts';
import { sqliteSchema } from '../../gateway/store/schema/sqlite.ts';
import { tempFolder } from './store-fixture.ts';

let cleaners: (() => void)[] = [];
let file: string;
let folder: string;
beforeEach(() => {
  const temp = tempFolder((clean) => cleaners.push(clean));
  file = join(temp, 'assay.db');
  folder = join(temp, 'migrations');
  cpSync(sqliteMigrationsFolder(), folder, { recursive: true });
});
afterEach(() => {
  for (const clean of cleaners) clean();
  cleaners = [];
});

interface Journal {
  entries: { idx: number; version: string; when: number; tag: string; breakpoints: boolean }[];
}
const journalPath = () => join(folder, 'meta', '_journal.json');
const readJournal = () => JSON.parse(readFileSync(journalPath(), 'utf8')) as Journal;
const addMigration = (tag: string, when: number, statement: string, at = readJournal().entries.length) => {
  const journal = readJournal();
  journal.entries.splice(at, 0, { idx: at, version: '6', when, tag, breakpoints: true });
  writeFileSync(journalPath(), JSON.stringify(journal));
  writeFileSync(join(folder, `${tag}.sql`), statement);
};
const open = (readOnly = false) => openStore({ file, migrationsFolder: folder, fsync: false, readOnly });
const openError = (readOnly = false) => {
  try {
    open(readOnly);
  } catch (error) {
    return error;
  }
  return null;
};

test('the migrated tables have the columns, in order, and the checks that the schema declares', async () => {
  await open().close();
  const sqlite = new Database(file, { readonly: true });
  const tables = sqlite.prepare("select name, sql from sqlite_master where type = 'table'").all() as {
    name: string;
    sql: string;
  }[];
  const declared = Object.values(sqliteSchema).map((table) => getTableConfig(table));
  expect(
    tables
      .map((t) => t.name)
      .filter((name) => !/^(sqlite_|__drizzle)/.test(name))
      .sort(),
  ).toEqual(declared.map((table) => table.name).sort());
  for (const table of declared) {
    const columns = sqlite.prepare(`pragma table_info(${table.name})`).all() as { name: string; notnull: number }[];
    expect(columns.map((column) => [column.name, column.notnull === 1])).toEqual(
      table.columns.map((column) => [column.name, column.notNull]),
    );
    const text = tables.find((t) => t.name === table.name)!.sql;
    for (const check of table.checks) expect(text).toContain(`"${check.name}"`);
    const amounts = table.columns.filter((column) => column.name.endsWith('_nano'));
    for (const column of amounts) expect(text, column.name).toMatch(new RegExp(`CHECK\\([^\\n]*${column.name}`));
  }
  sqlite.close();
});

test('opening a migrated database again applies nothing', async () => {
  await open().close();
  await open().close();
  const sqlite = new Database(file, { readonly: true });
  const applied = sqlite.prepare('select count(*) from __drizzle_migrations').pluck().get();
  expect(applied).toBe(readJournal().entries.length);
  sqlite.close();
});

test('a later migration is applied to an existing database', async () => {
  await open().close();
  addMigration('later', 9e12, 'create table later (x integer)');
  expect(openError(true)).toMatchObject({ code: 'storage_unavailable', message: expect.stringContaining('older') });
  await open().close();
  await open(true).close();
});

test('an old migration that was edited after it was applied is refused', async () => {
  await open().close();
  appendFileSync(join(folder, `${readJournal().entries[0]!.tag}.sql`), '\n-- harmless');
  expect(openError()).toMatchObject({ code: 'storage_unavailable', message: expect.stringContaining('edited') });
});

test('a migration slipped in before an applied one is refused, not skipped', async () => {
  await open().close();
  addMigration('earlier', 1, 'create table earlier (x integer)', 0);
  expect(openError()).toMatchObject({ code: 'storage_unavailable', message: expect.stringContaining('order') });
});

test('a database of a newer version is refused', async () => {
  const journal = readFileSync(journalPath(), 'utf8');
  addMigration('newer', 9e12, 'create table newer (x integer)');
  await open().close();
  writeFileSync(journalPath(), journal);
  expect(openError()).toMatchObject({ code: 'storage_unavailable', message: expect.stringContaining('newer') });
});

test('a migration that fails leaves the database at the one before', async () => {
  await open().close();
  addMigration('broken', 9e12, 'create table half (x integer);--> statement-breakpoint\ncreate table half (x integer)');
  expect(openError()).not.toBeNull();
  const sqlite = new Database(file, { readonly: true });
  expect(sqlite.prepare("select 1 from sqlite_master where name = 'half'").get()).toBeUndefined();
  sqlite.close();
});
