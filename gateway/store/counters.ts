/** Consecutive numbers without gaps or races, for the log and the draws. */
import { eq, sql } from 'drizzle-orm';
import type { Handle, Tx } from './handle.ts';

/** Takes `count` numbers and returns the first; a rolled-back transaction gives them back. */
export async function takeNumbers(tx: Tx, name: string, count: number): Promise<number> {
  const { counters } = tx.tables;
  const [row] = await tx.db
    .insert(counters)
    .values({ name, next: count })
    .onConflictDoUpdate({ target: counters.name, set: { next: sql`${counters.next} + ${count}` } })
    .returning({ next: counters.next });
  return row!.next - count;
}

/** The next number that would be taken. */
export async function nextNumber(handle: Handle, name: string): Promise<number> {
  const { counters } = handle.tables;
  const [row] = await handle.db.select({ next: counters.next }).from(counters).where(eq(counters.name, name));
  return row?.next ?? 0;
}
