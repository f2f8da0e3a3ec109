/** Backups while the gateway runs, and what it takes until a restored one signs again (DESIGN §10, SPEC.md §9.4). */
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { LogKeys } from '#protocol/log';
import { recoverNative } from '#protocol/signer-native';
import { verifyResponse } from '#protocol/verify';
import { runBackup } from '../../gateway/cli/backup.ts';
import { runFsck } from '../../gateway/cli/fsck.ts';
import { runRestore } from '../../gateway/cli/restore.ts';
import { GatewayHome, runCommand } from '../fixtures/folder-gateway.ts';

let home: GatewayHome;

beforeEach(async () => {
  home = await GatewayHome.open();
});

afterEach(() => home.close());

const noFetch = { fetch: () => Promise.reject(new Error('nothing is fetched here')) };
const backup = (to: string, ...more: string[]) =>
  runCommand(runBackup, ['--data-folder', home.dataFolder, '--to', to, ...more], {});
const restore = (folder: string, ...more: string[]) =>
  runCommand(runRestore, ['--data-folder', folder, ...more], noFetch);
const fsck = (folder: string) => runCommand(runFsck, ['--data-folder', folder], {});
const at = (name: string) => path.join(home.home, name);

function saved(name: string, text: string): string {
  writeFileSync(at(name), text);
  return at(name);
}

/** Puts the database back to an older copy of its file and leaves everything else, as a careless operator does. */
function putBack(copy: string): void {
  for (const rest of ['-wal', '-shm']) rmSync(`${home.database}${rest}`, { force: true });
  copyFileSync(copy, home.database);
}

const sizeOf = (note: string) => Number(note.split('\n')[1]);
const originOf = (note: string) => note.split('\n')[0];

test('a backup made under load is whole, leaves the gateway running, and is never written over', async () => {
  await home.start();
  const asked = Array.from({ length: 8 }, (_, i) => home.ask(`Question ${i}`));
  await asked[0];
  const { code, out } = await backup(at('copy.sqlite'));
  expect(out).toMatch(/log of \d+ entries.*\nthe key file is not in it/);
  expect(code).toBe(0);
  expect((await Promise.all(asked)).map(({ status }) => status)).toEqual(asked.map(() => 200));
  mkdirSync(at('elsewhere'));
  copyFileSync(at('copy.sqlite'), at('elsewhere/assay.sqlite'));
  expect((await fsck(at('elsewhere'))).out).toMatch(/^nothing is wrong/);
  expect((await backup(at('copy.sqlite'))).err).toContain('exists and is not replaced');
  expect(existsSync(`${at('copy.sqlite')}.unfinished`)).toBe(false);
});

test('a key is copied only when asked for, readable by its owner alone', async () => {
  await home.start();
  expect((await backup(at('copy.sqlite'), '--key-file', home.keyFile)).code).toBe(0);
  expect(readFileSync(`${at('copy.sqlite')}.key`, 'utf8')).toBe(readFileSync(home.keyFile, 'utf8'));
  expect(statSync(`${at('copy.sqlite')}.key`).mode & 0o077).toBe(0);
});

test('an old copy put over the database is only read: no answer, no signature, no second root for a signed size', async () => {
  await home.start();
  await home.ask('Before');
  await home.stop();
  copyFileSync(home.database, at('old.sqlite'));
  await home.start();
  await home.ask('After');
  const published = await home.checkpoint();
  await home.stop();
  putBack(at('old.sqlite'));

  expect((await home.start()).hold).toBe('older_than_signed');
  const refused = await home.ask('Another question');
  expect([refused.status, JSON.parse(refused.text).error.code]).toEqual([503, 'storage_unavailable']);
  expect((await home.call('/readyz')).status).toBe(503);
  expect((await home.call('/healthz')).status).toBe(200);
  const shown = await home.checkpoint();
  expect(sizeOf(shown)).toBeLessThan(sizeOf(published));
  await home.stop();
  // A second start is no way around it.
  expect((await home.start()).hold).toBe('older_than_signed');
});

test('a backup in a fresh folder waits, and goes on once it is shown the newest checkpoint that it covers', async () => {
  await home.start();
  await home.ask('Before');
  const published = await home.checkpoint();
  await backup(at('copy.sqlite'));
  await home.stop();

  const folder = at('restored');
  const first = await restore(folder, '--from', at('copy.sqlite'), '--checkpoint', saved('note', published));
  expect(first).toMatchObject({ code: 0, out: expect.stringContaining('the log goes on') });
  expect((await home.start(folder)).hold).toBe(null);
  expect((await home.ask('Another question')).status).toBe(200);
  const later = await home.checkpoint();
  expect(originOf(later)).toBe(originOf(published));
  const proof = await home.call(`/v1/log/consistency?from=${sizeOf(published)}&size=${sizeOf(later)}`);
  expect(JSON.parse(proof.text).proof.length).toBeGreaterThan(0);
  await home.stop();
  expect((await fsck(folder)).out).toMatch(/^nothing is wrong/);
});

