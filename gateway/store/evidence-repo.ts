/** Rows of accumulated evidence: responses that were counted, and where accounts stand (spec-judge.md §7.10). */
import { and, asc, eq, isNotNull, lte, or } from 'drizzle-orm';
import type { ScoredEntry } from '#protocol/log';
import type { Handle, Tx } from './handle.ts';

export type ScoredRow = Handle['tables']['scoredResponses']['$inferSelect'];
export type EvidenceAccountRow = Handle['tables']['evidenceAccounts']['$inferSelect'];

/** A counted response with its entry of the log. */
export interface CountedRow {
  readonly row: Omit<ScoredRow, 'evidenceJson'>;
  readonly entry: ScoredEntry;
}

/** All counted responses in the order of the log, without what was said in them. */
export async function countedResponses(handle: Handle): Promise<CountedRow[]> {
  const { scoredResponses: scored, logEntries } = handle.tables;
  const { evidenceJson: _, ...columns } = columnsOf(scored);
  const rows = await handle.db
    .select({ row: columns, entryJson: logEntries.entryJson })
    .from(scored)
    .innerJoin(logEntries, eq(logEntries.logIndex, scored.logIndex))
    .orderBy(asc(scored.logIndex));
  return rows.map(({ row, entryJson }) => ({ row, entry: JSON.parse(entryJson) as ScoredEntry }));
}

function columnsOf(scored: Handle['tables']['scoredResponses']) {
  const { responseId, requestId, operator, modelDigest, provider, client, promptHash } = scored;
  const { logIndex, evidenceJson, retainUntilMs } = scored;
  return {
    responseId,
    requestId,
    operator,
    modelDigest,
    provider,
    client,
    promptHash,
    logIndex,
    evidenceJson,
    retainUntilMs,
  };
}

/** Responses of one account from an index of the log on, with what is still kept of them. */
export async function responsesOfAccount(
  handle: Handle,
  { modelDigest, operator }: Pick<ScoredRow, 'modelDigest' | 'operator'>,
): Promise<(CountedRow & { readonly evidenceJson: string | null })[]> {
  const { scoredResponses: scored, logEntries } = handle.tables;
  const { evidenceJson, ...columns } = columnsOf(scored);
  const rows = await handle.db
    .select({ row: columns, evidenceJson, entryJson: logEntries.entryJson })
    .from(scored)
    .innerJoin(logEntries, eq(logEntries.logIndex, scored.logIndex))
    .where(and(eq(scored.modelDigest, modelDigest), eq(scored.operator, operator)))
    .orderBy(asc(scored.logIndex));
  return rows.map(({ row, evidenceJson: text, entryJson }) => {
    return { row, evidenceJson: text, entry: JSON.parse(entryJson) as ScoredEntry };
  });
}

/** Whether the response, or another to the same prompt, was counted in the account. */
export async function isCounted(
  handle: Handle,
  response: Pick<ScoredRow, 'responseId' | 'modelDigest' | 'operator' | 'promptHash'>,
): Promise<boolean> {
  const { scoredResponses: scored } = handle.tables;
  const samePrompt = and(
    eq(scored.modelDigest, response.modelDigest),
    eq(scored.operator, response.operator),
    eq(scored.promptHash, response.promptHash),
  );
  const rows = await handle.db
    .select({ responseId: scored.responseId })
    .from(scored)
    .where(or(eq(scored.responseId, response.responseId), samePrompt))
    .limit(1);
  return rows.length > 0;
}

export async function insertScored(tx: Tx, row: ScoredRow): Promise<void> {
  await tx.db.insert(tx.tables.scoredResponses).values(row);
}

export async function putEvidenceAccount(tx: Tx, row: EvidenceAccountRow): Promise<void> {
  const { evidenceAccounts: accounts } = tx.tables;
  const { modelDigest: _model, operator: _operator, ...standing } = row;
  const target = [accounts.modelDigest, accounts.operator];
  await tx.db.insert(accounts).values(row).onConflictDoUpdate({ target, set: standing });
}

export async function listEvidenceAccounts(handle: Handle): Promise<readonly EvidenceAccountRow[]> {
  const { evidenceAccounts: accounts } = handle.tables;
  return handle.db.select().from(accounts).orderBy(asc(accounts.modelDigest), asc(accounts.operator));
}

/** Forgets tokens and scores whose retention is over; the entries of the log, and so the wealth, stay. */
export async function forgetExpiredEvidence(tx: Tx, nowMs: number): Promise<void> {
  const { scoredResponses: scored } = tx.tables;
  await tx.db
    .update(scored)
    .set({ evidenceJson: null })
    .where(and(lte(scored.retainUntilMs, nowMs), isNotNull(scored.evidenceJson)));
}
