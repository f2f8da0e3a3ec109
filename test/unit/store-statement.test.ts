/** Statements that are built once: they write and read what drizzle's own would, and refuse what is missing. */
import { join } from 'node:path';
import { eq, getTableColumns } from 'drizzle-orm';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Store } from '../../gateway/store/handle.ts';
import { openStore } from '../../gateway/store/open-store.ts';
import { changing, given, inserting, reading } from '../../gateway/store/statement.ts';
import { tempFolder } from './store-fixture.ts';

const insert = inserting((tables) => tables.accounts);
const byId = reading((db, { accounts }) => ({
  query: db
    .select()
    .from(accounts)
    .where(eq(accounts.id, given('id'))),
  columns: getTableColumns(accounts),
}));
const change = changing(
  (tables) => tables.accounts,
  (accounts) => eq(accounts.id, given('id')),
);
const row = { id: 'reserve', kind: 'reserve', owner: '', balanceNano: 2n ** 60n + 1n } as const;

let clean: () => void = () => undefined;
let store: Store;
beforeEach(() => {
  store = openStore({
    file: join(
      tempFolder((remove) => (clean = remove)),
      'assay.db',
    ),
    fsync: false,
  });
});
afterEach(async () => {
  await store.close();
  clean();
});

test('a row comes back as it went in, money above 2^53 to the nano, on both connections', async () => {
  await store.withTx(async (tx) => {
    await insert(tx, row);
    expect(await byId(tx, { id: 'reserve' })).toEqual([row]);
  });
  expect(await store.read((handle) => byId(handle, { id: 'reserve' }))).toEqual([row]);
  expect(await store.read((handle) => byId(handle, { id: 'nobody' }))).toEqual([]);
});

test('a change of other columns is another statement and leaves the rest alone', async () => {
  await store.withTx(async (tx) => {
    await insert(tx, row);
    expect(await change(tx, { id: 'reserve' }, { balanceNano: 5n })).toBe(1);
    expect(await change(tx, { id: 'reserve' }, { owner: 'me' })).toBe(1);
    expect(await change(tx, { id: 'nobody' }, { owner: 'me' })).toBe(0);
    expect(await byId(tx, { id: 'reserve' })).toEqual([{ ...row, balanceNano: 5n, owner: 'me' }]);
  });
});

test('a column that was forgotten and money that is no bigint are refused', async () => {
  const { owner: _, ...short } = row;
  await expect(store.withTx((tx) => insert(tx, short as typeof row))).rejects.toThrow('"owner" is missing');
  const double = { balanceNano: 5 as unknown as bigint };
  await expect(store.withTx((tx) => insert(tx, { ...row, ...double }))).rejects.toThrow(TypeError);
  await store.withTx((tx) => insert(tx, row));
  await expect(store.withTx((tx) => change(tx, { id: 'reserve' }, double))).rejects.toThrow(TypeError);
});

test('a statement of a transaction that has ended writes nothing', async () => {
  let leaked: Parameters<typeof insert>[0] | undefined;
  await store.withTx(async (tx) => {
    leaked = tx;
  });
  await expect(insert(leaked!, row)).rejects.toMatchObject({ code: 'internal_error' });
});
