/** What was read of the chain: newest headers, events, and how far they have been applied (spec-chain.md C9.4). */
import { and, asc, desc, eq, gt, isNotNull, lt, lte, sql } from 'drizzle-orm';
import type { Handle, Tx } from './handle.ts';
import { condition, IS_EXTERNAL } from './schema/checks.ts';
import { putSetting, settingJson } from './settings-repo.ts';

export type BlockRow = Handle['tables']['chainBlocks']['$inferSelect'];
export type EventRow = Handle['tables']['chainEvents']['$inferSelect'];

const APPLIED_SETTING = 'chain.applied';
const DEEP_SETTING = 'chain.deep-reorg';

/** The newest block whose events have had their effect. */
export interface Applied {
  readonly number: number;
}

/** Stored headers, by ascending number. */
export async function storedBlocks(handle: Handle): Promise<readonly BlockRow[]> {
  const { chainBlocks: blocks } = handle.tables;
  return handle.db.select().from(blocks).orderBy(asc(blocks.number));
}

/** The newest stored header at or below a height; null where there is none. */
export async function blockAtOrBelow(handle: Handle, height: number): Promise<BlockRow | null> {
  const { chainBlocks: blocks } = handle.tables;
  const [row] = await handle.db
    .select()
    .from(blocks)
    .where(lte(blocks.number, height))
    .orderBy(desc(blocks.number))
    .limit(1);
  return row ?? null;
}

/** Enters a block that was read, with the events up to it, and forgets headers below `keepFrom`. */
export async function addBlock(tx: Tx, block: BlockRow, events: readonly EventRow[], keepFrom: number): Promise<void> {
  const { chainBlocks: blocks, chainEvents } = tx.tables;
  await tx.db.insert(blocks).values(block);
  for (const event of events) await tx.db.insert(chainEvents).values(event);
  await tx.db.delete(blocks).where(lt(blocks.number, keepFrom));
}

/** Takes back everything above a block: a reorganisation has. */
export async function rollBackTo(tx: Tx, number: number): Promise<void> {
  const { chainBlocks: blocks, chainEvents: events } = tx.tables;
  await tx.db.delete(blocks).where(gt(blocks.number, number));
  await tx.db.delete(events).where(gt(events.blockNumber, number));
}

/** Events above one block up to another, in the order of the chain. */
export async function eventsWithin(
  handle: Handle,
  above: number,
  upTo: number,
  limit = Number.MAX_SAFE_INTEGER,
): Promise<readonly EventRow[]> {
  const { chainEvents: events } = handle.tables;
  return handle.db
    .select()
    .from(events)
    .where(and(gt(events.blockNumber, above), lte(events.blockNumber, upTo)))
    .orderBy(asc(events.blockNumber), asc(events.logIndex))
    .limit(limit);
}

/** Nano of applied events of some names. */
export async function eventsNano(handle: Handle, names: readonly string[], upTo: number): Promise<bigint> {
  const { chainEvents: events } = handle.tables;
  let sum = 0n;
  for (const name of names) {
    const rows = await handle.db
      .select({ amountNano: events.amountNano })
      .from(events)
      .where(and(eq(events.name, name), lte(events.blockNumber, upTo), isNotNull(events.amountNano)));
    for (const { amountNano } of rows) sum += amountNano ?? 0n;
  }
  return sum;
}

/** Nano that the ledger has moved from or to the outside for the chain. @param prefix of the transfers' ids */
export async function ledgerMovedNano(handle: Handle, prefix: string): Promise<bigint> {
  const { postings } = handle.tables;
  const rows = await handle.db
    .select({ amountNano: postings.amountNano })
    .from(postings)
    .where(and(condition(IS_EXTERNAL), sql`${postings.transferId} like ${`${prefix}%`}`));
  return rows.reduce((sum, { amountNano }) => sum + amountNano, 0n);
}

export async function appliedBlock(handle: Handle): Promise<Applied | null> {
  const text = await settingJson(handle, APPLIED_SETTING);
  return text === null ? null : (JSON.parse(text) as Applied);
}

export async function setApplied(tx: Tx, { number }: Applied, nowMs: number): Promise<void> {
  await putSetting(tx, APPLIED_SETTING, JSON.stringify({ number }), nowMs);
}

/** Marks that blocks which counted as final are gone; nothing is read or paid any more. */
export async function markDeepReorg(tx: Tx, nowMs: number): Promise<void> {
  await putSetting(tx, DEEP_SETTING, 'true', nowMs);
}

export async function hasDeepReorg(handle: Handle): Promise<boolean> {
  return (await settingJson(handle, DEEP_SETTING)) !== null;
}
