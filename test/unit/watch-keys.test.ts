/** Whether a watcher demands the draw keys that a gateway hides, and none that it shows (spec-chain.md C6, C10). */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { drawKey, drawKeyPath, drawKeyTree } from '#protocol/draw';
import type { ChainCheckpoint, LogEntry } from '#protocol/log';
import type { OpenedKey } from '../../provider/watch/demands.ts';
import { checkEpochKeys, noteEpochs } from '../../provider/watch/epoch-keys.ts';
import { leafOfEntry } from '../../provider/watch/log-mirror.ts';
import type { WatchState } from '../../provider/watch/state.ts';
import { freshState, hashOf, type ScriptedChain, SENDER, scriptedChain } from './watch-chain.ts';

const SIZE = 4;
const secretOf = (epoch: number) => new Uint8Array(32).fill(epoch + 1);

function epochEntry(epoch: number, change: object = {}): LogEntry {
  const { root } = drawKeyTree(secretOf(epoch), epoch, SIZE);
  const entry = { type: 'epoch', epoch, drawRoot: root, drawSize: SIZE, snapshotHash: hashOf(9), atMs: epoch } as const;
  return { ...entry, ...change };
}

function keyOf(epoch: number, index: number): OpenedKey {
  const { levels } = drawKeyTree(secretOf(epoch), epoch, SIZE);
  return { key: drawKey(secretOf(epoch), epoch, index), path: drawKeyPath(levels, index) };
}

let folder: string;
let state: WatchState;
let script: ScriptedChain;
let lines: string[];
let asked: number[];

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'assay-keys-'));
  state = freshState(folder);
  script = scriptedChain({ demandBond: 5n, balanceOf: 5n, allowance: 0n });
  [lines, asked] = [[], []];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** The log, as the watcher has taken it in. */
function logged(...entries: LogEntry[]): void {
  const start = state.mirror.leaves.size;
  for (const entry of entries) state.mirror.leaves.append(leafOfEntry(entry));
  noteEpochs(state, entries, start);
}

async function look(read: (epoch: number, index: number) => OpenedKey | null, times = 1): Promise<void> {
  const { size } = state.mirror.leaves;
  const head: ChainCheckpoint = {
    ...{ origin: 'gateway.test/log', size, root: state.mirror.leaves.rootOf(size) },
    ...{ address: SENDER, signature: '0x00' },
  };
  const deps = {
    ...{ chain: script.chain, state, rng: { bytes: (length: number) => new Uint8Array(length) } },
    read: async (epoch: number, index: number) => {
      asked.push(epoch);
      return read(epoch, index);
    },
    print: (line: string) => void lines.push(line),
  };
  for (let looks = 0; looks < times; looks++) await checkEpochKeys(deps, head);
}

test('keys of epochs that are over are looked at once, and those of the newest are not', async () => {
  logged(epochEntry(0), epochEntry(1));
  await look(keyOf, 3);
  expect(new Set(asked)).toEqual(new Set([0]));
  expect([asked.length, state.epochs.get(0)?.state, state.epochs.get(1)?.state]).toEqual([7, 'checked', 'open']);
  expect([script.sent, lines]).toEqual([[], []]);
});

test('a key that stays hidden, or is none under the root, is demanded at the third look, once', async () => {
  for (const read of [() => null, (_: number, index: number) => keyOf(5, index)]) {
    state = freshState(path.join(folder, String(read.length)));
    logged(epochEntry(0), epochEntry(1));
    script.sent.length = 0;
    await look(read, 2);
    expect(script.sent).toEqual([]);
    await look(read, 3);
    expect(script.sent).toEqual(['approve', 'demandKey']);
    expect([...state.demands]).toEqual([hashOf(3)]);
  }
});

test('a gateway that was away for two looks is forgiven', async () => {
  logged(epochEntry(0), epochEntry(1));
  await look(() => null, 2);
  await look(keyOf);
  await look(() => null, 5);
  expect([script.sent, state.epochs.get(0)?.state]).toEqual([[], 'checked']);
});

test('no more than three demands are open, and none is made without its bond', async () => {
  for (const open of [11, 12, 13]) state.demands.add(hashOf(open));
  logged(epochEntry(0), epochEntry(1));
  await look(() => null, 4);
  expect(script.sent).toEqual([]);
  state.demands.clear();
  script.views.balanceOf = 4n;
  await look(() => null);
  expect([script.sent, lines]).toEqual([[], [expect.stringContaining('the bond of 5 base units is not there')]]);
  script.views.balanceOf = 5n;
  script.views.allowance = 5n;
  await look(() => null);
  expect(script.sent).toEqual(['demandKey']);
});

test('what somebody else has demanded before is left to him; another refusal is tried again', async () => {
  logged(epochEntry(0), epochEntry(1));
  script.reverts.demandKey = 'TooEarly';
  await look(() => null, 4);
  expect(state.epochs.get(0)?.state).toBe('open');
  script.reverts.demandKey = 'DemandKnown';
  await look(() => null);
  expect([state.epochs.get(0)?.state, state.demands.size]).toEqual(['demanded', 0]);
});

test('entries that are not those of the log are no epochs, and the first of a number counts', async () => {
  state.mirror.leaves.append(leafOfEntry(epochEntry(0)));
  noteEpochs(state, [epochEntry(0, { atMs: 77 })], 0);
  expect(state.epochs.size).toBe(0);
  noteEpochs(state, [epochEntry(0)], 0);
  logged(epochEntry(0, { atMs: 99 }));
  expect([state.epochs.get(0)?.atMs, state.epochs.get(0)?.place]).toEqual([0, 0]);
});
