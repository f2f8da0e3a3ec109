/** `assay restore`: puts a backup in place, or lets a database that only reads go on (DESIGN §10, SPEC.md §9.4). */
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { EXIT_FAILED, EXIT_MISUSED, EXIT_OK, parseCommandLine } from '#protocol/command-line';
import type { Address, Hash } from '#protocol/hash';
import { openCheckpoint } from '#protocol/log';
import { recoverNative } from '#protocol/signer-native';
import { type SignedHead, SignedHeadFile } from '../attest/signed-head.ts';
import { beginOrigin, goOn, originOf, type Reading, readAgainst } from '../restore.ts';
import { storedDomain } from '../store/chain-network-repo.ts';
import { lockFolder } from '../store/folder-lock.ts';
import type { Handle, Store } from '../store/handle.ts';
import { logRange, logSize } from '../store/log-repo.ts';
import { openStore } from '../store/open-store.ts';
import { recordedHead } from '../store/standing.ts';
import { type CliIo, reasonOf } from './cli-io.ts';

const USAGE = `assay restore --data-folder <folder> [--from <backup>] (--checkpoint <file|url> | --new-origin <name>)

Lets a gateway go on over a database that was put back from a copy. The gateway must not run.
With the newest checkpoint that the gateway has published (GET /v1/log/checkpoint, or a copy that somebody kept): if the log of the
database holds everything that it covers, the log goes on. If not, entries are lost, and only a log of another name may go on; its
first new entry cites the old log. What was accepted, charged, granted or revoked after the backup is not in it.

  --data-folder <folder>     data folder of the gateway
  --from <backup>            copies this file there first; the folder must not hold a database
  --checkpoint <file|url>    the newest published checkpoint, a signed note
  --new-origin <name>        gives the old log up and begins one of this name, such as example.org/log-2
  --help                     print this text`;
const OPTIONS = ['data-folder', 'from', 'checkpoint', 'new-origin'] as const;
/** Longest note (SPEC.md §1). */
const NOTE_LENGTH_MAX = 4096;
/** A key name of C2SP signed notes that log entries can hold. */
const ORIGIN = /^[^\s+]{1,128}$/;

/** What the command may do beside reading files. */
export interface RestoreIo extends CliIo {
  readonly fetch: (url: string) => Promise<Response>;
}

/** @returns the exit code */
export async function runRestore(argv: readonly string[], io: RestoreIo): Promise<number> {
  const line = parseCommandLine(argv, { valued: OPTIONS, switches: ['help'] });
  if (line.switches.has('help')) {
    io.print(USAGE);
    return EXIT_OK;
  }
  const problems = [...line.problems];
  const folder = line.values.get('data-folder');
  const newOrigin = line.values.get('new-origin');
  if (folder === undefined) problems.push('needs --data-folder');
  if (newOrigin !== undefined && !ORIGIN.test(newOrigin)) {
    problems.push('--new-origin must have 1 to 128 characters, no space and no plus sign');
  }
  if (newOrigin === undefined && !line.values.has('checkpoint')) problems.push('needs --checkpoint or --new-origin');
  if (folder === undefined || problems.length > 0) {
    for (const problem of problems) io.fail(`assay restore: ${problem}`);
    return EXIT_MISUSED;
  }
  try {
    const lock = lockFolder(folder);
    try {
      if (line.values.has('from')) putInPlace(line.values.get('from')!, folder);
      await restoreFolder(folder, { checkpoint: line.values.get('checkpoint'), newOrigin }, io);
    } finally {
      lock.release();
    }
    return EXIT_OK;
  } catch (error) {
    io.fail(`assay restore: ${reasonOf(error)}`);
    return EXIT_FAILED;
  }
}

function putInPlace(backup: string, folder: string): void {
  const target = path.join(folder, 'assay.sqlite');
  if (existsSync(target)) throw new Error(`${folder} holds a database already: move it away first`);
  mkdirSync(folder, { recursive: true });
  copyFileSync(backup, target);
}

interface Wanted {
  readonly checkpoint: string | undefined;
  readonly newOrigin: string | undefined;
}

async function restoreFolder(folder: string, wanted: Wanted, io: RestoreIo): Promise<void> {
  const file = path.join(folder, 'assay.sqlite');
  if (!existsSync(file)) throw new Error(`${folder} holds no gateway database`);
  const store = openStore({ file });
  const mark = new SignedHeadFile(folder);
  try {
    const previous = await store.read(originOf);
    const shown = wanted.checkpoint === undefined ? null : await openShown(store, wanted.checkpoint, io);
    const reading = shown && (await store.read((handle) => readAgainst(handle, shown)));
    const nowMs = io.clock.nowMs();
    if (wanted.newOrigin === undefined) {
      if (reading !== 'consistent') throw new Error(await whyNot(store, shown!, reading!));
      // The mark is flushed inside: should the commit fail, a mark ahead of its database only makes it wait again.
      await store.withTx(async (tx) => mark.reset(await goOn(tx, shown!, nowMs)));
      io.print(`the log goes on after entry ${shown!.size}; the gateway may start`);
      return;
    }
    const origin = wanted.newOrigin;
    if (previous === null) throw new Error('the database has no log yet: start the gateway');
    if (origin === previous) throw new Error(`the log is called ${origin} already: a new one needs another name`);
    const cited = shown ?? (await store.read(recordedHead));
    await store.withTx(async (tx) => mark.reset(await beginOrigin(tx, { origin, previous }, cited, nowMs)));
    io.print(
      `${origin} goes on where ${previous} ended, and cites it at size ${cited.size}; tell whoever pinned the old name`,
    );
  } finally {
    mark.close();
    await store.close();
  }
}

/** The checkpoint that was shown, checked against the keys that this database's own log announces. */
async function openShown(store: Store, place: string, io: RestoreIo): Promise<SignedHead> {
  const note = /^https?:\/\//.test(place) ? await (await io.fetch(place)).text() : readFileSync(place, 'utf8');
  if (note.length > NOTE_LENGTH_MAX) throw new Error('the checkpoint is too long to be one');
  const origin = (await store.read(originOf)) ?? '';
  const keys = await store.read(announcedKeys);
  const domain = await store.read(storedDomain);
  const opened = openCheckpoint(domain, { origin, ...keys }, note, recoverNative);
  if (opened === null) throw new Error(`the checkpoint is not one that this gateway has signed for ${origin}`);
  return opened;
}

/** The first two entries of every log are its gateway's first key and its own (gateway/attest/log-keeper.ts). */
async function announcedKeys(handle: Handle): Promise<{ address: Address; ed25519: Hash }> {
  const entries = (await logRange(handle, 0, 2)).map(({ entryJson }) => JSON.parse(entryJson) as { value: string });
  if (entries.length < 2) throw new Error('the log of this database announces no keys');
  return { address: entries[0]!.value as Address, ed25519: entries[1]!.value as Hash };
}

async function whyNot(store: Store, shown: SignedHead, reading: Exclude<Reading, 'consistent'>): Promise<string> {
  if (reading === 'contradicted') {
    return `the checkpoint of size ${shown.size} contradicts this log: it is another log's, or was changed`;
  }
  const size = await store.read(logSize);
  return `entries ${size} to ${shown.size - 1} were published and are not in this database: find a newer copy, or give the old log up with --new-origin`;
}
