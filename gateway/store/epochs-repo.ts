/** Epochs and their draws (SPEC.md §8): indices are handed out once, in order, and every one of them is accounted for. */
import { and, asc, desc, eq, getTableColumns } from 'drizzle-orm';
import { ProtocolError } from '#protocol/errors';
import type { Hash } from '#protocol/hash';
import { nextNumber, takeNumbers } from './counters.ts';
import type { Handle, Tx } from './handle.ts';
import { given, inserting, reading } from './statement.ts';

export interface Epoch {
  readonly epoch: number;
  readonly startedAtMs: number;
  /** Merkle root over the draw keys. */
  readonly drawRoot: Hash;
  /** Number of draw keys. */
  readonly drawSize: number;
  readonly snapshotHash: Hash;
  readonly snapshotJson: string;
  /** The epoch's secret, sealed by the caller. */
  readonly sealedSeed: string;
  /** Where the log announces the epoch. */
  readonly logIndex: number;
}

export interface Draw {
  readonly epoch: number;
  readonly drawIndex: number;
  readonly requestId: string;
  readonly state: 'used' | 'aborted';
}

/** Stores an epoch whose announcement is in the log. @throws {ProtocolError} internal_error when it exists */
export async function insertEpoch(tx: Tx, epoch: Epoch): Promise<void> {
  await tx.db.insert(tx.tables.epochs).values(epoch);
}

export async function latestEpoch(handle: Handle): Promise<Epoch | null> {
  const { epochs } = handle.tables;
  const [row] = await handle.db.select().from(epochs).orderBy(desc(epochs.epoch)).limit(1);
  return row === undefined ? null : (row as Epoch);
}

const rowByNumber = reading((db, { epochs }) => ({
  query: db
    .select()
    .from(epochs)
    .where(eq(epochs.epoch, given('epoch'))),
  columns: getTableColumns(epochs),
}));
const insertDraw = inserting((tables) => tables.draws);

export async function epochByNumber(handle: Handle, epoch: number): Promise<Epoch | null> {
  const [row] = await rowByNumber(handle, { epoch });
  return row === undefined ? null : (row as Epoch);
}

/** The epoch whose keys have this root; null where there is none. Reads epochs one by one: whoever asks pays a bond for it. */
export async function epochByRoot(handle: Handle, drawRoot: Hash): Promise<Epoch | null> {
  const { epochs } = handle.tables;
  const [row] = await handle.db.select().from(epochs).where(eq(epochs.drawRoot, drawRoot)).limit(1);
  return row === undefined ? null : (row as Epoch);
}

/** The latest epochs, newest first. */
export async function listEpochs(handle: Handle, limit: number): Promise<readonly Epoch[]> {
  const { epochs } = handle.tables;
  return (await handle.db.select().from(epochs).orderBy(desc(epochs.epoch)).limit(limit)) as Epoch[];
}

/** Draw keys of an epoch that no request has taken. */
export async function drawsLeft(handle: Handle, epoch: Epoch): Promise<number> {
  return epoch.drawSize - (await nextNumber(handle, drawCounter(epoch.epoch)));
}

/**
 * Gives the next index of the epoch to a request.
 * @throws {ProtocolError} committee_unavailable when the epoch is used up or unknown
 */
export async function takeDraw(tx: Tx, epoch: number, requestId: string): Promise<number> {
  const found = await epochByNumber(tx, epoch);
  if (found === null || (await drawsLeft(tx, found)) <= 0) {
    throw new ProtocolError('committee_unavailable', 'The epoch has no draw left.', {
      retryable: true,
      details: { epoch },
    });
  }
  const drawIndex = await takeNumbers(tx, drawCounter(epoch), 1);
  await insertDraw(tx, { epoch, drawIndex, requestId, state: 'used' });
  return drawIndex;
}

/** Leaves the rest of an epoch's keys unused. */
export async function closeEpoch(tx: Tx, epoch: Epoch): Promise<void> {
  const left = await drawsLeft(tx, epoch);
  if (left > 0) await takeNumbers(tx, drawCounter(epoch.epoch), left);
}

/** Marks a request's draw as aborted. */
export async function abortDraw(tx: Tx, requestId: string): Promise<void> {
  const { draws } = tx.tables;
  await tx.db
    .update(draws)
    .set({ state: 'aborted' })
    .where(and(eq(draws.requestId, requestId), eq(draws.state, 'used')));
}

/** Draws of an epoch by index; what is missing up to `drawSize` was never taken. */
export async function listDraws(handle: Handle, epoch: number): Promise<readonly Draw[]> {
  const { draws } = handle.tables;
  return handle.db.select().from(draws).where(eq(draws.epoch, epoch)).orderBy(asc(draws.drawIndex));
}

function drawCounter(epoch: number): string {
  return `draw:${epoch}`;
}
