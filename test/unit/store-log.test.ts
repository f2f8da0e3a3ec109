/** The log on real files: roots and proofs out of stored subtrees, and one root for each size (SPEC.md §9). */
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { fromHex, toHex, utf8 } from '#protocol/hash';
import {
  consistencyProof,
  inclusionProof,
  leafHash,
  merkleRoot,
  verifyConsistency,
  verifyInclusion,
} from '#protocol/merkle';
import type { Store } from '../../gateway/store/handle.ts';
import { logConsistency, logInclusion, logRoot } from '../../gateway/store/log-proofs.ts';
import {
  appendLog,
  checkpointOfSize,
  latestCheckpoint,
  logRange,
  logSize,
  recordCheckpoint,
  setCheckpointNote,
  trialEntries,
} from '../../gateway/store/log-repo.ts';
import { openStore } from '../../gateway/store/open-store.ts';
import { IS_TRIAL } from '../../gateway/store/schema/checks.ts';
import { hashOf, leafOf, tempFolder } from './store-fixture.ts';
import { refusal } from './store-life-fixture.ts';

const SIZE_MAX = 40;
const entries = Array.from({ length: SIZE_MAX }, (_, i) => `entry ${i}`);
const hashes = entries.map((entry) => leafHash(utf8(entry)));

let cleaners: (() => void)[] = [];
let file: string;
let store: Store;
beforeEach(() => {
  file = join(
    tempFolder((clean) => cleaners.push(clean)),
    'assay.db',
  );
  store = openStore({ file, fsync: false });
});
afterEach(async () => {
  await store.close();
  for (const clean of cleaners) clean();
  cleaners = [];
});

const append = (from: number, to: number) => store.withTx((tx) => appendLog(tx, entries.slice(from, to).map(leafOf)));
const bytes = (proof: readonly `0x${string}`[]) => proof.map(fromHex);

test('roots of all sizes up to 40 are those of the whole tree, however the entries came', async () => {
  expect(await store.read((handle) => logRoot(handle, 0))).toBe(toHex(merkleRoot([])));
  for (const [from, to] of [
    [0, 1],
    [1, 4],
    [4, 11],
    [11, 12],
    [12, SIZE_MAX],
  ] as const) {
    expect(await append(from, to)).toBe(from);
  }
  for (let size = 1; size <= SIZE_MAX; size++) {
    expect(await store.read((handle) => logRoot(handle, size))).toBe(toHex(merkleRoot(hashes.slice(0, size))));
  }
});

test('every inclusion proof of every size up to 40 verifies, and for no other leaf', async () => {
  await append(0, SIZE_MAX);
  await store.read(async (handle) => {
    for (let size = 1; size <= SIZE_MAX; size++) {
      const root = fromHex(await logRoot(handle, size));
      for (let index = 0; index < size; index++) {
        const proof = bytes(await logInclusion(handle, index, size));
        expect(proof).toEqual(inclusionProof(hashes.slice(0, size), index));
        expect(verifyInclusion(hashes[index]!, index, size, proof, root)).toBe(true);
        if (size > 1) expect(verifyInclusion(hashes[(index + 1) % size]!, index, size, proof, root)).toBe(false);
      }
    }
  });
});

test('every consistency proof between sizes up to 40 verifies, and for no other old root', async () => {
  await append(0, SIZE_MAX);
  await store.read(async (handle) => {
    for (let size = 1; size <= SIZE_MAX; size++) {
      const root = fromHex(await logRoot(handle, size));
      for (let old = 1; old <= size; old++) {
        const oldRoot = fromHex(await logRoot(handle, old));
        const proof = bytes(await logConsistency(handle, old, size));
        expect(proof).toEqual(consistencyProof(hashes.slice(0, size), old));
        expect(verifyConsistency(old, oldRoot, size, root, proof)).toBe(true);
        expect(verifyConsistency(old, fromHex(hashOf('fork')), size, root, proof)).toBe(false);
      }
    }
  });
});

