/** Cases before a chain's referees: which disputes, where they stand, and what has been signed about them (spec-chain.md C7, C9.8). */
import { and, asc, count, desc, eq, inArray, isNotNull, isNull, ne, or, sql } from 'drizzle-orm';
import { alias } from 'drizzle-orm/sqlite-core';
import type { Address, Hash } from '#protocol/hash';
import { freezeId } from '../ledger/freezing.ts';
import type { Handle, Tx } from './handle.ts';
import { LIVE_CASES } from './schema/words.ts';

export type CaseRow = Handle['tables']['chainCases']['$inferSelect'];
export type VoiceRow = Handle['tables']['chainVoices']['$inferSelect'];

/** Bundles hold tokens: not too many at one time. */
const DUE_MAX = 10;

/** A case as anybody may see it; `voices` say who has signed, not the signature. */
export interface CaseView {
  readonly id: string;
  readonly object: 'case';
  readonly dispute_id: string;
  readonly account: string;
  readonly bundle_hash: string;
  readonly state: CaseRow['state'];
  readonly outcome: CaseRow['outcome'];
  /** End of the step that it is in, in seconds. */
  readonly deadline: number | null;
  readonly division: { readonly client: string; readonly refund: string; readonly right: readonly string[] };
  readonly voices: readonly { readonly instance: number; readonly referee: string; readonly outcome: string }[];
}

/** A dispute that a case would be about. */
export interface DueDispute {
  readonly disputeId: string;
  readonly account: Address;
  readonly bundleJson: string;
  /** Whether the slash of a conviction before it answers for it: then it is about its client's money alone. */
  readonly isAftermath: boolean;
}

/** Final upheld disputes of some faults, with their evidence, about keys whose account has stake, that are in no case; oldest first. */
export async function disputesForCases(
  handle: Handle,
  faults: readonly Handle['tables']['disputes']['$inferSelect']['fault'][],
): Promise<readonly DueDispute[]> {
  const { disputes, chainCases, chainKeys, chainStakes, reexamined, transfers } = handle.tables;
  const conviction = alias(disputes, 'conviction');
  const rows = await handle.db
    .select({
      ...{ disputeId: disputes.disputeId, account: chainKeys.account, bundleJson: disputes.bundleJson },
      ...{ convictedIn: conviction.disputeId, succession: transfers.id },
    })
    .from(disputes)
    .innerJoin(chainKeys, and(eq(chainKeys.signingKey, disputes.provider), eq(chainKeys.retired, 0)))
    .innerJoin(chainStakes, eq(chainStakes.account, chainKeys.account))
    .leftJoin(chainCases, eq(chainCases.disputeId, disputes.disputeId))
    .leftJoin(reexamined, eq(reexamined.accusedIn, disputes.disputeId))
    .leftJoin(conviction, eq(conviction.disputeId, reexamined.disputeId))
    .leftJoin(transfers, eq(transfers.id, sql`${freezeId('', 'succession')} || ${disputes.disputeId}`))
    .where(
      and(
        inArray(disputes.fault, [...faults]),
        eq(disputes.ruling, 'upheld'),
        eq(disputes.state, 'settled'),
        isNotNull(disputes.bundleJson),
        isNull(chainCases.disputeId),
        // Whoever has no stake left loses nothing, and the bond would be bound for days.
        or(ne(chainStakes.activeBase, '0'), ne(chainStakes.queuedBase, '0')),
        // What the ledger pays back the chain must not: it is known once the conviction behind it has been settled here.
        or(isNull(conviction.disputeId), eq(conviction.state, 'settled')),
      ),
    )
    .orderBy(asc(disputes.openedAtMs), asc(disputes.disputeId))
    .limit(DUE_MAX);
  return rows.map(({ disputeId, account, bundleJson, convictedIn, succession }) => {
    // What has taken the place of a conviction that fell is one itself.
    const isAftermath = convictedIn !== null && succession === null;
    return { disputeId, account: account as Address, bundleJson: bundleJson!, isAftermath };
  });
}

export async function insertCase(tx: Tx, row: CaseRow): Promise<void> {
  await tx.db.insert(tx.tables.chainCases).values(row);
}

export async function caseCount(handle: Handle): Promise<number> {
  const [row] = await handle.db.select({ rows: count() }).from(handle.tables.chainCases);
  return Number(row?.rows ?? 0);
}

