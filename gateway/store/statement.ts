/**
 * Queries that are built by drizzle and compiled by SQLite once a connection, for what runs with every request: building the text anew
 * took longer than running it. The repositories stay the same for PostgreSQL, which has prepared statements of its own.
 */
import type { Database, Statement as SqliteStatement } from 'better-sqlite3';
import { type Column, getTableColumns, is, Param, Placeholder, type SQL, sql } from 'drizzle-orm';
import type { SQLiteInsert, SQLiteTable } from 'drizzle-orm/sqlite-core';
import type { Db, Handle, Tx } from './handle.ts';
import type { Schema } from './schema/make-schema.ts';

/** Anything that drizzle can turn into SQL; what awaiting it would give is the type of its rows. */
interface Query<Row> extends PromiseLike<unknown> {
  toSQL(): { sql: string; params: unknown[] };
  readonly _: { readonly result: readonly Row[] };
}

type Values = Readonly<Record<string, unknown>>;
/** Columns in the order in which the query selects or returns them. */
type Columns = Readonly<Record<string, Column>>;

/** A value that is given when the statement runs. */
export const given = (name: string) => sql.placeholder(name);

/** Reads rows. `build` is called once a connection. */
export function reading<Row, Given extends Values>(
  build: (db: Db, tables: Schema) => { readonly query: Query<Row>; readonly columns: Columns },
): (handle: Handle, values: Given) => Promise<Row[]> {
  const compiled = perConnection((db, tables) => {
    const { query, columns } = build(db, tables);
    const { statement, args } = compile(db, query);
    statement.raw(true);
    const decoders = Object.entries(columns).map(
      ([name, column]) => [name, (value: unknown) => column.mapFromDriverValue(value)] as const,
    );
    return { statement, args, decoders };
  });
  return async (handle, values) => {
    const { statement, args, decoders } = compiled(handle);
    const rows = statement.all(...args(values)) as unknown[][];
    return rows.map((cells) => {
      const row: Record<string, unknown> = {};
      for (let i = 0; i < decoders.length; i++) {
        const [name, decode] = decoders[i]!;
        row[name] = cells[i] === null ? null : decode(cells[i]);
      }
      return row as Row;
    });
  };
}

/** Writes. @returns how many rows were changed */
export function writing<Given extends Values>(
  build: (db: Db, tables: Schema) => Pick<Query<unknown>, 'toSQL'>,
): (tx: Tx, values: Given) => Promise<number> {
  const compiled = perConnection((db, tables) => compile(db, build(db, tables)));
  return async (tx, values) => {
    const { statement, args } = compiled(tx);
    return statement.run(...args(values)).changes;
  };
}

/** Inserts whole rows of one table. */
export function inserting<T extends SQLiteTable>(
  pick: (tables: Schema) => T,
): (tx: Tx, row: T['$inferSelect']) => Promise<number> {
  return writing((db, tables) => {
    const table = pick(tables);
    const row = Object.fromEntries(Object.keys(getTableColumns(table)).map((name) => [name, given(name)]));
    return db.insert(table).values(row as T['$inferInsert']);
  });
}

/** Most rows of one statement: as many as a transfer or a committee has, and far from SQLite's limit of 32,766 parameters. */
const ROWS_MAX = 16;

/**
 * Inserts several whole rows of one table with one statement, which is compiled once for each number of rows.
 * @param added what else the insert says, an `on conflict` say
 */
export function insertingAll<T extends SQLiteTable>(
  pick: (tables: Schema) => T,
  added: (insert: SQLiteInsert<T, 'sync'>, table: T) => Pick<Query<unknown>, 'toSQL'> = (insert) => insert,
): (tx: Tx, rows: readonly T['$inferSelect'][]) => Promise<number> {
  const statements = new Map<number, (tx: Tx, values: Values) => Promise<number>>();
  const statementOf = (count: number) => {
    let statement = statements.get(count);
    if (!statement) {
      statement = writing((db, tables) => {
        const table = pick(tables);
        const names = Object.keys(getTableColumns(table));
        const rows = Array.from({ length: count }, (_, at) =>
          Object.fromEntries(names.map((name) => [name, given(`${at}.${name}`)])),
        );
        return added(db.insert(table).values(rows as T['$inferInsert'][]) as unknown as SQLiteInsert<T, 'sync'>, table);
      });
      statements.set(count, statement);
    }
    return statement;
  };
  return async (tx, rows) => {
    let changed = 0;
    for (let from = 0; from < rows.length; from += ROWS_MAX) {
      const part = rows.slice(from, from + ROWS_MAX) as readonly Values[];
      const values: Record<string, unknown> = {};
      for (const [at, row] of part.entries()) for (const name in row) values[`${at}.${name}`] = row[name];
      changed += await statementOf(part.length)(tx, values);
    }
    return changed;
  };
}

/** Changes some columns of the rows that `where` finds; one statement for every set of columns. */
export function changing<T extends SQLiteTable, Given extends Values>(
  pick: (tables: Schema) => T,
  where: (table: T) => SQL | undefined,
): (tx: Tx, values: Given, change: Partial<T['$inferSelect']>) => Promise<number> {
  const statements = new Map<string, (tx: Tx, values: Values) => Promise<number>>();
  return (tx, values, change) => {
    const names = Object.keys(change).sort();
    const key = names.join();
    let statement = statements.get(key);
    if (!statement) {
      statement = writing((db, tables) => {
        const table = pick(tables);
        const columns = getTableColumns(table) as Columns;
        const set = Object.fromEntries(
          names.map((name) => [name, sql`${sql.param(given(`set.${name}`), columns[name]!)}`]),
        );
        return db
          .update(table)
          .set(set as never)
          .where(where(table));
      });
      statements.set(key, statement);
    }
    const all: Record<string, unknown> = { ...values };
    for (const name of names) all[`set.${name}`] = (change as Values)[name];
    return statement(tx, all);
  };
}

function perConnection<C>(make: (db: Db, tables: Schema) => C): (handle: Handle) => C {
  const known = new WeakMap<Db, C>();
  return ({ db, tables }) => {
    let compiled = known.get(db);
    if (compiled === undefined) {
      compiled = make(db, tables);
      known.set(db, compiled);
    }
    return compiled;
  };
}

function compile(db: Db, query: Pick<Query<unknown>, 'toSQL'>) {
  const { sql: text, params } = query.toSQL();
  const readers = params.map(argumentOf);
  const statement: SqliteStatement<unknown[]> = (db as Db & { readonly $client: Database }).$client.prepare(text);
  return { statement, args: (values: Values) => readers.map((read) => read(values)) };
}

/** How one parameter comes out of the given values, by the encoder of its column where it has one. */
function argumentOf(param: unknown): (values: Values) => unknown {
  if (is(param, Placeholder)) return (values) => givenValue(values, param.name);
  if (is(param, Param) && is(param.value, Placeholder)) {
    const { name } = param.value;
    const { encoder } = param;
    return (values) => {
      const value = givenValue(values, name);
      return value === null ? null : encoder.mapToDriverValue(value);
    };
  }
  return () => param;
}

function givenValue(values: Values, name: string): unknown {
  const value = values[name];
  // A column that was forgotten would otherwise become null without a word.
  if (value === undefined) throw new TypeError(`"${name}" is missing`);
  return value;
}
