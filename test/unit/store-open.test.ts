/** Transactions and failures of the store, on real files. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { sql } from 'drizzle-orm';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ProtocolError } from '#protocol/errors';
import { FAULTS, STANDINGS, VERDICTS } from '#protocol/verdict';
import { OWNED_KINDS, SINGLE_KINDS } from '../../gateway/ledger/accounts.ts';
import { RULINGS } from '../../gateway/ledger/dispute-money.ts';
import { JOB_ROLES, SETTLED_VERDICTS } from '../../gateway/ledger/settle.ts';
import { TRANSFER_REASONS } from '../../gateway/ledger/transfer.ts';
import type { Tx } from '../../gateway/store/handle.ts';
import { apiKeyById, insertApiKey, listApiKeys } from '../../gateway/store/keys-repo.ts';
import { openStore } from '../../gateway/store/open-store.ts';
import * as words from '../../gateway/store/schema/words.ts';
import { hashOf, tempFolder } from './store-fixture.ts';

let cleaners: (() => void)[] = [];
let folder: string;
let file: string;
beforeEach(() => {
  folder = tempFolder((clean) => cleaners.push(clean));
  file = join(folder, 'assay.db');
});
afterEach(() => {
  for (const clean of cleaners) clean();
  cleaners = [];
});

const addKey = (tx: Tx, keyId: string, label = '') =>
  insertApiKey(tx, {
    keyId,
    keyHash: hashOf(keyId),
    label,
    account: keyId,
    policyJson: null,
    requestsPerMinute: null,
    tokensPerMinute: null,
    concurrentRequests: null,
    createdAtMs: 1,
  });

async function failureOf(promise: Promise<unknown>): Promise<ProtocolError> {
  const error = await promise.then(
    () => null,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(ProtocolError);
  return error as ProtocolError;
}

test('the file is opened with write-ahead log, ordered writes and foreign keys', async () => {
  const store = openStore({ file });
  const pragma = (name: string) =>
    store.withTx(async (tx) => tx.db.get<Record<string, unknown>>(sql.raw(`pragma ${name}`)));
  expect(Object.values(await pragma('journal_mode'))).toEqual(['wal']);
  expect(Object.values(await pragma('synchronous'))).toEqual([1n]);
  expect(Object.values(await pragma('foreign_keys'))).toEqual([1n]);
  await store.close();
});

test('transactions that await in the middle run one after another and never mix', async () => {
  const store = openStore({ file, fsync: false });
  const order: string[] = [];
  const run = (name: string, turns: number) =>
    store.withTx(async (tx) => {
      order.push(`${name} begins`);
      for (let i = 0; i < turns; i++) await Promise.resolve();
      await addKey(tx, name);
      order.push(`${name} ends`);
    });
  await Promise.all([run('a', 50), run('b', 0), run('c', 10)]);
  expect(order).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
  await store.close();
});

test('a transaction that throws after an await leaves nothing behind and the next one runs', async () => {
  const store = openStore({ file, fsync: false });
  const failing = store.withTx(async (tx) => {
    await addKey(tx, 'a');
    await Promise.resolve();
    throw new Error('on purpose');
  });
  const next = store.withTx((tx) => addKey(tx, 'b'));
  await expect(failing).rejects.toThrow('on purpose');
  await next;
  expect((await store.read(listApiKeys)).map((key) => key.keyId)).toEqual(['b']);
  await store.close();
});

test('readers do not see what an open transaction has written', async () => {
  const store = openStore({ file, fsync: false });
  await store.withTx(async (tx) => {
    await addKey(tx, 'a');
    expect(await apiKeyById(tx, 'a')).not.toBeNull();
    expect(await store.read((handle) => apiKeyById(handle, 'a'))).toBeNull();
  });
  expect(await store.read((handle) => apiKeyById(handle, 'a'))).not.toBeNull();
  await store.close();
});

test('a transaction cannot be used after its end, so a forgotten await writes into no other one', async () => {
  const store = openStore({ file, fsync: false });
  let leaked: Tx | undefined;
  await store.withTx(async (tx) => {
    leaked = tx;
  });
  expect((await failureOf(addKey(leaked!, 'a'))).code).toBe('internal_error');
  await store.close();
});

test('withTx inside withTx is refused instead of waiting for itself for ever', async () => {
  const store = openStore({ file, fsync: false });
  const nested = store.withTx(() => store.withTx(async () => 1));
  expect((await failureOf(nested)).message).toContain('inside withTx');
  expect(await store.withTx(async () => 2)).toBe(2);
  await store.close();
});

test('close waits for the queued transactions and refuses later ones', async () => {
  const store = openStore({ file, fsync: false });
  const queued = store.withTx((tx) => addKey(tx, 'a'));
  const closing = store.close();
  expect((await failureOf(store.withTx(async () => 1))).code).toBe('shutting_down');
  await Promise.all([queued, closing]);
  const again = openStore({ file, fsync: false });
  expect(await again.read(listApiKeys)).toHaveLength(1);
  await again.close();
});

test('a full disk is storage_unavailable, names no parameter, and undoes the transaction', async () => {
  await openStore({ file, fsync: false }).close();
  const pages = new Database(file, { readonly: true }).pragma('page_count', { simple: true }) as number;
  const store = openStore({ file, fsync: false, pagesMax: pages + 10 });
  const secret = 'SECRET-LABEL'.repeat(100_000);
  const error = await failureOf(
    store.withTx(async (tx) => {
      await addKey(tx, 'small');
      await addKey(tx, 'large', secret);
    }),
  );
  expect(error).toMatchObject({ code: 'storage_unavailable', retryable: true, details: { sqlite: 'SQLITE_FULL' } });
  expect(`${error.message} ${error.stack} ${String(error.cause)}`).not.toContain('SECRET-LABEL');
  expect(await store.read(listApiKeys)).toEqual([]);
  await store.withTx((tx) => addKey(tx, 'small'));
  await store.close();
});

test('a read-only database answers reads and refuses transactions with storage_unavailable', async () => {
  const store = openStore({ file, fsync: false });
  await store.withTx((tx) => addKey(tx, 'a'));
  await store.close();
  const readOnly = openStore({ file, readOnly: true });
  expect(await readOnly.read(listApiKeys)).toHaveLength(1);
  const error = await failureOf(readOnly.withTx((tx) => addKey(tx, 'b')));
  expect(error).toMatchObject({ code: 'storage_unavailable', details: { sqlite: 'SQLITE_READONLY' } });
  await readOnly.close();
});

test('a database that another process has locked is storage_unavailable', async () => {
  const store = openStore({ file, fsync: false, busyTimeoutMs: 1 });
  const other = new Database(file);
  other.exec('BEGIN IMMEDIATE');
  const error = await failureOf(store.withTx((tx) => addKey(tx, 'a')));
  expect(error).toMatchObject({ code: 'storage_unavailable', details: { sqlite: 'SQLITE_BUSY' } });
  other.exec('ROLLBACK');
  await store.withTx((tx) => addKey(tx, 'a'));
  other.close();
  await store.close();
});

test('a path that is a folder and a file that is no database are storage_unavailable', () => {
  const openAt = (path: string) => {
    try {
      openStore({ file: path });
    } catch (error) {
      return error;
    }
    return null;
  };
  mkdirSync(join(folder, 'sub'));
  writeFileSync(join(folder, 'junk.db'), 'x'.repeat(8192));
  expect(openAt(join(folder, 'sub'))).toMatchObject({ code: 'storage_unavailable' });
  expect(openAt(join(folder, 'junk.db'))).toMatchObject({ code: 'storage_unavailable' });
});

test('a broken constraint is an internal error that names the constraint and no value', async () => {
  const store = openStore({ file, fsync: false });
  const error = await failureOf(
    store.withTx(async (tx) => {
      await addKey(tx, 'a', 'PRIVATE');
      await addKey(tx, 'a', 'PRIVATE');
    }),
  );
  expect(error).toMatchObject({
    code: 'internal_error',
    details: { constraint: expect.stringMatching(/^api_keys\.key_(id|hash)$/) },
  });
  expect(`${error.message} ${error.stack} ${String(error.cause)}`).not.toContain('PRIVATE');
  await store.close();
});

test('the words that columns may hold are those of the protocol and the ledger', () => {
  expect([...words.REQUEST_VERDICTS]).toEqual([...SETTLED_VERDICTS]);
  expect(words.REQUEST_VERDICTS.slice(0, VERDICTS.length)).toEqual([...VERDICTS]);
  expect([...words.JOB_STANDINGS].sort()).toEqual([...STANDINGS].sort());
  expect([...words.FAULT_WORDS].sort()).toEqual([...FAULTS].sort());
  expect([...words.WORK_ROLES]).toEqual([...JOB_ROLES]);
  expect([...words.RULING_WORDS]).toEqual([...RULINGS]);
  expect([...words.TRANSFER_WORDS]).toEqual([...TRANSFER_REASONS]);
  expect([...words.ACCOUNT_KINDS]).toEqual([...SINGLE_KINDS, ...OWNED_KINDS]);
});

test('an amount that is no bigint is refused before it reaches the database, where it would be a double', async () => {
  const store = openStore({ file, fsync: false });
  const amount = 5 as unknown as bigint;
  const insert = store.withTx(async (tx) => {
    await tx.db.insert(tx.tables.accounts).values({ id: 'reserve', kind: 'reserve', owner: '', balanceNano: amount });
  });
  await expect(insert).rejects.toThrow(TypeError);
  await store.close();
});
