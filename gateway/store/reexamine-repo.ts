/** Rows of answers that may be looked at again, of re-examinations and of what they saw (SPEC.md §8.3). */
import { and, asc, count, desc, eq, gt, gte, inArray, isNotNull, isNull, lte, notExists, or, sql } from 'drizzle-orm';
import type { Handle, Tx } from './handle.ts';

export type KeptRow = Handle['tables']['keptAnswers']['$inferSelect'];
export type ReexaminationRow = Handle['tables']['reexaminations']['$inferSelect'];
export type ReexaminedRow = Handle['tables']['reexamined']['$inferSelect'];
export type ItemKey = Pick<ReexaminedRow, 'requestId' | 'choice'>;

export async function keepAnswer(tx: Tx, row: KeptRow): Promise<void> {
  await tx.db.insert(tx.tables.keptAnswers).values(row);
}

export async function keptAnswer(handle: Handle, { requestId, choice }: ItemKey): Promise<KeptRow | null> {
  const { keptAnswers: kept } = handle.tables;
  const [row] = await handle.db
    .select()
    .from(kept)
    .where(and(eq(kept.requestId, requestId), eq(kept.choice, choice)));
  return row ?? null;
}

/** What is known of an answer that might be looked at again. */
export interface KeptCandidate extends Omit<KeptRow, 'sealedWork'> {
  readonly chargedNano: bigint;
}

/**
 * Kept answers of an account that nobody has audited or examined, is about to, or argues about, and that were not overturned.
 * @param limit rows that are read, the newest first
 */
export async function unexaminedAnswers(
  handle: Handle,
  { operator, fromMs, nowMs }: { readonly operator: string; readonly fromMs: number; readonly nowMs: number },
  limit: number,
): Promise<readonly KeptCandidate[]> {
  const { keptAnswers: kept, requests, audits, examined, reexamined, disputes, attestations } = handle.tables;
  const columns = {
    requestId: kept.requestId,
    choice: kept.choice,
    jobId: kept.jobId,
    provider: kept.provider,
    operator: kept.operator,
    mode: kept.mode,
    askedPpm: kept.askedPpm,
    costNano: kept.costNano,
    answeredAtMs: kept.answeredAtMs,
    keepUntilMs: kept.keepUntilMs,
  };
  const one = { one: sql`1` };
  // An audit that said nothing is none.
  const audited = handle.db
    .select(one)
    .from(audits)
    .where(
      and(
        eq(audits.requestId, kept.requestId),
        eq(audits.choice, kept.choice),
        or(isNull(audits.outcome), inArray(audits.outcome, ['held', 'rejected'])),
      ),
    );
  const drawn = handle.db
    .select(one)
    .from(examined)
    .where(
      and(
        eq(examined.requestId, kept.requestId),
        eq(examined.choice, kept.choice),
        or(isNull(examined.outcome), inArray(examined.outcome, ['held', 'rejected'])),
      ),
    );
  const looked = handle.db
    .select(one)
    .from(reexamined)
    .where(and(eq(reexamined.requestId, kept.requestId), eq(reexamined.choice, kept.choice)));
  const argued = handle.db
    .select(one)
    .from(disputes)
    .where(and(eq(disputes.jobId, kept.jobId), inArray(disputes.fault, ['wrong_output', 'bad_evidence'])));
  const fallen = handle.db
    .select(one)
    .from(attestations)
    .where(and(eq(attestations.requestId, kept.requestId), isNotNull(attestations.overturnedBy)));
  return handle.db
    .select({ ...columns, chargedNano: requests.chargedNano })
    .from(kept)
    .innerJoin(requests, eq(requests.requestId, kept.requestId))
    .where(
      and(
        eq(kept.operator, operator),
        gte(kept.answeredAtMs, fromMs),
        gt(kept.keepUntilMs, nowMs),
        ...[audited, drawn, looked, argued, fallen].map((rows) => notExists(rows)),
      ),
    )
    .orderBy(desc(kept.answeredAtMs), asc(kept.requestId), asc(kept.choice))
    .limit(limit);
}

/** Times of the latest answers of these that were audited and held, newest first. */
export async function passedAnswers(handle: Handle, providers: readonly string[], limit: number): Promise<number[]> {
  const { audits, requests } = handle.tables;
  const rows = await handle.db
    .select({ atMs: requests.endedAtMs })
    .from(audits)
    .innerJoin(requests, eq(requests.requestId, audits.requestId))
    .where(and(inArray(audits.provider, [...providers]), eq(audits.outcome, 'held')))
    .orderBy(desc(requests.endedAtMs))
    .limit(limit);
  return rows.flatMap(({ atMs }) => atMs ?? []);
}

