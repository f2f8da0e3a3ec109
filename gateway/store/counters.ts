/** Consecutive numbers without gaps or races, for the log and the draws. */
import { eq, sql } from 'drizzle-orm';
import type { Handle, Tx } from './handle.ts';
import { given, reading } from './statement.ts';

const takeRow = reading((db, { counters }) => {
  const columns = { next: counters.next };
  const query = db
    .insert(counters)
    .values({ name: given('name'), next: given('count') })
    .onConflictDoUpdate({ target: counters.name, set: { next: sql`${counters.next} + ${given('count')}` } })
    .returning(columns);
  return { query, columns };
});
const nextOf = reading((db, { counters }) => {
  const columns = { next: counters.next };
  return {
    query: db
      .select(columns)
      .from(counters)
      .where(eq(counters.name, given('name'))),
    columns,
  };
});

/** Takes `count` numbers and returns the first; a rolled-back transaction gives them back. */
export async function takeNumbers(tx: Tx, name: string, count: number): Promise<number> {
  const [row] = await takeRow(tx, { name, count });
  return row!.next - count;
}

/** The next number that would be taken. */
export async function nextNumber(handle: Handle, name: string): Promise<number> {
  const [row] = await nextOf(handle, { name });
  return row?.next ?? 0;
}
