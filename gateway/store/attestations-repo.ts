/** Attestations: stored unsigned with the settlement, signed once that is durable, kept as long as the client was told. */
import { and, asc, eq, getTableColumns, isNotNull, isNull, lte, notInArray } from 'drizzle-orm';
import { compactForm } from '#protocol/attestation';
import type { Hash, Hex } from '#protocol/hash';
import { inLiveCases, waitingForConviction } from './case-evidence.ts';
import type { Handle, Tx } from './handle.ts';
import { given, inserting, reading, writing } from './statement.ts';

export interface AttestationRow {
  readonly requestId: string;
  readonly logIndex: number;
  readonly contentHash: Hash;
  /** Canonical JSON of the statement; null after retention. */
  readonly statementJson: string | null;
  /** The signature in hex; before this was so, the whole compact form. Null until signed and after retention. */
  readonly compact: string | null;
  readonly receiptJson: string | null;
  readonly retainUntilMs: number;
  /** The dispute whose ruling says that the answer was wrong; null while it stands. */
  readonly overturnedBy: Hash | null;
  readonly overturnedAtMs: number | null;
}

const insertRow = inserting((tables) => tables.attestations);
const rowOfRequest = reading((db, { attestations }) => ({
  query: db
    .select()
    .from(attestations)
    .where(eq(attestations.requestId, given('requestId'))),
  columns: getTableColumns(attestations),
}));
const signRow = writing((db, { attestations }) =>
  db
    .update(attestations)
    .set({ compact: given('compact') as never })
    .where(
      and(
        eq(attestations.requestId, given('requestId')),
        isNull(attestations.compact),
        isNotNull(attestations.statementJson),
      ),
    ),
);
const receiveRow = writing((db, { attestations }) =>
  db
    .update(attestations)
    .set({ receiptJson: given('receiptJson') as never })
    .where(and(eq(attestations.requestId, given('requestId')), isNotNull(attestations.statementJson))),
);

export async function insertAttestation(tx: Tx, row: AttestationRow): Promise<void> {
  await insertRow(tx, row);
}

/** Stores the signature once: the statement that it belongs to is stored already. @returns false when there is one, or no statement */
export async function setAttestationSignature(tx: Tx, requestId: string, signature: Hex): Promise<boolean> {
  return (await signRow(tx, { requestId, compact: signature })) === 1;
}

/** The compact form of a row; null while it is unsigned and after retention. */
export function signedFormOf({
  statementJson,
  compact,
}: Pick<AttestationRow, 'statementJson' | 'compact'>): string | null {
  if (compact === null || compact.startsWith('v1.')) return compact;
  return statementJson === null ? null : compactForm(statementJson, compact as Hex);
}

/** Marks an answer as wrong by the ruling of a dispute; the first one is kept. */
export async function overturnAttestation(tx: Tx, requestId: string, disputeId: Hash, atMs: number): Promise<boolean> {
  const { attestations } = tx.tables;
  const rows = await tx.db
    .update(attestations)
    .set({ overturnedBy: disputeId, overturnedAtMs: atMs })
    .where(and(eq(attestations.requestId, requestId), isNull(attestations.overturnedBy)))
    .returning({ requestId: attestations.requestId });
  return rows.length === 1;
}

/** Lets an answer stand again whose dispute was ruled otherwise on appeal. @returns whether it had fallen by that dispute */
export async function reinstateAttestation(tx: Tx, requestId: string, disputeId: Hash): Promise<boolean> {
  const { attestations } = tx.tables;
  const rows = await tx.db
    .update(attestations)
    .set({ overturnedBy: null, overturnedAtMs: null })
    .where(and(eq(attestations.requestId, requestId), eq(attestations.overturnedBy, disputeId)))
    .returning({ requestId: attestations.requestId });
  return rows.length === 1;
}

/** Stores the receipt, which a later checkpoint may replace. */
export async function setReceipt(tx: Tx, requestId: string, receiptJson: string): Promise<void> {
  await receiveRow(tx, { requestId, receiptJson });
}

export async function attestationOf(handle: Handle, requestId: string): Promise<AttestationRow | null> {
  const [row] = await rowOfRequest(handle, { requestId });
  return row === undefined ? null : (row as AttestationRow);
}

/** Statements that became durable and were not signed before a crash, by log index. */
export async function unsignedAttestations(handle: Handle): Promise<readonly AttestationRow[]> {
  const { attestations } = handle.tables;
  return (await handle.db
    .select()
    .from(attestations)
    .where(and(isNull(attestations.compact), isNotNull(attestations.statementJson)))
    .orderBy(asc(attestations.logIndex))) as AttestationRow[];
}

/** Forgets receipts, which name a log's origin; each is made again when it is asked for. */
export async function forgetReceipts(tx: Tx): Promise<void> {
  const { attestations } = tx.tables;
  await tx.db.update(attestations).set({ receiptJson: null }).where(isNotNull(attestations.receiptJson));
}

/** Forgets statements, which hold token ids, whose retention is over; hash and log index stay. Without it a division before referees follows from nothing. */
export async function forgetExpiredAttestations(tx: Tx, nowMs: number): Promise<void> {
  const { attestations } = tx.tables;
  await tx.db
    .update(attestations)
    .set({ statementJson: null, compact: null, receiptJson: null })
    .where(
      and(
        lte(attestations.retainUntilMs, nowMs),
        isNotNull(attestations.statementJson),
        notInArray(attestations.requestId, inLiveCases(tx).requestIds),
        notInArray(attestations.requestId, waitingForConviction(tx, nowMs).requestIds),
      ),
    );
}
