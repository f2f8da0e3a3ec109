/** The append-only log and its Merkle tree, node by node, so that no proof rehashes everything (SPEC.md §9, RFC 6962). */
import { and, asc, desc, eq, getTableColumns, gte, isNotNull, isNull, lt } from 'drizzle-orm';
import { ProtocolError } from '#protocol/errors';
import type { Hash } from '#protocol/hash';
import { fromHex, toHex } from '#protocol/hash';
import { nodeHash } from '#protocol/merkle';
import { nextNumber, takeNumbers } from './counters.ts';
import type { Handle, Tx } from './handle.ts';
import { condition, IS_TRIAL } from './schema/checks.ts';
import { given, inserting, reading, writing } from './statement.ts';

/** An entry as the log keeps it: canonical JSON and its RFC 6962 leaf hash, both made by `#protocol/log`. */
export interface LogLeaf {
  readonly leafHash: Hash;
  readonly entryJson: string;
}

export interface StoredLeaf extends LogLeaf {
  readonly logIndex: number;
}

export interface CheckpointRow {
  readonly size: number;
  readonly root: Hash;
  readonly note: string | null;
  readonly atMs: number;
}

/** Place of a full subtree's root: it covers leaves index·2^level to (index+1)·2^level − 1. */
export interface NodePlace {
  readonly level: number;
  readonly nodeIndex: number;
}

const LOG_COUNTER = 'log';

const insertEntry = inserting((tables) => tables.logEntries);
const insertNode = inserting((tables) => tables.logNodes);
const nodeAt = reading((db, { logNodes: nodes }) => {
  const columns = { hash: nodes.hash };
  const place = and(eq(nodes.level, given('level')), eq(nodes.nodeIndex, given('nodeIndex')));
  return { query: db.select(columns).from(nodes).where(place), columns };
});
const insertCheckpoint = writing((db, { checkpoints }) =>
  db
    .insert(checkpoints)
    .values({ size: given('size'), root: given('root'), atMs: given('atMs'), note: null })
    .onConflictDoNothing(),
);
const checkpointAt = reading((db, { checkpoints }) => ({
  query: db
    .select()
    .from(checkpoints)
    .where(eq(checkpoints.size, given('size'))),
  columns: getTableColumns(checkpoints),
}));
const signCheckpointRow = writing((db, { checkpoints }) =>
  db
    .update(checkpoints)
    .set({ note: given('note') as never })
    .where(and(eq(checkpoints.size, given('size')), isNull(checkpoints.note))),
);

/** Index that the next entry will have; fixed until the end of the transaction. */
export async function logSize(handle: Handle): Promise<number> {
  return nextNumber(handle, LOG_COUNTER);
}

/** Appends entries and returns the index of the first. */
export async function appendLog(tx: Tx, leaves: readonly LogLeaf[]): Promise<number> {
  const first = await takeNumbers(tx, LOG_COUNTER, leaves.length);
  for (const [offset, leaf] of leaves.entries()) {
    const logIndex = first + offset;
    await insertEntry(tx, { logIndex, leafHash: leaf.leafHash, entryJson: leaf.entryJson });
    await addNodes(tx, logIndex, leaf.leafHash);
  }
  return first;
}

/** All trials of scorers, in order; reads an index that has nothing else. */
export async function trialEntries(handle: Handle): Promise<readonly StoredLeaf[]> {
  const { logEntries } = handle.tables;
  const rows = await handle.db.select().from(logEntries).where(condition(IS_TRIAL)).orderBy(asc(logEntries.logIndex));
  return rows as StoredLeaf[];
}

/** Entries from `start` (inclusive) to `end` (exclusive). */
export async function logRange(handle: Handle, start: number, end: number): Promise<readonly StoredLeaf[]> {
  const { logEntries } = handle.tables;
  return (await handle.db
    .select()
    .from(logEntries)
    .where(and(gte(logEntries.logIndex, start), lt(logEntries.logIndex, end)))
    .orderBy(asc(logEntries.logIndex))) as StoredLeaf[];
}

