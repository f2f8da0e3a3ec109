/** Group commit: transactions that wait together become durable together, and nobody hears of one before it is (SPEC.md §Money, "Durability"). */

import { copyFileSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Store, Tx } from '../../gateway/store/handle.ts';
import { insertApiKey, listApiKeys } from '../../gateway/store/keys-repo.ts';
import { openStore, type StoreOptions } from '../../gateway/store/open-store.ts';
import { hashOf, tempFolder } from './store-fixture.ts';
import { refusal } from './store-life-fixture.ts';

let cleaners: (() => void)[] = [];
let folder: string;
let file: string;
let flushes: ((error: Error | null) => void)[];
beforeEach(() => {
  folder = tempFolder((clean) => cleaners.push(clean));
  file = join(folder, 'assay.db');
  flushes = [];
});
afterEach(() => {
  for (const clean of cleaners) clean();
  cleaners = [];
});

/** A store whose flushes wait until the test lets them go. */
const held = (options: Partial<StoreOptions> = {}) =>
  openStore({ file, flush: (_, done) => flushes.push(done), ...options });
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

/** Lets everything run that is not waiting for a flush. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}

function flushAll(error: Error | null = null): void {
  for (const done of flushes.splice(0)) done(error);
}

/** What a call has come to so far. */
function watch(call: Promise<unknown>): { state: 'pending' | 'told' | 'refused' } {
  const seen: { state: 'pending' | 'told' | 'refused' } = { state: 'pending' };
  call.then(
    () => {
      seen.state = 'told';
    },
    () => {
      seen.state = 'refused';
    },
  );
  return seen;
}

/** The keys in a copy of the files as they are now, or with the log cut where the disk ended: what a start after a crash finds. */
async function keysAfterCrash(walBytes?: number): Promise<string[]> {
  const copy = join(folder, 'copy.db');
  copyFileSync(file, copy);
  copyFileSync(`${file}-wal`, `${copy}-wal`);
  if (walBytes !== undefined) truncateSync(`${copy}-wal`, walBytes);
  const store = openStore({ file: copy, fsync: false });
  const keys = await store.read(listApiKeys);
  await store.close();
  return keys.map((key) => key.keyId);
}

/** The keys of a store that was closed. */
async function keysAfterClose(): Promise<string[]> {
  const store = openStore({ file, readOnly: true });
  const keys = await store.read(listApiKeys);
  await store.close();
  return keys.map((key) => key.keyId).sort();
}

const keysOf = async (store: Store) => (await store.read(listApiKeys)).map((key) => key.keyId);

test('what may wait for company shares the commit of the next transaction, or has one of its own when its time is over', async () => {
  const timers: (() => void)[] = [];
  const after = (_: number, callback: () => void) => {
    timers.push(callback);
    return () => timers.splice(timers.indexOf(callback), 1);
  };
  const store = held({ after });
  const first = watch(store.withTx((tx) => addKey(tx, 'waits'), 'soon'));
  await settle();
  expect(await keysAfterCrash()).toEqual([]);
  expect([timers, flushes]).toMatchObject([{ length: 1 }, { length: 0 }]);
  const second = watch(store.withTx((tx) => addKey(tx, 'comes')));
  await settle();
  expect([timers, flushes]).toMatchObject([{ length: 0 }, { length: 1 }]);
  expect([first.state, second.state]).toEqual(['pending', 'pending']);
  flushAll();
  await settle();
  expect([first.state, second.state]).toEqual(['told', 'told']);
  const third = watch(store.withTx((tx) => addKey(tx, 'alone'), 'soon'));
  timers.splice(0)[0]!();
  await settle();
  flushAll();
  await settle();
  expect(third.state).toBe('told');
  const last = watch(store.withTx((tx) => addKey(tx, 'closing'), 'soon'));
  const closed = store.close();
  await settle();
  flushAll();
  await closed;
  expect(last.state).toBe('told');
  expect(await keysAfterClose()).toEqual(['alone', 'closing', 'comes', 'waits']);
});

test('transactions that wait together run in their order and share one flush', async () => {
  const store = held();
  const order: string[] = [];
  const calls = ['a', 'b', 'c'].map((name) =>
    store.withTx(async (tx) => {
      order.push(`${name} begins`);
      await addKey(tx, name);
      order.push(`${name} ends`);
    }),
  );
  await settle();
  expect(order).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
  expect(flushes).toHaveLength(1);
  flushAll();
  await Promise.all(calls);
  await store.close();
});

