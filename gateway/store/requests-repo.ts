/** Rows of requests and idempotency keys. */
import { and, asc, desc, eq, getTableColumns, lte, notInArray } from 'drizzle-orm';
import { ProtocolError } from '#protocol/errors';
import type { Handle, Tx } from './handle.ts';
import { condition, IS_OPEN } from './schema/checks.ts';
import { changing, given, inserting, reading } from './statement.ts';

export type RequestRow = Handle['tables']['requests']['$inferSelect'];
export type IdempotencyRow = Handle['tables']['idempotencyKeys']['$inferSelect'];

/** States in which money is held. */
export const OPEN_STATES = ['accepted', 'running'] as const;

const insertRow = inserting((tables) => tables.requests);
const rowById = reading((db, { requests }) => ({
  query: db
    .select()
    .from(requests)
    .where(eq(requests.requestId, given('requestId'))),
  columns: getTableColumns(requests),
}));
const changeRow = changing(
  (tables) => tables.requests,
  (requests) => eq(requests.requestId, given('requestId')),
);

export async function insertRequest(tx: Tx, row: RequestRow): Promise<void> {
  await insertRow(tx, row);
}

export async function requestById(handle: Handle, requestId: string): Promise<RequestRow | null> {
  const [row] = await rowById(handle, { requestId });
  return row ?? null;
}

/** The request, which must be open. @throws {ProtocolError} internal_error when it is unknown or has ended */
export async function openRequest(tx: Tx, requestId: string): Promise<RequestRow> {
  const row = await requestById(tx, requestId);
  if (row === null || (row.state !== 'accepted' && row.state !== 'running')) {
    throw new ProtocolError('internal_error', 'The request is not open.', {
      details: { requestId, state: row?.state ?? null },
    });
  }
  return row;
}

/** Changes a row whatever its state; callers have checked it in the same transaction. */
export async function updateRequest(tx: Tx, requestId: string, change: Partial<RequestRow>): Promise<void> {
  await changeRow(tx, { requestId }, change);
}

/** Every request that was accepted and has not ended, oldest first. */
export async function unfinishedRequests(handle: Handle): Promise<readonly RequestRow[]> {
  const { requests } = handle.tables;
  return handle.db
    .select()
    .from(requests)
    .where(condition(IS_OPEN))
    .orderBy(asc(requests.createdAtMs), asc(requests.requestId));
}

/** A key's latest requests, newest first. */
export async function requestsOfKey(handle: Handle, keyId: string, limit: number): Promise<readonly RequestRow[]> {
  const { requests } = handle.tables;
  return handle.db
    .select()
    .from(requests)
    .where(eq(requests.keyId, keyId))
    .orderBy(desc(requests.createdAtMs), desc(requests.requestId))
    .limit(limit);
}

export async function idempotencyRow(
  handle: Handle,
  keyId: string,
  idempotencyKey: string,
): Promise<IdempotencyRow | null> {
  const { idempotencyKeys } = handle.tables;
  const [row] = await handle.db
    .select()
    .from(idempotencyKeys)
    .where(and(eq(idempotencyKeys.keyId, keyId), eq(idempotencyKeys.idempotencyKey, idempotencyKey)));
  return row ?? null;
}

/** Points an idempotency key at its latest attempt. */
export async function putIdempotencyRow(tx: Tx, row: IdempotencyRow): Promise<void> {
  const { idempotencyKeys } = tx.tables;
  const { requestId, bodyHash, expiresAtMs, sealedAnswer } = row;
  await tx.db
    .insert(idempotencyKeys)
    .values(row)
    .onConflictDoUpdate({
      target: [idempotencyKeys.keyId, idempotencyKeys.idempotencyKey],
      set: { requestId, bodyHash, expiresAtMs, sealedAnswer },
    });
}

/** Keeps the sealed answer of an attempt for whoever repeats its call. */
export async function setSealedAnswer(
  tx: Tx,
  call: { readonly keyId: string; readonly idempotencyKey: string; readonly requestId: string },
  sealedAnswer: string,
): Promise<void> {
  const { idempotencyKeys } = tx.tables;
  await tx.db
    .update(idempotencyKeys)
    .set({ sealedAnswer })
    .where(
      and(
        eq(idempotencyKeys.keyId, call.keyId),
        eq(idempotencyKeys.idempotencyKey, call.idempotencyKey),
        eq(idempotencyKeys.requestId, call.requestId),
      ),
    );
}

/** Forgets idempotency keys whose time is over and whose call has ended: while it runs, a repeat must find it. */
export async function dropExpiredIdempotencyKeys(tx: Tx, nowMs: number): Promise<void> {
  const { idempotencyKeys, requests } = tx.tables;
  const running = tx.db.select({ requestId: requests.requestId }).from(requests).where(condition(IS_OPEN));
  await tx.db
    .delete(idempotencyKeys)
    .where(and(lte(idempotencyKeys.expiresAtMs, nowMs), notInArray(idempotencyKeys.requestId, running)));
}