export async function insertReexamination(
  tx: Tx,
  row: ReexaminationRow,
  items: readonly Pick<ReexaminedRow, 'requestId' | 'choice' | 'provider'>[],
): Promise<void> {
  await tx.db.insert(tx.tables.reexaminations).values(row);
  const { disputeId, beganAtMs: dueAtMs } = row;
  const waiting = { disputeId, dueAtMs, logIndex: null, accusedIn: null, outcome: null, refundedNano: 0n };
  for (const [rank, item] of items.entries()) {
    await tx.db.insert(tx.tables.reexamined).values({ ...item, ...waiting, rank });
  }
}

export async function reexaminationOf(handle: Handle, disputeId: string): Promise<ReexaminationRow | null> {
  const { reexaminations: all } = handle.tables;
  const [row] = await handle.db.select().from(all).where(eq(all.disputeId, disputeId));
  return row ?? null;
}

/** What waits and is due, the most urgent first. */
export async function waitingItems(handle: Handle, nowMs: number, limit: number): Promise<readonly ReexaminedRow[]> {
  const { reexamined: items } = handle.tables;
  return handle.db
    .select()
    .from(items)
    .where(and(isNull(items.logIndex), lte(items.dueAtMs, nowMs)))
    .orderBy(asc(items.rank), asc(items.requestId), asc(items.choice))
    .limit(limit);
}

/** Answers that nobody has looked at yet, due or not. */
export async function waitingAnswers(handle: Handle): Promise<number> {
  const { reexamined: items } = handle.tables;
  const [row] = await handle.db.select({ rows: count() }).from(items).where(isNull(items.logIndex));
  return Number(row?.rows ?? 0);
}

/** What one re-examination is about, in its order. */
export async function itemsOf(handle: Handle, disputeId: string): Promise<readonly ReexaminedRow[]> {
  const { reexamined: items } = handle.tables;
  return handle.db.select().from(items).where(eq(items.disputeId, disputeId)).orderBy(asc(items.rank));
}

export async function itemAccusedIn(handle: Handle, disputeId: string): Promise<ReexaminedRow | null> {
  const { reexamined: items } = handle.tables;
  const [row] = await handle.db.select().from(items).where(eq(items.accusedIn, disputeId));
  return row ?? null;
}

/** Whether it is still to be looked at because of this conviction: where that has fallen, another may want it looked at. */
export async function isWaiting(handle: Handle, item: ItemKey & Pick<ReexaminedRow, 'disputeId'>): Promise<boolean> {
  const { reexamined: items } = handle.tables;
  const rows = await handle.db
    .select({ choice: items.choice })
    .from(items)
    .where(and(rowOf(handle, item), eq(items.disputeId, item.disputeId), isNull(items.logIndex)));
  return rows.length > 0;
}

export async function updateItem(tx: Tx, key: ItemKey, change: Partial<ReexaminedRow>): Promise<void> {
  await tx.db.update(tx.tables.reexamined).set(change).where(rowOf(tx, key));
}

export async function endReexamination(tx: Tx, disputeId: string, endedAtMs: number): Promise<void> {
  const { reexaminations: all } = tx.tables;
  await tx.db
    .update(all)
    .set({ endedAtMs })
    .where(and(eq(all.disputeId, disputeId), isNull(all.endedAtMs)));
}

/** What nobody has looked at yet is looked at no more. */
export async function dropWaiting(tx: Tx, disputeId: string): Promise<void> {
  const { reexamined: items } = tx.tables;
  await tx.db.delete(items).where(and(eq(items.disputeId, disputeId), isNull(items.logIndex)));
}

/** Whether answers of the account are still looked at. */
export async function hasOpenReexamination(handle: Handle, operator: string): Promise<boolean> {
  const { reexaminations: all } = handle.tables;
  const rows = await handle.db
    .select({ disputeId: all.disputeId })
    .from(all)
    .where(and(eq(all.operator, operator), isNull(all.endedAtMs)))
    .limit(1);
  return rows.length > 0;
}

/** Forgets prompts and transcripts whose time is over; what waits for its examination stays until that. */
export async function forgetExpiredAnswers(tx: Tx, nowMs: number): Promise<void> {
  const { keptAnswers: kept } = tx.tables;
  const waits = [tx.tables.reexamined, tx.tables.examined].map((items) =>
    notExists(
      tx.db
        .select({ one: sql`1` })
        .from(items)
        .where(and(eq(items.requestId, kept.requestId), eq(items.choice, kept.choice), isNull(items.logIndex))),
    ),
  );
  await tx.db.delete(kept).where(and(lte(kept.keepUntilMs, nowMs), ...waits));
}

function rowOf({ tables: { reexamined } }: Handle, { requestId, choice }: ItemKey) {
  return and(eq(reexamined.requestId, requestId), eq(reexamined.choice, choice));
}
