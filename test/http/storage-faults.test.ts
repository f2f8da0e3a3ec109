/** A database that cannot be written to, seen by clients: clean 503s, nothing accepted that is not recorded, and then it goes on. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runFsck } from '../../gateway/cli/fsck.ts';
import { readWholeDatabase } from '../../gateway/store/whole-database.ts';
import { GatewayHome, runCommand } from '../fixtures/folder-gateway.ts';

let home: GatewayHome;

beforeEach(async () => {
  home = await GatewayHome.open();
});

afterEach(() => home.close());

const fsck = async () => (await runCommand(runFsck, ['--data-folder', home.dataFolder], {})).out;
const errorOf = (text: string) => (JSON.parse(text) as { error: { code: string; message: string } }).error;

async function requestsStored(): Promise<number> {
  return (await readWholeDatabase(home.database)).rows.requests.length;
}

test('while another program holds the write lock requests are refused unrecorded, and afterwards they are answered', async () => {
  await home.start();
  expect((await home.ask('Before')).status).toBe(200);
  const before = await requestsStored();
  const other = new Database(home.database);
  other.exec('BEGIN IMMEDIATE');
  const refused = await home.ask('Locked out', {}, { 'idempotency-key': 'locked' });
  expect([refused.status, errorOf(refused.text).code]).toEqual([503, 'storage_unavailable']);
  expect(refused.text).not.toContain('Locked out');
  // What needs no writing goes on.
  expect((await home.call('/v1/log/entries')).status).toBe(200);
  expect(await requestsStored()).toBe(before);
  other.exec('ROLLBACK');
  other.close();
  expect((await home.ask('Locked out', {}, { 'idempotency-key': 'locked' })).status).toBe(200);
  await home.stop();
  expect(await fsck()).toMatch(/^nothing is wrong/);
});

test('a disk that fills up refuses what cannot be recorded, holds nobody’s money, and a start with room goes on', async () => {
  await home.start();
  expect((await home.ask('Before')).status).toBe(200);
  await home.stop();
  const full = new Database(home.database);
  const pages = full.pragma('page_count', { simple: true }) as number;
  full.close();
  await home.start(home.dataFolder, pages + FULL_AFTER_PAGES);
  const statuses: number[] = [];
  const codes = new Set<string>();
  for (let i = 0; i < QUESTIONS_MAX && !statuses.includes(503); i++) {
    const { status, text } = await home.ask(`Question ${i}`, {}, { 'idempotency-key': `full-${i}` });
    statuses.push(status);
    if (status !== 200) codes.add(errorOf(text).code);
  }
  expect([...codes]).toEqual(['storage_unavailable']);
  expect((await home.call('/healthz')).status).toBe(200);
  await home.stop();

  await home.start();
  const last = statuses.length - 1;
  expect((await home.ask(`Question ${last}`, {}, { 'idempotency-key': `full-${last}` })).status).toBe(200);
  await home.stop();
  expect(await fsck()).toMatch(/^nothing is wrong/);
});

test('a file that is no database any more keeps the gateway from starting, and is left as it is', async () => {
  await home.start();
  await home.stop();
  for (const name of ['assay.sqlite', 'assay.sqlite-wal']) {
    writeFileSync(path.join(home.dataFolder, name), 'this was a database once, and is none any more '.repeat(200));
  }
  await expect(home.start()).rejects.toMatchObject({ code: 'storage_unavailable' });
  await expect(home.start()).rejects.toMatchObject({ code: 'storage_unavailable' });
});

/** Room for a few requests. */
const FULL_AFTER_PAGES = 12;
const QUESTIONS_MAX = 60;
