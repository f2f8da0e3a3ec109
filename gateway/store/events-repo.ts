/** Rows of client events, webhooks and their deliveries (SPEC.md §10.6, §10.7). */
import { and, asc, count, eq, gt, inArray, isNull, lte, max, min, ne, notExists, sql } from 'drizzle-orm';
import { takeNumbers } from './counters.ts';
import type { Handle, Tx } from './handle.ts';

export type EventRow = Handle['tables']['clientEvents']['$inferSelect'];
export type WebhookRow = Handle['tables']['webhooks']['$inferSelect'];
export type DeliveryRow = Handle['tables']['webhookDeliveries']['$inferSelect'];

/** How long events are kept for readers that come back: a week. */
export const EVENTS_KEPT_MS = 7 * 24 * 3600 * 1000;

/** Enters an event, and its delivery where the key has a webhook now. */
export async function insertEvent(tx: Tx, event: Omit<EventRow, 'seq'>): Promise<void> {
  // From 1: a reader that has seen nothing has seen 0.
  const seq = 1 + (await takeNumbers(tx, 'client-events', 1));
  await tx.db.insert(tx.tables.clientEvents).values({ ...event, seq });
  const hook = await webhookOf(tx, event.keyId);
  if (hook === null || hook.stoppedAtMs !== null) return;
  await tx.db
    .insert(tx.tables.webhookDeliveries)
    .values({ seq, keyId: event.keyId, state: 'waiting', tries: 0, dueAtMs: event.atMs, status: null });
}

/** Events of a key after one of them, oldest first. */
export async function eventsAfter(
  handle: Handle,
  keyId: string,
  seq: number,
  limit: number,
): Promise<readonly EventRow[]> {
  const { clientEvents: events } = handle.tables;
  return handle.db
    .select()
    .from(events)
    .where(and(eq(events.keyId, keyId), gt(events.seq, seq)))
    .orderBy(asc(events.seq))
    .limit(limit);
}

/** First and last event of a key that are kept; null where none is. */
export async function eventRange(handle: Handle, keyId: string): Promise<{ first: number; last: number } | null> {
  const { clientEvents: events } = handle.tables;
  const [row] = await handle.db
    .select({ first: min(events.seq), last: max(events.seq) })
    .from(events)
    .where(eq(events.keyId, keyId));
  return row?.first == null ? null : { first: row.first, last: row.last! };
}

/** The oldest event that is kept, of any key; null where none is. */
export async function oldestEvent(handle: Handle): Promise<number | null> {
  const { clientEvents: events } = handle.tables;
  const [row] = await handle.db.select({ first: min(events.seq) }).from(events);
  return row?.first ?? null;
}

export async function webhookOf(handle: Handle, keyId: string): Promise<WebhookRow | null> {
  const { webhooks } = handle.tables;
  const [row] = await handle.db.select().from(webhooks).where(eq(webhooks.keyId, keyId));
  return row ?? null;
}

/** Sets the webhook of a key; what waited for the old one goes to the new one. */
export async function putWebhook(tx: Tx, row: WebhookRow): Promise<void> {
  const { webhooks } = tx.tables;
  const { keyId: _, ...set } = row;
  await tx.db.insert(webhooks).values(row).onConflictDoUpdate({ target: webhooks.keyId, set });
}

/** Takes the webhook of a key away, and gives up what waited for it. @returns whether there was one */
export async function removeWebhook(tx: Tx, keyId: string): Promise<boolean> {
  const { webhooks } = tx.tables;
  const gone = await tx.db.delete(webhooks).where(eq(webhooks.keyId, keyId)).returning({ keyId: webhooks.keyId });
  await giveUpWaiting(tx, keyId);
  return gone.length > 0;
}

/** The receiver says that it is gone: nothing is sent there any more. */
export async function stopWebhook(tx: Tx, keyId: string, nowMs: number): Promise<void> {
  const { webhooks } = tx.tables;
  await tx.db
    .update(webhooks)
    .set({ stoppedAtMs: nowMs })
    .where(and(eq(webhooks.keyId, keyId), isNull(webhooks.stoppedAtMs)));
  await giveUpWaiting(tx, keyId);
}

async function giveUpWaiting(tx: Tx, keyId: string): Promise<void> {
  const { webhookDeliveries: all } = tx.tables;
  await tx.db
    .update(all)
    .set({ state: 'given_up' })
    .where(and(eq(all.keyId, keyId), eq(all.state, 'waiting')));
}

export interface DueDelivery {
  readonly delivery: DeliveryRow;
  readonly event: EventRow;
  readonly hook: WebhookRow;
}

/** Deliveries whose time has come, oldest first. */
export async function dueDeliveries(handle: Handle, nowMs: number, limit: number): Promise<readonly DueDelivery[]> {
  const { webhookDeliveries: all, clientEvents, webhooks } = handle.tables;
  return handle.db
    .select({ delivery: all, event: clientEvents, hook: webhooks })
    .from(all)
    .innerJoin(clientEvents, eq(clientEvents.seq, all.seq))
    .innerJoin(webhooks, eq(webhooks.keyId, all.keyId))
    .where(and(eq(all.state, 'waiting'), lte(all.dueAtMs, nowMs)))
    .orderBy(asc(all.dueAtMs), asc(all.seq))
    .limit(limit);
}

/** What a try came to; a delivery that has ended stays as it ended. */
export async function recordTry(
  tx: Tx,
  seq: number,
  result: Pick<DeliveryRow, 'state' | 'tries' | 'dueAtMs' | 'status'>,
): Promise<void> {
  const { webhookDeliveries: all } = tx.tables;
  await tx.db
    .update(all)
    .set(result)
    .where(and(eq(all.seq, seq), eq(all.state, 'waiting')));
}

/** Deliveries of a key by state. */
export async function deliveryCounts(handle: Handle, keyId: string): Promise<Record<DeliveryRow['state'], number>> {
  const { webhookDeliveries: all } = handle.tables;
  const rows = await handle.db
    .select({ state: all.state, rows: count() })
    .from(all)
    .where(eq(all.keyId, keyId))
    .groupBy(all.state);
  const of = (state: DeliveryRow['state']) => Number(rows.find((row) => row.state === state)?.rows ?? 0);
  return { waiting: of('waiting'), delivered: of('delivered'), given_up: of('given_up') };
}

/** Deliveries of all keys that wait for their next try. */
export async function waitingDeliveries(handle: Handle): Promise<number> {
  const { webhookDeliveries: all } = handle.tables;
  const [row] = await handle.db.select({ rows: count() }).from(all).where(eq(all.state, 'waiting'));
  return Number(row?.rows ?? 0);
}

/** Forgets events that are a week old, but for those that are still to be delivered. */
export async function forgetExpiredEvents(tx: Tx, nowMs: number): Promise<void> {
  const { clientEvents: events, webhookDeliveries: all } = tx.tables;
  const old = lte(events.atMs, nowMs - EVENTS_KEPT_MS);
  const oldSeqs = tx.db.select({ seq: events.seq }).from(events).where(old);
  await tx.db.delete(all).where(and(ne(all.state, 'waiting'), inArray(all.seq, oldSeqs)));
  const waits = tx.db.select({ one: sql`1` }).from(all).where(eq(all.seq, events.seq));
  await tx.db.delete(events).where(and(old, notExists(waits)));
}