test('nobody is told before the flush that covers the commit, and a flush that began earlier does not cover it', async () => {
  const store = held();
  const first = watch(store.withTx((tx) => addKey(tx, 'a')));
  await settle();
  const second = watch(store.withTx((tx) => addKey(tx, 'b')));
  await settle();
  expect([first.state, second.state, flushes.length]).toEqual(['pending', 'pending', 1]);
  flushAll();
  await settle();
  expect([first.state, second.state, flushes.length]).toEqual(['told', 'pending', 1]);
  flushAll();
  await settle();
  expect(second.state).toBe('told');
  await store.close();
});

test('a crash between a savepoint and the commit loses the whole group, and none of it was told', async () => {
  const store = held();
  let found: string[] | null = null;
  const first = watch(store.withTx((tx) => addKey(tx, 'a')));
  const second = watch(
    store.withTx(async (tx) => {
      await addKey(tx, 'b');
      found = await keysAfterCrash();
      expect([first.state, second.state]).toEqual(['pending', 'pending']);
    }),
  );
  while (found === null) await settle();
  expect(found).toEqual([]);
  await settle();
  flushAll();
  await settle();
  expect([first.state, second.state]).toEqual(['told', 'told']);
  await store.close();
});

test('a power failure between commit and flush loses the whole group, and none of it was told', async () => {
  const store = held();
  const before = store.withTx((tx) => addKey(tx, 'a'));
  await settle();
  flushAll();
  await before;
  const onDisk = statSync(`${file}-wal`).size;
  const calls = ['b', 'c'].map((name) => watch(store.withTx((tx) => addKey(tx, name))));
  await settle();
  expect(calls.map(({ state }) => state)).toEqual(['pending', 'pending']);
  expect(await keysAfterCrash()).toEqual(['a', 'b', 'c']);
  expect(await keysAfterCrash(onDisk)).toEqual(['a']);
  flushAll();
  await settle();
  await store.close();
});

test('a member of a group that fails is undone alone', async () => {
  const store = openStore({ file });
  const good = store.withTx((tx) => addKey(tx, 'a'));
  const bad = store.withTx(async (tx) => {
    await addKey(tx, 'b');
    throw new Error('on purpose');
  });
  const next = store.withTx(async (tx) => {
    await addKey(tx, 'c');
    return (await listApiKeys(tx)).map((key) => key.keyId);
  });
  await expect(bad).rejects.toThrow('on purpose');
  await good;
  expect(await next).toEqual(['a', 'c']);
  expect(await keysOf(store)).toEqual(['a', 'c']);
  await store.close();
});

test('a disk that fills up within a group undoes those before and leaves those after to the next group', async () => {
  await openStore({ file, fsync: false }).close();
  const pages = new Database(file, { readonly: true }).pragma('page_count', { simple: true }) as number;
  const store = openStore({ file, pagesMax: pages + 20 });
  const large = 'x'.repeat(4_000_000);
  const calls = [
    store.withTx((tx) => addKey(tx, 'a')),
    store.withTx((tx) => addKey(tx, 'b', large)),
    store.withTx((tx) => addKey(tx, 'c')),
  ];
  const outcomes = await Promise.allSettled(calls);
  const kept = await keysOf(store);
  expect(outcomes[1]).toMatchObject({ status: 'rejected', reason: { code: 'storage_unavailable' } });
  expect(outcomes[2]!.status).toBe('fulfilled');
  // SQLite may end the whole transaction or the statement alone; what was told is what is there.
  expect(kept).toEqual([...(outcomes[0]!.status === 'fulfilled' ? ['a'] : []), 'c']);
  await store.close();
});

test('a flush that fails refuses the commits that it was for and everything after: nobody knows what is on the disk', async () => {
  const store = held();
  const calls = [refusal(store.withTx((tx) => addKey(tx, 'a'))), refusal(store.withTx((tx) => addKey(tx, 'b')))];
  await settle();
  flushAll(new Error('EIO'));
  expect(await Promise.all(calls)).toEqual(['storage_unavailable', 'storage_unavailable']);
  expect(await refusal(store.withTx((tx) => addKey(tx, 'c')))).toBe('storage_unavailable');
  expect(await refusal(store.read(listApiKeys))).toBe('storage_unavailable');
  await store.close();
});

test('a reader sees nothing that a power failure could still undo', async () => {
  const store = held();
  const call = store.withTx((tx) => addKey(tx, 'a'));
  await settle();
  const reading = watch(store.read(listApiKeys));
  await settle();
  expect(reading.state).toBe('pending');
  flushAll();
  await Promise.all([call, settle()]);
  expect(reading.state).toBe('told');
  await store.close();
});