/** Leaf hash of an entry. @throws {ProtocolError} internal_error where there is none */
export async function logLeafAt(handle: Handle, logIndex: number): Promise<Hash> {
  const [leaf] = await logRange(handle, logIndex, logIndex + 1);
  if (leaf === undefined) throw new ProtocolError('internal_error', 'An entry of the log is missing.');
  return leaf.leafHash;
}

/** Hashes of full subtrees, keyed `level/index`. @throws {ProtocolError} internal_error when one is missing */
export async function logNodes(handle: Handle, places: readonly NodePlace[]): Promise<ReadonlyMap<string, Hash>> {
  const found = new Map<string, Hash>();
  for (const { level, nodeIndex } of places) {
    const [row] = await nodeAt(handle, { level, nodeIndex });
    if (row === undefined) throw new ProtocolError('internal_error', 'A node of the log is missing.');
    found.set(nodeKey({ level, nodeIndex }), row.hash as Hash);
  }
  return found;
}

export function nodeKey(place: NodePlace): string {
  return `${place.level}/${place.nodeIndex}`;
}

/**
 * Reserves a size for signing. The signature belongs after this is durable.
 * @returns false when the size has this very root already
 * @throws {ProtocolError} internal_error when it has another one, which would fork the log
 */
export async function recordCheckpoint(tx: Tx, checkpoint: Omit<CheckpointRow, 'note'>): Promise<boolean> {
  if ((await insertCheckpoint(tx, { ...checkpoint })) === 1) return true;
  const known = await checkpointOfSize(tx, checkpoint.size);
  if (known?.root === checkpoint.root) return false;
  throw new ProtocolError('internal_error', 'The size has another root already.', {
    details: { size: checkpoint.size },
  });
}

/** Stores the note of a recorded checkpoint once; a second note changes nothing. */
export async function setCheckpointNote(tx: Tx, size: number, note: string): Promise<void> {
  await signCheckpointRow(tx, { size, note });
}

export async function checkpointOfSize(handle: Handle, size: number): Promise<CheckpointRow | null> {
  const [row] = await checkpointAt(handle, { size });
  return row === undefined ? null : (row as CheckpointRow);
}

/** The largest checkpoint, signed or about to be. */
export async function latestCheckpoint(handle: Handle): Promise<CheckpointRow | null> {
  const { checkpoints } = handle.tables;
  const [row] = await handle.db.select().from(checkpoints).orderBy(desc(checkpoints.size)).limit(1);
  return row === undefined ? null : (row as CheckpointRow);
}

/** The largest checkpoint whose note is stored: that of the newest may be on its way, or have been when a copy was made. */
export async function latestNote(handle: Handle): Promise<(CheckpointRow & { readonly note: string }) | null> {
  const { checkpoints } = handle.tables;
  const signed = handle.db.select().from(checkpoints).where(isNotNull(checkpoints.note));
  const [row] = await signed.orderBy(desc(checkpoints.size)).limit(1);
  return row === undefined ? null : (row as CheckpointRow & { note: string });
}

/** Adds the leaf and every subtree that it completes: one for each trailing 1 of its index. */
async function addNodes(tx: Tx, logIndex: number, leafHash: Hash): Promise<void> {
  let level = 0;
  let nodeIndex = logIndex;
  let hash = leafHash;
  await insertNode(tx, { level, nodeIndex, hash });
  while (nodeIndex % 2 === 1) {
    const sibling = { level, nodeIndex: nodeIndex - 1 };
    const left = (await logNodes(tx, [sibling])).get(nodeKey(sibling))!;
    hash = toHex(nodeHash(fromHex(left), fromHex(hash)));
    level += 1;
    nodeIndex = (nodeIndex - 1) / 2;
    await insertNode(tx, { level, nodeIndex, hash });
  }
}
