/** Demands against the gateway's account that final events have opened and none has ended (spec-chain.md C6, C9.6). */
import { and, inArray, lte } from 'drizzle-orm';
import type { Hash } from '#protocol/hash';
import type { Handle } from './handle.ts';

export const DEMAND_EVENTS = ['Demanded', 'Answered', 'StayedSilent'] as const;

/** @returns ids of what is open as of a block, in the order in which it was demanded */
export async function openDemands(handle: Handle, upTo: number): Promise<readonly Hash[]> {
  const { chainEvents: events } = handle.tables;
  const rows = await handle.db
    .select({ name: events.name, argsJson: events.argsJson })
    .from(events)
    .where(and(inArray(events.name, [...DEMAND_EVENTS]), lte(events.blockNumber, upTo)))
    .orderBy(events.blockNumber, events.logIndex);
  const open = new Set<Hash>();
  for (const { name, argsJson } of rows) {
    const { id } = JSON.parse(argsJson) as { id: Hash };
    if (name === 'Demanded') open.add(id);
    else open.delete(id);
  }
  return [...open];
}
