/** The log against itself: entries, leaf hashes, nodes, and every checkpoint that was ever recorded (SPEC.md §9, RFC 6962 §2.1). */
import type { Domain } from '#protocol/eip712';
import { type Address, equalBytes, fromHex, type Hash, toHex, utf8 } from '#protocol/hash';
import { type LogEntry, type LogKeys, logEntryText, openCheckpoint, zLogEntry } from '#protocol/log';
import { leafHash, nodeHash } from '#protocol/merkle';
import type { Recover } from '#protocol/signer';
import type { WholeDatabase } from '../store/whole-database.ts';
import { type Damage, damage } from './damage.ts';

/** Name of the counter that numbers the log's entries (store/log-repo). */
const LOG_COUNTER = 'log';

export interface CheckedLog {
  readonly found: readonly Damage[];
  /** Entries by index; null where one cannot be read. */
  readonly entries: readonly (LogEntry | null)[];
  /** Addresses that the log announces as the gateway's, of the past and the present. */
  readonly gateways: ReadonlySet<string>;
}

/** How signatures are checked. */
export interface FsckKeys {
  readonly domain: Domain;
  readonly recover: Recover;
}

export function checkLog(rows: WholeDatabase, keys: FsckKeys): CheckedLog {
  const { logEntries } = rows;
  const found: Damage[] = [];
  const count = rows.counters.find(({ name }) => name === LOG_COUNTER)?.next ?? 0;
  if (count !== logEntries.length) found.push(damage('log_gap', '', `${logEntries.length} entries, ${count} counted`));
  const gap = logEntries.findIndex(({ logIndex }, place) => logIndex !== place);
  if (gap >= 0) found.push(damage('log_gap', gap, 'the entry is missing'));
  const entries = logEntries.map(({ entryJson }) => readEntry(entryJson));
  for (const [place, { logIndex, leafHash: stored, entryJson }] of logEntries.entries()) {
    if (toHex(leafHash(utf8(entryJson))) !== stored) found.push(damage('log_leaf_wrong', logIndex, stored));
    else if (entries[place] === null) found.push(damage('unreadable_row', logIndex, 'entry of the log'));
  }
  const tree = new StoredTree(rows);
  found.push(...tree.problems());
  const announced = announcedKeys(entries);
  for (const checkpoint of rows.checkpoints) found.push(...checkCheckpoint(checkpoint, tree, announced, keys));
  return { found, entries, gateways: new Set(keysOf(entries, 'gateway')) };
}

function readEntry(text: string): LogEntry | null {
  try {
    const entry = zLogEntry.parse(JSON.parse(text));
    return logEntryText(entry) === text ? entry : null;
  } catch {
    return null;
  }
}

function keysOf(entries: readonly (LogEntry | null)[], use: string): string[] {
  return entries.flatMap((entry) => (entry?.type === 'key' && entry.use === use ? [entry.value] : []));
}

/** The keys that sign checkpoints: the log's, and the one that its gateway began with. The origin stands in each note. */
function announcedKeys(entries: readonly (LogEntry | null)[]): Omit<LogKeys, 'origin'> | null {
  const [address] = keysOf(entries, 'gateway');
  const [ed25519] = keysOf(entries, 'log');
  return address && ed25519 ? { address: address as Address, ed25519: ed25519 as Hash } : null;
}

/** The tree recomputed from the leaves, beside the one that is stored. */
class StoredTree {
  /** Level by level, complete subtrees alone. */
  readonly #levels: Uint8Array[][] = [];
  readonly #rows: WholeDatabase;

  constructor(rows: WholeDatabase) {
    this.#rows = rows;
    let level = rows.logEntries.map(({ entryJson }) => leafHash(utf8(entryJson)));
    while (level.length > 0) {
      this.#levels.push(level);
      const full = Math.floor(level.length / 2);
      const below = level;
      level = Array.from({ length: full }, (_, i) => nodeHash(below[2 * i]!, below[2 * i + 1]!));
    }
  }

  get size(): number {
    return this.#levels[0]?.length ?? 0;
  }

  /** Root of the first `size` leaves. */
  root(size: number): Hash {
    let root: Uint8Array | null = null;
    let end = size;
    for (let level = 0; end > 0; level++, end = Math.floor(end / 2)) {
      if (end % 2 === 0) continue;
      const node: Uint8Array = this.#levels[level]![end - 1]!;
      root = root === null ? node : nodeHash(node, root);
    }
    return toHex(root!);
  }

  problems(): Damage[] {
    const stored = new Map(this.#rows.logNodes.map((node) => [`${node.level}/${node.nodeIndex}`, node.hash]));
    const found: Damage[] = [];
    for (const [level, nodes] of this.#levels.entries()) {
      for (const [index, node] of nodes.entries()) {
        const place = `${level}/${index}`;
        const hash = stored.get(place);
        stored.delete(place);
        if (hash === undefined) found.push(damage('log_node_wrong', place, 'missing'));
        else if (!equalBytes(fromHex(hash as Hash), node)) found.push(damage('log_node_wrong', place, hash));
      }
    }
    for (const place of stored.keys()) found.push(damage('log_node_wrong', place, 'beyond the log'));
    return found;
  }
}

function checkCheckpoint(
  checkpoint: WholeDatabase['checkpoints'][number],
  tree: StoredTree,
  announced: Omit<LogKeys, 'origin'> | null,
  { domain, recover }: FsckKeys,
): Damage[] {
  const { size, root, note } = checkpoint;
  if (size < 1 || size > tree.size) return [damage('checkpoint_wrong', size, `the log has ${tree.size} entries`)];
  const found = tree.root(size) === root ? [] : [damage('checkpoint_wrong', size, root)];
  if (note === null) return found;
  if (announced === null) return [...found, damage('checkpoint_note_wrong', size, 'the log names no keys')];
  const origin = note.slice(0, note.indexOf('\n'));
  const signed = openCheckpoint(domain, { origin, ...announced }, note, recover);
  const holds = signed?.size === size && signed.root === root;
  return holds ? found : [...found, damage('checkpoint_note_wrong', size, signed ? 'says another' : 'not signed')];
}