test('roots and proofs outside of the log are not_found', async () => {
  await append(0, 5);
  const ask = (call: (handle: Parameters<typeof logRoot>[0]) => Promise<unknown>) => refusal(store.read(call));
  for (const size of [6, -1, 1.5]) {
    expect(await ask((handle) => logRoot(handle, size))).toBe('not_found');
    expect(await ask((handle) => logInclusion(handle, 0, size))).toBe('not_found');
    expect(await ask((handle) => logConsistency(handle, 1, size))).toBe('not_found');
  }
  for (const index of [5, -1, 0.5]) {
    expect(await ask((handle) => logInclusion(handle, index, 5))).toBe('not_found');
  }
  for (const old of [0, 6, 2.5]) {
    expect(await ask((handle) => logConsistency(handle, old, 5))).toBe('not_found');
  }
  expect(await ask((handle) => logInclusion(handle, 4, 4))).toBe('not_found');
});

test('an append that is rolled back gives its indices and nodes back', async () => {
  await append(0, 3);
  const call = store.withTx(async (tx) => {
    await appendLog(tx, [leafOf('gone'), leafOf('gone too')]);
    expect(await logSize(tx)).toBe(5);
    throw new RangeError('undone');
  });
  await expect(call).rejects.toThrow('undone');
  expect(await append(3, 6)).toBe(3);
  expect(await store.read((handle) => logRoot(handle, 6))).toBe(toHex(merkleRoot(hashes.slice(0, 6))));
});

test('the log goes on where it was after the file is opened again', async () => {
  await append(0, 7);
  await store.close();
  store = openStore({ file, fsync: false });
  expect(await append(7, 9)).toBe(7);
  const range = await store.read((handle) => logRange(handle, 6, 9));
  expect(range.map(({ logIndex, entryJson }) => [logIndex, entryJson])).toEqual([
    [6, 'entry 6'],
    [7, 'entry 7'],
    [8, 'entry 8'],
  ]);
  expect(await store.read((handle) => logRoot(handle, 9))).toBe(toHex(merkleRoot(hashes.slice(0, 9))));
});

test('a size has one root for ever: the same again is known, another one would fork the log', async () => {
  const record = (size: number, root: string, atMs = 1) =>
    store.withTx((tx) => recordCheckpoint(tx, { size, root: hashOf(root), atMs }));
  expect([await record(3, 'root'), await record(3, 'root', 2)]).toEqual([true, false]);
  expect(await refusal(record(3, 'fork'))).toBe('internal_error');
  await store.close();
  store = openStore({ file, fsync: false });
  expect(await refusal(record(3, 'fork'))).toBe('internal_error');
  expect(await store.read((handle) => checkpointOfSize(handle, 3))).toMatchObject({ root: hashOf('root'), atMs: 1 });
  expect(await record(2, 'smaller')).toBe(true);
  expect(await store.read(latestCheckpoint)).toMatchObject({ size: 3, note: null });
});

test('the note of a checkpoint is stored once', async () => {
  await store.withTx((tx) => recordCheckpoint(tx, { size: 3, root: hashOf('root'), atMs: 1 }));
  await store.withTx((tx) => setCheckpointNote(tx, 3, 'first'));
  await store.withTx((tx) => setCheckpointNote(tx, 3, 'second'));
  expect(await store.read((handle) => checkpointOfSize(handle, 3))).toMatchObject({ note: 'first' });
  expect(await store.read((handle) => checkpointOfSize(handle, 4))).toBeNull();
});

test('trials are found among all entries, in order, and read out of an index that has nothing else', async () => {
  const texts = [
    '{"a":1,"type":"answer"}',
    '{"a":2,"type":"trial"}',
    '{"a":"\\"type\\":\\"trial\\"","type":"answer"}',
    '{"a":3,"type":"trial"}',
  ];
  await store.withTx((tx) => appendLog(tx, texts.map(leafOf)));
  const found = await store.read(trialEntries);
  expect(found.map(({ logIndex, entryJson }) => [logIndex, entryJson])).toEqual([
    [1, texts[1]],
    [3, texts[3]],
  ]);
  const sqlite = new Database(file, { readonly: true });
  const plan = sqlite
    .prepare(`explain query plan select * from log_entries where ${IS_TRIAL} order by log_index`)
    .all();
  sqlite.close();
  expect(plan).toMatchObject([{ detail: expect.stringContaining('USING INDEX log_entries_trials') }]);
});