/** Whether a case refunds the client of the request, or may still do so: one that ended without that does not. */
export async function refundsInCase(handle: Handle, requestId: string): Promise<boolean> {
  const { disputes, chainCases } = handle.tables;
  const rows = await handle.db
    .select({ disputeId: disputes.disputeId })
    .from(disputes)
    .innerJoin(chainCases, eq(chainCases.disputeId, disputes.disputeId))
    .where(
      and(
        eq(disputes.requestId, requestId),
        ne(chainCases.refundBase, '0'),
        or(inArray(chainCases.state, [...LIVE_CASES]), eq(chainCases.outcome, 'upheld')),
      ),
    )
    .limit(1);
  return rows.length > 0;
}

/** Cases that are not at their end, oldest first. */
export async function liveCases(handle: Handle): Promise<readonly CaseRow[]> {
  const { chainCases: cases } = handle.tables;
  return handle.db
    .select()
    .from(cases)
    .where(inArray(cases.state, [...LIVE_CASES]))
    .orderBy(asc(cases.enteredAtMs), asc(cases.disputeId));
}

/** Whether the newest case that is at its end ended without a ruling, and another is before the referees now. */
export async function refereesAreIdle(handle: Handle): Promise<boolean> {
  const { chainCases: cases } = handle.tables;
  const [last] = await handle.db
    .select({ outcome: cases.outcome })
    .from(cases)
    .where(eq(cases.state, 'settled'))
    .orderBy(desc(cases.deadlineSeconds), desc(cases.enteredAtMs))
    .limit(1);
  return last !== undefined && last.outcome === null && (await liveCases(handle)).length > 0;
}

export async function caseByDispute(handle: Handle, disputeId: string): Promise<CaseRow | null> {
  const { chainCases: cases } = handle.tables;
  const [row] = await handle.db.select().from(cases).where(eq(cases.disputeId, disputeId));
  return row ?? null;
}

export async function moveCase(
  tx: Tx,
  disputeId: string,
  change: Partial<Pick<CaseRow, 'state' | 'outcome' | 'setVersion' | 'deadlineSeconds'>>,
): Promise<void> {
  const { chainCases: cases } = tx.tables;
  await tx.db.update(cases).set(change).where(eq(cases.disputeId, disputeId));
}

/** What has been signed for one instance, by ascending referee: the order in which the contract takes it. */
export async function voicesOf(handle: Handle, caseId: string): Promise<readonly VoiceRow[]> {
  const { chainVoices: voices } = handle.tables;
  return handle.db
    .select()
    .from(voices)
    .where(eq(voices.caseId, caseId))
    .orderBy(asc(voices.instance), asc(voices.referee));
}

export async function putVoice(tx: Tx, row: VoiceRow): Promise<void> {
  const { chainVoices: voices } = tx.tables;
  const { outcome, signature, atMs } = row;
  await tx.db
    .insert(voices)
    .values(row)
    .onConflictDoUpdate({
      target: [voices.caseId, voices.instance, voices.referee],
      set: { outcome, signature, atMs },
    });
}

export async function caseOfDispute(handle: Handle, disputeId: string): Promise<CaseView | null> {
  const row = await caseByDispute(handle, disputeId);
  return row && viewOf(handle, row);
}

export async function viewOf(handle: Handle, row: CaseRow): Promise<CaseView> {
  const voices = await voicesOf(handle, row.caseId);
  return {
    id: row.caseId,
    object: 'case',
    dispute_id: row.disputeId,
    account: row.account,
    bundle_hash: row.bundleHash,
    state: row.state,
    outcome: row.outcome,
    deadline: row.deadlineSeconds,
    division: { client: row.client, refund: row.refundBase, right: rightIn(row) },
    voices: voices.map(({ instance, referee, outcome }) => ({ instance, referee, outcome })),
  };
}

/** Accounts of those who were right, ascending. */
export function rightIn({ rightJson }: Pick<CaseRow, 'rightJson'>): readonly Address[] {
  return JSON.parse(rightJson) as Address[];
}

/** The case's name as a hash. */
export const caseIdOf = ({ caseId }: Pick<CaseRow, 'caseId'>): Hash => caseId as Hash;
