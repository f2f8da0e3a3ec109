/** Rows of examinations: of what a provider answered alone, before its pay leaves for the first and the last time (SPEC.md §8.4). */
import { and, asc, count, desc, eq, gt, isNull, lte, ne } from 'drizzle-orm';
import type { AuditOutcome } from '#protocol/audit-words';
import type { Address } from '#protocol/hash';
import type { LoneSpan } from '../examine/occasion.ts';
import type { ExaminationFacts } from '../ledger/retained.ts';
import type { Handle, Tx } from './handle.ts';
import { providerByAddress } from './providers-repo.ts';

export type ExaminationRow = Handle['tables']['examinations']['$inferSelect'];
export type ExaminedRow = Handle['tables']['examined']['$inferSelect'];
type ItemKey = Pick<ExaminedRow, 'requestId' | 'choice'>;

export async function insertExamination(
  tx: Tx,
  row: Omit<ExaminationRow, 'endedAtMs' | 'feeNano'>,
  items: readonly (ItemKey & Pick<ExaminedRow, 'costNano'>)[],
): Promise<void> {
  await tx.db.insert(tx.tables.examinations).values({ ...row, endedAtMs: null, feeNano: 0n });
  const { examinationId, provider, beganAtMs: dueAtMs } = row;
  for (const { requestId, choice, costNano } of items) {
    const item = { requestId, choice, costNano, examinationId, provider, dueAtMs };
    await tx.db.insert(tx.tables.examined).values({ ...item, logIndex: null, outcome: null });
  }
}

export async function examinationById(handle: Handle, examinationId: string): Promise<ExaminationRow | null> {
  const { examinations } = handle.tables;
  const [row] = await handle.db.select().from(examinations).where(eq(examinations.examinationId, examinationId));
  return row ?? null;
}

/** The newest of a provider, ended or not. */
export async function newestExamination(handle: Handle, provider: string): Promise<ExaminationRow | null> {
  const { examinations } = handle.tables;
  const [row] = await handle.db
    .select()
    .from(examinations)
    .where(eq(examinations.provider, provider))
    .orderBy(desc(examinations.beganAtMs))
    .limit(1);
  return row ?? null;
}

type Machine = Pick<Handle['tables']['providers']['$inferSelect'], 'operator' | 'address'>;

function loneAnswers({ tables: { keptAnswers: kept } }: Handle, { operator, address }: Machine, nowMs: number) {
  const isIts = and(eq(kept.operator, operator), eq(kept.provider, address));
  return and(isIts, ne(kept.mode, 'witnessed'), gt(kept.keepUntilMs, nowMs));
}

/** Kept lone answers of a provider from after a time. */
export async function loneAnswersSince(
  handle: Handle,
  machine: Machine,
  sinceMs: number,
  nowMs: number,
): Promise<number> {
  const { keptAnswers: kept } = handle.tables;
  const [row] = await handle.db
    .select({ answers: count() })
    .from(kept)
    .where(and(loneAnswers(handle, machine, nowMs), gt(kept.answeredAtMs, sinceMs)));
  return Number(row?.answers ?? 0);
}

/** Times of the lone answers of a provider that are kept, the first and the last; null where there is none. */
export async function loneSpan(handle: Handle, machine: Machine, nowMs: number): Promise<LoneSpan | null> {
  const { keptAnswers: kept } = handle.tables;
  const at = async (order: typeof asc): Promise<number | null> => {
    const [row] = await handle.db
      .select({ atMs: kept.answeredAtMs })
      .from(kept)
      .where(loneAnswers(handle, machine, nowMs))
      .orderBy(order(kept.answeredAtMs))
      .limit(1);
    return row?.atMs ?? null;
  };
  const [firstMs, lastMs] = [await at(asc), await at(desc)];
  return firstMs === null || lastMs === null ? null : { firstMs, lastMs };
}

/** What decides whether a provider's pay grows older. */
export async function examinationFacts(handle: Handle, provider: string, nowMs: number): Promise<ExaminationFacts> {
  const row = await providerByAddress(handle, provider as Address);
  const span = row === null ? null : await loneSpan(handle, row, nowMs);
  return { lastMs: span?.lastMs ?? null, newest: await newestExamination(handle, provider) };
}

/** Whether answers of any machine of the operator are still examined. */
export async function hasOpenExamination(handle: Handle, operator: string): Promise<boolean> {
  const { examinations } = handle.tables;
  const rows = await handle.db
    .select({ id: examinations.examinationId })
    .from(examinations)
    .where(and(eq(examinations.operator, operator), isNull(examinations.endedAtMs)))
    .limit(1);
  return rows.length > 0;
}

/** What waits and is due, the oldest first. */
export async function dueExamined(handle: Handle, nowMs: number, limit: number): Promise<readonly ExaminedRow[]> {
  const { examined } = handle.tables;
  return handle.db
    .select()
    .from(examined)
    .where(and(isNull(examined.logIndex), lte(examined.dueAtMs, nowMs)))
    .orderBy(asc(examined.dueAtMs), asc(examined.requestId), asc(examined.choice))
    .limit(limit);
}

export async function examinedOf(handle: Handle, examinationId: string): Promise<readonly ExaminedRow[]> {
  const { examined } = handle.tables;
  return handle.db.select().from(examined).where(eq(examined.examinationId, examinationId));
}

export async function isExaminedOpen(handle: Handle, key: ItemKey): Promise<boolean> {
  const { examined } = handle.tables;
  const rows = await handle.db
    .select({ choice: examined.choice })
    .from(examined)
    .where(and(rowOf(handle, key), isNull(examined.logIndex)));
  return rows.length > 0;
}

export async function putOffExamined(tx: Tx, key: ItemKey, dueAtMs: number): Promise<void> {
  await tx.db
    .update(tx.tables.examined)
    .set({ dueAtMs })
    .where(and(rowOf(tx, key), isNull(tx.tables.examined.logIndex)));
}

export async function endExamined(
  tx: Tx,
  key: ItemKey,
  end: { readonly outcome: AuditOutcome; readonly logIndex: number },
): Promise<void> {
  await tx.db.update(tx.tables.examined).set(end).where(rowOf(tx, key));
}

export async function endExamination(
  tx: Tx,
  examinationId: string,
  end: { readonly endedAtMs: number; readonly feeNano: bigint },
): Promise<void> {
  const { examinations } = tx.tables;
  await tx.db.update(examinations).set(end).where(eq(examinations.examinationId, examinationId));
}

function rowOf({ tables: { examined } }: Handle, { requestId, choice }: ItemKey) {
  return and(eq(examined.requestId, requestId), eq(examined.choice, choice));
}
