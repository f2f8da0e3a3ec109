/** The append-only log and its Merkle tree, node by node, so that no proof rehashes everything (SPEC.md §9, RFC 6962). */
import { and, asc, desc, eq, gte, isNull, lt, or } from 'drizzle-orm';
import { ProtocolError } from '#protocol/errors';
import type { Hash } from '#protocol/hash';
import { fromHex, toHex } from '#protocol/hash';
import { nodeHash } from '#protocol/merkle';
import { nextNumber, takeNumbers } from './counters.ts';
import type { Handle, Tx } from './handle.ts';

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

/** Index that the next entry will have; fixed until the end of the transaction. */
export async function logSize(handle: Handle): Promise<number> {
  return nextNumber(handle, LOG_COUNTER);
}

/** Appends entries and returns the index of the first. */
export async function appendLog(tx: Tx, leaves: readonly LogLeaf[]): Promise<number> {
  const first = await takeNumbers(tx, LOG_COUNTER, leaves.length);
  for (const [offset, leaf] of leaves.entries()) {
    const logIndex = first + offset;
    await tx.db.insert(tx.tables.logEntries).values({ logIndex, leafHash: leaf.leafHash, entryJson: leaf.entryJson });
    await addNodes(tx, logIndex, leaf.leafHash);
  }
  return first;
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

/** Hashes of full subtrees, keyed `level/index`. @throws {ProtocolError} internal_error when one is missing */
export async function logNodes(handle: Handle, places: readonly NodePlace[]): Promise<ReadonlyMap<string, Hash>> {
  const { logNodes: nodes } = handle.tables;
  if (places.length === 0) return new Map();
  const rows = await handle.db
    .select()
    .from(nodes)
    .where(or(...places.map((place) => and(eq(nodes.level, place.level), eq(nodes.nodeIndex, place.nodeIndex)))));
  const found = new Map(rows.map((row) => [nodeKey(row), row.hash as Hash]));
  for (const place of places) {
    if (!found.has(nodeKey(place))) throw new ProtocolError('internal_error', 'A node of the log is missing.');
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
  const { checkpoints } = tx.tables;
  const inserted = await tx.db
    .insert(checkpoints)
    .values({ ...checkpoint, note: null })
    .onConflictDoNothing()
    .returning({ size: checkpoints.size });
  if (inserted.length === 1) return true;
  const known = await checkpointOfSize(tx, checkpoint.size);
  if (known?.root === checkpoint.root) return false;
  throw new ProtocolError('internal_error', 'The size has another root already.', {
    details: { size: checkpoint.size },
  });
}

/** Stores the note of a recorded checkpoint once; a second note changes nothing. */
export async function setCheckpointNote(tx: Tx, size: number, note: string): Promise<void> {
  const { checkpoints } = tx.tables;
  await tx.db
    .update(checkpoints)
    .set({ note })
    .where(and(eq(checkpoints.size, size), isNull(checkpoints.note)));
}

export async function checkpointOfSize(handle: Handle, size: number): Promise<CheckpointRow | null> {
  const { checkpoints } = handle.tables;
  const [row] = await handle.db.select().from(checkpoints).where(eq(checkpoints.size, size));
  return row === undefined ? null : (row as CheckpointRow);
}

/** The largest checkpoint, signed or about to be. */
export async function latestCheckpoint(handle: Handle): Promise<CheckpointRow | null> {
  const { checkpoints } = handle.tables;
  const [row] = await handle.db.select().from(checkpoints).orderBy(desc(checkpoints.size)).limit(1);
  return row === undefined ? null : (row as CheckpointRow);
}

/** Adds the leaf and every subtree that it completes: one for each trailing 1 of its index. */
async function addNodes(tx: Tx, logIndex: number, leafHash: Hash): Promise<void> {
  const { logNodes: nodes } = tx.tables;
  let level = 0;
  let nodeIndex = logIndex;
  let hash = leafHash;
  await tx.db.insert(nodes).values({ level, nodeIndex, hash });
  while (nodeIndex % 2 === 1) {
    const sibling = { level, nodeIndex: nodeIndex - 1 };
    const left = (await logNodes(tx, [sibling])).get(nodeKey(sibling))!;
    hash = toHex(nodeHash(fromHex(left), fromHex(hash)));
    level += 1;
    nodeIndex = (nodeIndex - 1) / 2;
    await tx.db.insert(nodes).values({ level, nodeIndex, hash });
  }
}
