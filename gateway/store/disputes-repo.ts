/** Rows of disputes and their moves. */
import {
  and,
  asc,
  count,
  desc,
  eq,
  getTableColumns,
  inArray,
  isNotNull,
  isNull,
  lte,
  max,
  notInArray,
  sql,
} from 'drizzle-orm';
import { ProtocolError } from '#protocol/errors';
import { inLiveCases, waitingForConviction } from './case-evidence.ts';
import type { Handle, Tx } from './handle.ts';
import { given, reading } from './statement.ts';

/** Bundles hold tokens: not too many at one time. */
const PROVABLE_MAX = 100;

export type DisputeRow = Handle['tables']['disputes']['$inferSelect'];
export type DisputeMoveRow = Handle['tables']['disputeMoves']['$inferSelect'];

/** One move as it is recorded; its index is given on entry. */
export interface DisputeMove {
  readonly kind: string;
  /** Canonical JSON. */
  readonly moveJson: string;
  readonly signature: string | null;
  readonly atMs: number;
}

export async function insertDispute(tx: Tx, row: DisputeRow): Promise<void> {
  // Frozen stake is that of disputes that are not settled.
  tx.changes('stakes');
  await tx.db.insert(tx.tables.disputes).values(row);
}

export async function disputeById(handle: Handle, disputeId: string): Promise<DisputeRow | null> {
  const { disputes } = handle.tables;
  const [row] = await handle.db.select().from(disputes).where(eq(disputes.disputeId, disputeId));
  return row ?? null;
}

/** The dispute, which must be in one of the states. @throws {ProtocolError} internal_error otherwise */
export async function disputeIn(
  tx: Tx,
  disputeId: string,
  states: readonly DisputeRow['state'][],
): Promise<DisputeRow> {
  const row = await disputeById(tx, disputeId);
  if (row === null || !states.includes(row.state)) {
    throw new ProtocolError('internal_error', 'The dispute is not in a state that allows this.', {
      details: { disputeId, state: row?.state ?? null },
    });
  }
  return row;
}

/** The dispute about this very accusation, or null. */
export async function disputeAbout(
  handle: Handle,
  accusation: Pick<DisputeRow, 'jobId' | 'provider' | 'fault'>,
): Promise<DisputeRow | null> {
  const { disputes } = handle.tables;
  const [row] = await handle.db
    .select()
    .from(disputes)
    .where(
      and(
        eq(disputes.jobId, accusation.jobId),
        eq(disputes.provider, accusation.provider),
        eq(disputes.fault, accusation.fault),
      ),
    );
  return row ?? null;
}

/** Disputes of a request in the order in which they were opened. */
export async function disputesOfRequest(handle: Handle, requestId: string): Promise<readonly DisputeRow[]> {
  return rowsOfRequest(handle, { requestId });
}

const rowsOfRequest = reading((db, { disputes }) => ({
  query: db
    .select()
    .from(disputes)
    .where(eq(disputes.requestId, given('requestId')))
    .orderBy(asc(disputes.openedAtMs), asc(disputes.disputeId)),
  columns: getTableColumns(disputes),
}));

/** The latest disputes, newest first; all providers' where none is named. */
export async function listDisputes(
  handle: Handle,
  filter: { provider?: string; state?: DisputeRow['state']; limit: number },
): Promise<readonly DisputeRow[]> {
  const { disputes } = handle.tables;
  return handle.db
    .select()
    .from(disputes)
    .where(
      and(
        filter.provider === undefined ? undefined : eq(disputes.provider, filter.provider),
        filter.state === undefined ? undefined : eq(disputes.state, filter.state),
      ),
    )
    .orderBy(desc(disputes.openedAtMs), asc(disputes.disputeId))
    .limit(filter.limit);
}

/** Disputes that were ruled and whose appeal is over, oldest first. */
export async function settleableDisputes(handle: Handle, nowMs: number): Promise<readonly DisputeRow[]> {
  const { disputes } = handle.tables;
  return handle.db
    .select()
    .from(disputes)
    .where(and(eq(disputes.state, 'ruled'), lte(disputes.appealUntilMs, nowMs)))
    .orderBy(asc(disputes.openedAtMs), asc(disputes.disputeId));
}

