/** A whole log as somebody has saved it: entries from the first on, and the checkpoint that covers them (SPEC.md §9.5). Pure. */
import { z } from 'zod';
import type { Domain } from './eip712.ts';
import { fromHex, type Hash, toHex } from './hash.ts';
import { type Checkpoint, type LogEntry, type LogKeys, logEntryBytes, openCheckpoint, zLogEntry } from './log.ts';
import { leafHash, merkleRoot } from './merkle.ts';
import type { Recover } from './signer.ts';

/** Entries of one copy: years of a small gateway. */
const ENTRIES_MAX = 1 << 22;

export const zLogCopy = z.strictObject({
  /** The signed note. */
  checkpoint: z.string().max(4096),
  entries: z.array(zLogEntry).min(1).max(ENTRIES_MAX),
});
export type LogCopy = z.output<typeof zLogCopy>;

/** A copy that is the log, whole and in order. */
export class OpenLog {
  readonly entries: readonly LogEntry[];
  readonly checkpoint: Checkpoint;
  readonly #leaves: readonly Uint8Array[];
  readonly #roots = new Map<number, Hash>();

  constructor(entries: readonly LogEntry[], checkpoint: Checkpoint, leaves: readonly Uint8Array[]) {
    this.entries = entries;
    this.checkpoint = checkpoint;
    this.#leaves = leaves;
  }

  /** Time of its last entry: nothing can be missing that is due later. */
  get untilMs(): number {
    return this.entries.at(-1)!.atMs;
  }

  /** Whether another checkpoint of the same log is about these very entries, as far as it goes. */
  covers({ size, root }: Checkpoint): boolean {
    if (size < 1 || size > this.#leaves.length) return false;
    let known = this.#roots.get(size);
    if (known === undefined) {
      known = toHex(merkleRoot(this.#leaves.slice(0, size)));
      this.#roots.set(size, known);
    }
    return known === root;
  }
}

/** Checks a copy against the keys of the log. @returns what is wrong with it, where something is */
export function openLogCopy(copy: LogCopy, domain: Domain, keys: LogKeys, recover: Recover): OpenLog | string {
  const checkpoint = openCheckpoint(domain, keys, copy.checkpoint, recover);
  if (checkpoint === null) return 'the checkpoint of the copy is not signed by the log';
  if (checkpoint.size !== copy.entries.length) return 'the copy has not as many entries as its checkpoint';
  const leaves = copy.entries.map((entry) => leafHash(logEntryBytes(entry)));
  const isRoot = toHex(merkleRoot(leaves)) === toHex(fromHex(checkpoint.root));
  return isRoot
    ? new OpenLog(copy.entries, checkpoint, leaves)
    : 'the entries of the copy are not those of its checkpoint';
}

/** What a copy is opened with. */
export interface CopyKeys {
  readonly domain: Domain;
  readonly keys: LogKeys;
  readonly recover: Recover;
}

/** Copies that were opened, by the keys that they were opened with: many answers are checked against one. */
const opened = new WeakMap<LogCopy, Map<string, OpenLog | string>>();

/** The copy, once it is known to be of the log whose checkpoint a receipt shows. @returns what is wrong, where something is */
export function openCopyFor(note: string, copy: LogCopy, { domain, keys, recover }: CopyKeys): OpenLog | string {
  const key = JSON.stringify(
    [domain, keys].map((value) => ({ ...value })),
    (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value),
  );
  const known = opened.get(copy) ?? new Map<string, OpenLog | string>();
  opened.set(copy, known);
  const log = known.get(key) ?? openLogCopy(copy, domain, keys, recover);
  known.set(key, log);
  if (typeof log === 'string') return log;
  const seen = openCheckpoint(domain, keys, note, recover);
  const isOther = seen !== null && seen.size <= log.checkpoint.size && !log.covers(seen);
  return isOther ? 'the copy is of another log than the one that the receipt shows' : log;
}
