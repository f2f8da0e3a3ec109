/**
 * The column helpers of SQLite. Every dialect has one such file with the same names; `makeSchema` and the repositories are written
 * against this one's types, so PostgreSQL joins by a second file (bigint for integer, boolean for the 0/1) cast to `Columns`.
 */
import {
  check,
  customType,
  foreignKey,
  index,
  primaryKey,
  sqliteTable,
  text,
  unique,
  uniqueIndex,
} from 'drizzle-orm/sqlite-core';

/** A count, index or time in milliseconds. The driver hands out bigint for every integer; these fit a double exactly. */
const int = customType<{ data: number; driverData: number | bigint }>({
  dataType: () => 'integer',
  fromDriver: (value) => Number(value),
});

/** Money: int64 in the database, bigint in code, never a double in between. */
const nano = customType<{ data: bigint; driverData: bigint }>({
  dataType: () => 'integer',
  toDriver: (value) => {
    if (typeof value !== 'bigint') throw new TypeError('"nano" expected bigint');
    return value;
  },
});

export const sqliteColumns = {
  table: sqliteTable,
  text,
  int,
  nano,
  check,
  index,
  unique,
  uniqueIndex,
  primaryKey,
  foreignKey,
};

export type Columns = typeof sqliteColumns;