/** Upheld disputes of some faults with their evidence, about keys with an account, for which the outbox holds no proof; oldest first. */
export async function provableDisputes(
  handle: Handle,
  faults: readonly DisputeRow['fault'][],
): Promise<readonly { disputeId: string; provider: string; jobId: string; bundleJson: string }[]> {
  const { disputes, chainIntents, chainKeys } = handle.tables;
  const rows = await handle.db
    .select({
      disputeId: disputes.disputeId,
      provider: disputes.provider,
      jobId: disputes.jobId,
      bundleJson: disputes.bundleJson,
    })
    .from(disputes)
    // Who has no stake on the chain cannot be convicted there, now; it may come.
    .innerJoin(chainKeys, and(eq(chainKeys.signingKey, disputes.provider), eq(chainKeys.retired, 0)))
    .leftJoin(chainIntents, eq(chainIntents.intentKey, sql`'evidence:' || ${disputes.disputeId}`))
    .where(
      and(
        inArray(disputes.fault, [...faults]),
        eq(disputes.ruling, 'upheld'),
        isNotNull(disputes.bundleJson),
        isNull(chainIntents.intentKey),
      ),
    )
    .orderBy(asc(disputes.openedAtMs), asc(disputes.disputeId))
    .limit(PROVABLE_MAX);
  return rows.map((row) => ({ ...row, bundleJson: row.bundleJson! }));
}

/** How many disputes are in each state but the last. */
export async function openDisputeCounts(handle: Handle): Promise<Record<'opened' | 'evidence' | 'ruled', number>> {
  const { disputes } = handle.tables;
  const rows = await handle.db.select({ state: disputes.state, rows: count() }).from(disputes).groupBy(disputes.state);
  const of = (state: DisputeRow['state']) => Number(rows.find((row) => row.state === state)?.rows ?? 0);
  return { opened: of('opened'), evidence: of('evidence'), ruled: of('ruled') };
}

/** Changes a row whatever its state; callers have checked it in the same transaction. */
export async function updateDispute(tx: Tx, disputeId: string, change: Partial<DisputeRow>): Promise<void> {
  const { disputes } = tx.tables;
  tx.changes('stakes');
  await tx.db.update(disputes).set(change).where(eq(disputes.disputeId, disputeId));
}

/** Appends a move and returns its index. */
export async function appendDisputeMove(tx: Tx, disputeId: string, move: DisputeMove): Promise<number> {
  const { disputeMoves } = tx.tables;
  const [last] = await tx.db
    .select({ index: max(disputeMoves.moveIndex) })
    .from(disputeMoves)
    .where(eq(disputeMoves.disputeId, disputeId));
  const moveIndex = Number(last?.index ?? -1) + 1;
  await tx.db.insert(disputeMoves).values({ disputeId, moveIndex, ...move });
  return moveIndex;
}

/** All moves of a dispute in order. */
export async function disputeMoves(handle: Handle, disputeId: string): Promise<readonly DisputeMoveRow[]> {
  const { disputeMoves: moves } = handle.tables;
  return handle.db.select().from(moves).where(eq(moves.disputeId, disputeId)).orderBy(asc(moves.moveIndex));
}

/** Forgets bundles, which hold token ids, of settled disputes whose retention is over; referees of a chain read those of their cases until the end, however long these wait. */
export async function forgetExpiredBundles(tx: Tx, nowMs: number): Promise<void> {
  const { disputes } = tx.tables;
  await tx.db
    .update(disputes)
    .set({ bundleJson: null })
    .where(
      and(
        eq(disputes.state, 'settled'),
        lte(disputes.retainUntilMs, nowMs),
        isNotNull(disputes.bundleJson),
        notInArray(disputes.disputeId, inLiveCases(tx).disputeIds),
        notInArray(disputes.disputeId, waitingForConviction(tx, nowMs).disputeIds),
      ),
    );
}