test('a backup alone in a folder only reads, and so does a database without its mark', async () => {
  await home.start();
  await home.ask('Before');
  await backup(at('copy.sqlite'));
  await home.stop();
  mkdirSync(at('restored'));
  copyFileSync(at('copy.sqlite'), at('restored/assay.sqlite'));
  expect((await home.start(at('restored'))).hold).toBe('backup');
  expect((await home.ask('Another question')).status).toBe(503);
  await home.stop();
  rmSync(path.join(home.dataFolder, 'signed-head'));
  expect((await home.start()).hold).toBe('mark_missing');
});

test('a backup that lacks published entries goes on under another name alone, and cites the old log first', async () => {
  await home.start();
  const before = JSON.parse((await home.ask('Before')).text);
  await backup(at('copy.sqlite'));
  await home.ask('After');
  const published = await home.checkpoint();
  await home.stop();

  const folder = at('restored');
  const note = saved('note', published);
  const refused = await restore(folder, '--from', at('copy.sqlite'), '--checkpoint', note);
  expect(refused).toMatchObject({ code: 1, err: expect.stringContaining('are not in this database') });
  expect((await home.start(folder)).hold).toBe('backup');
  await home.stop();

  const begun = await restore(folder, '--checkpoint', note, '--new-origin', 'home.example/log-2');
  expect(begun).toMatchObject({ code: 0, err: '' });
  expect((await home.start(folder)).hold).toBe(null);
  const answer = await home.ask('Another question');
  expect(answer.status).toBe(200);
  expect(originOf(await home.checkpoint())).toBe('home.example/log-2');

  const { data } = JSON.parse((await home.call('/v1/log/entries')).text) as {
    data: { index: number; entry: object }[];
  };
  const cites = data.find(({ entry }) => 'type' in entry && entry.type === 'origin')!;
  expect(cites.entry).toMatchObject({
    origin: 'home.example/log-2',
    previous: 'home.example/log',
    previousSize: sizeOf(published),
  });
  const logKeys = JSON.parse((await home.call('/v1/log/keys')).text) as LogKeys;
  const gatewayAddress = logKeys.address;
  const checked = verifyResponse({
    response: answer.text,
    trusted: { gatewayAddress, logKeys },
    recover: recoverNative,
  });
  expect(checked.items.filter(({ status }) => status === 'failed')).toEqual([]);
  // What was answered before the backup is proved in the new log too.
  const again = await home.call(before.assay.url);
  expect(JSON.parse(again.text).assay.receipt.checkpoint).toContain('home.example/log-2');
  await home.stop();
  expect((await fsck(folder)).out).toMatch(/^nothing is wrong/);
});

test('only this gateway’s own checkpoint counts: others, changed ones and ones of another log are refused', async () => {
  await home.start();
  await home.ask('Before');
  const published = await home.checkpoint();
  await backup(at('copy.sqlite'));
  await home.stop();
  // The newest note is stored after its answer has left: a copy may have been made in between.
  const copy = new Database(at('copy.sqlite'));
  copy.exec('update checkpoints set note = null where size = (select max(size) from checkpoints)');
  copy.close();
  const from = ['--from', at('copy.sqlite')];
  const changed = published.replace(`\n${sizeOf(published)}\n`, `\n${sizeOf(published) - 1}\n`);
  const refused = await restore(at('restored'), ...from, '--checkpoint', saved('changed', changed));
  expect(refused).toMatchObject({ code: 1, err: expect.stringContaining('is not one that this gateway has signed') });
  const renamed = await restore(at('restored'), '--new-origin', 'home.example/log');
  expect(renamed).toMatchObject({ code: 1, err: expect.stringContaining('another name') });
  expect((await restore(at('restored'))).code).toBe(2);
  expect((await restore(at('restored'), '--new-origin', 'two words')).code).toBe(2);
});

test('draw keys that the lost days may have opened are not used again', async () => {
  await home.start();
  const before = JSON.parse((await home.ask('Before')).text);
  const published = await home.checkpoint();
  await backup(at('copy.sqlite'));
  await home.stop();
  await restore(at('restored'), '--from', at('copy.sqlite'), '--checkpoint', saved('note', published));
  await home.start(at('restored'));
  const after = JSON.parse((await home.ask('Another question')).text);
  expect(after.assay.receipt.epoch.entry.epoch).toBeGreaterThan(before.assay.receipt.epoch.entry.epoch);
});
