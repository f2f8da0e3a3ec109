/** `assay backup`: a consistent copy of a gateway's database, also while the gateway runs (DESIGN §10, OPERATIONS.md). */
import { closeSync, copyFileSync, existsSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import Database from 'better-sqlite3';
import { EXIT_FAILED, EXIT_MISUSED, EXIT_OK, parseCommandLine } from '#protocol/command-line';
import { logSize } from '../store/log-repo.ts';
import { openStore } from '../store/open-store.ts';
import { putSetting } from '../store/settings-repo.ts';
import { BACKUP_SETTING, recordedHead } from '../store/standing.ts';
import { type CliIo, reasonOf } from './cli-io.ts';

const USAGE = `assay backup --data-folder <folder> --to <file> [--key-file <file>]

Copies a gateway's database as of one moment into a file of its own, also while the gateway runs, flushed to the disk before the
command ends. The copy says of itself that it is one: a gateway over it only reads until \`assay restore\` has seen the newest
checkpoint. Keys are not in it: without the gateway's key file (and its rotated keys beside it) no backup can be used.

  --data-folder <folder>   data folder of the gateway (assay.sqlite is in it)
  --to <file>              where the copy goes; an existing file is never replaced
  --key-file <file>        also copies this key file to <file>.key, readable by its owner alone: keep it apart from the database
  --help                   print this text`;

/** @returns the exit code */
export async function runBackup(argv: readonly string[], io: CliIo): Promise<number> {
  const line = parseCommandLine(argv, { valued: ['data-folder', 'to', 'key-file'], switches: ['help'] });
  if (line.switches.has('help')) {
    io.print(USAGE);
    return EXIT_OK;
  }
  const folder = line.values.get('data-folder');
  const target = line.values.get('to');
  const missing = [folder === undefined ? ['--data-folder'] : [], target === undefined ? ['--to'] : []].flat();
  const problems = [...line.problems, ...missing.map((flag) => `needs ${flag}`)];
  if (folder === undefined || target === undefined || problems.length > 0) {
    for (const problem of problems) io.fail(`assay backup: ${problem}`);
    return EXIT_MISUSED;
  }
  try {
    const { size, checkpoint } = await backUp(path.join(folder, 'assay.sqlite'), target, io.clock.nowMs());
    io.print(`${target}: log of ${size} entries, newest checkpoint of size ${checkpoint}`);
    const keyFile = line.values.get('key-file');
    if (keyFile === undefined)
      io.print('the key file is not in it: keep a copy of it, and of keys beside it, elsewhere');
    else io.print(`${copyKey(keyFile, `${target}.key`)}: the key`);
    return EXIT_OK;
  } catch (error) {
    io.fail(`assay backup: ${reasonOf(error)}`);
    return EXIT_FAILED;
  }
}

/** @throws {Error} where the target exists, or the copy cannot be made or is not whole */
async function backUp(source: string, target: string, nowMs: number): Promise<{ size: number; checkpoint: number }> {
  if (!existsSync(source)) throw new Error(`${source} is not there`);
  if (existsSync(target)) throw new Error(`${target} exists and is not replaced`);
  const unfinished = `${target}.unfinished`;
  rmSync(unfinished, { force: true });
  try {
    copyAsOfNow(source, unfinished);
    const found = await declareBackup(unfinished, nowMs);
    makeSingleFile(unfinished);
    flush(unfinished);
    renameSync(unfinished, target);
    flush(path.dirname(path.resolve(target)));
    return found;
  } finally {
    for (const rest of ['', '-wal', '-shm']) rmSync(`${unfinished}${rest}`, { force: true });
  }
}

/** VACUUM INTO reads in one transaction: the gateway goes on writing, and the copy never starts over. */
function copyAsOfNow(source: string, target: string): void {
  const sqlite = new Database(source, { readonly: true, fileMustExist: true });
  try {
    sqlite.prepare('vacuum into ?').run(target);
  } finally {
    sqlite.close();
  }
}

async function declareBackup(file: string, nowMs: number): Promise<{ size: number; checkpoint: number }> {
  const store = openStore({ file });
  try {
    return await store.withTx(async (tx) => {
      await putSetting(tx, BACKUP_SETTING, JSON.stringify({ atMs: nowMs }), nowMs);
      return { size: await logSize(tx), checkpoint: (await recordedHead(tx)).size };
    });
  } finally {
    await store.close();
  }
}

/** Without a write-ahead log beside it, so that nobody copies half of it. */
function makeSingleFile(file: string): void {
  const sqlite = new Database(file);
  try {
    const [{ integrity_check: found }] = sqlite.pragma('integrity_check(1)') as [{ integrity_check: string }];
    if (found !== 'ok') throw new Error(`the copy is damaged: ${found}`);
    sqlite.pragma('journal_mode = DELETE');
  } finally {
    sqlite.close();
  }
}

function flush(place: string): void {
  const descriptor = openSync(place, 'r');
  fsyncSync(descriptor);
  closeSync(descriptor);
}

function copyKey(keyFile: string, target: string): string {
  if (existsSync(target)) throw new Error(`${target} exists and is not replaced`);
  const descriptor = openSync(target, 'wx', 0o600);
  closeSync(descriptor);
  copyFileSync(keyFile, target);
  flush(target);
  return target;
}
