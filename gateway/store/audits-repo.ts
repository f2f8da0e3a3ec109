/** Rows of audits that were promised, done and paid for (SPEC.md §8.1). */
import { and, asc, eq, inArray, isNotNull, isNull, lte } from 'drizzle-orm';
import type { AuditOutcome } from '#protocol/audit-words';
import type { Handle, Tx } from './handle.ts';

export type AuditRow = Handle['tables']['audits']['$inferSelect'];
type AuditKey = Pick<AuditRow, 'requestId' | 'choice'>;

export async function insertAudit(tx: Tx, row: Omit<AuditRow, 'outcome' | 'logIndex'>): Promise<void> {
  await tx.db.insert(tx.tables.audits).values({ ...row, outcome: null, logIndex: null });
}

/** Audits whose time has come and that are not done, oldest first. */
export async function dueAudits(handle: Handle, nowMs: number, limit: number): Promise<readonly AuditRow[]> {
  const { audits } = handle.tables;
  return handle.db
    .select()
    .from(audits)
    .where(and(isNull(audits.logIndex), lte(audits.dueAtMs, nowMs)))
    .orderBy(asc(audits.dueAtMs), asc(audits.requestId), asc(audits.choice))
    .limit(limit);
}

export async function putOffAudit(tx: Tx, key: AuditKey, dueAtMs: number): Promise<void> {
  await tx.db
    .update(tx.tables.audits)
    .set({ dueAtMs })
    .where(and(rowOf(tx, key), isNull(tx.tables.audits.logIndex)));
}

/** Ends an audit, and forgets what it was about. @returns false where it had ended before */
export async function endAudit(
  tx: Tx,
  key: AuditKey,
  end: { readonly outcome: AuditOutcome; readonly logIndex: number },
): Promise<boolean> {
  const ended = await tx.db
    .update(tx.tables.audits)
    .set({ ...end, sealedWork: null })
    .where(and(rowOf(tx, key), isNull(tx.tables.audits.logIndex)))
    .returning({ requestId: tx.tables.audits.requestId });
  return ended.length > 0;
}

/** Ended audits in the order of the log: whose answer it was, and what it came to. */
export async function endedAudits(handle: Handle): Promise<readonly Pick<AuditRow, 'provider' | 'outcome'>[]> {
  const { audits } = handle.tables;
  return handle.db
    .select({ provider: audits.provider, outcome: audits.outcome })
    .from(audits)
    .where(isNotNull(audits.logIndex))
    .orderBy(asc(audits.logIndex));
}

/** Whether an audit of this choice is still to be done. */
export async function isAuditOpen(handle: Handle, key: AuditKey): Promise<boolean> {
  const { audits } = handle.tables;
  const rows = await handle.db
    .select({ choice: audits.choice })
    .from(audits)
    .where(and(rowOf(handle, key), isNull(audits.logIndex)));
  return rows.length > 0;
}

/** Whether an answer of any of these is still to be audited. */
export async function hasOpenAudits(handle: Handle, providers: readonly string[]): Promise<boolean> {
  const { audits } = handle.tables;
  const rows = await handle.db
    .select({ choice: audits.choice })
    .from(audits)
    .where(and(inArray(audits.provider, [...providers]), isNull(audits.logIndex)))
    .limit(1);
  return rows.length > 0;
}

function rowOf({ tables: { audits } }: Handle, { requestId, choice }: AuditKey) {
  return and(eq(audits.requestId, requestId), eq(audits.choice, choice));
}

/** Remembers that audits pay for these jobs. */
export async function insertAuditJobs(tx: Tx, jobIds: readonly string[], key: AuditKey): Promise<void> {
  for (const jobId of jobIds) await tx.db.insert(tx.tables.auditJobs).values({ jobId, ...key });
}

export async function isAuditJob(handle: Handle, jobId: string): Promise<boolean> {
  const { auditJobs } = handle.tables;
  const rows = await handle.db.select({ jobId: auditJobs.jobId }).from(auditJobs).where(eq(auditJobs.jobId, jobId));
  return rows.length > 0;
}
