/** Roots of earnings: decided here, posted there (spec-chain.md C9.5). */
import { and, asc, desc, eq, gt, inArray, isNull, lt, lte, max } from 'drizzle-orm';
import type { Address } from '#protocol/hash';
import type { Handle, Tx } from './handle.ts';

export type RootRow = Handle['tables']['chainRoots']['$inferSelect'];

export interface Leaf {
  readonly payee: Address;
  readonly cumulative: bigint;
}

/** Roots whose leaves are kept behind the newest: who has an older proof asks again. */
const KEPT_ROOTS = 4;

/** The newest root in any state; null where none was decided. */
export async function newestRoot(handle: Handle): Promise<RootRow | null> {
  const { chainRoots: roots } = handle.tables;
  const [row] = await handle.db.select().from(roots).orderBy(desc(roots.sequence)).limit(1);
  return row ?? null;
}

/** The newest root whose promises stand, on the chain or on their way; null where there is none. */
export async function standingRoot(handle: Handle): Promise<RootRow | null> {
  const { chainRoots: roots } = handle.tables;
  const [row] = await handle.db
    .select()
    .from(roots)
    .where(inArray(roots.state, ['decided', 'posted']))
    .orderBy(desc(roots.sequence))
    .limit(1);
  return row ?? null;
}

export async function rootByChainIndex(handle: Handle, chainIndex: number): Promise<RootRow | null> {
  const { chainRoots: roots } = handle.tables;
  const [row] = await handle.db
    .select()
    .from(roots)
    .where(and(eq(roots.chainIndex, chainIndex), eq(roots.state, 'posted')));
  return row ?? null;
}

export async function rootsIn(handle: Handle, state: RootRow['state'], limit: number): Promise<readonly RootRow[]> {
  const { chainRoots: roots } = handle.tables;
  return handle.db.select().from(roots).where(eq(roots.state, state)).orderBy(desc(roots.sequence)).limit(limit);
}

/** The newest posted root that is active at a time of the chain, or that is not yet. */
export async function postedRoot(handle: Handle, atSeconds: number, active: boolean): Promise<RootRow | null> {
  const { chainRoots: roots } = handle.tables;
  const [row] = await handle.db
    .select()
    .from(roots)
    .where(
      and(
        eq(roots.state, 'posted'),
        active ? lte(roots.activeAtSeconds, atSeconds) : gt(roots.activeAtSeconds, atSeconds),
      ),
    )
    .orderBy(desc(roots.sequence))
    .limit(1);
  return row ?? null;
}

/** Enters a decided root with its leaves; those of old roots go. @returns its sequence */
export async function insertRoot(
  tx: Tx,
  root: Pick<RootRow, 'root' | 'totalBase' | 'logSize' | 'logRoot' | 'decidedAtMs'>,
  leaves: readonly Leaf[],
): Promise<number> {
  const { chainRoots: roots, chainLeaves } = tx.tables;
  const sequence = await nextSequence(tx);
  await tx.db.insert(roots).values({
    ...root,
    sequence,
    state: 'decided',
    leafCount: leaves.length,
    chainIndex: null,
    activeAtSeconds: null,
  });
  for (const { payee, cumulative } of leaves) {
    await tx.db.insert(chainLeaves).values({ sequence, payee, cumulativeBase: cumulative.toString() });
  }
  await tx.db.delete(chainLeaves).where(lt(chainLeaves.sequence, await oldestKept(tx, sequence)));
  return sequence;
}

/** A root on the chain that nobody here has decided; it has no leaves, and stops all further ones. */
export async function insertForeignRoot(
  tx: Tx,
  root: Omit<RootRow, 'sequence' | 'state' | 'decidedAtMs'>,
  nowMs: number,
): Promise<void> {
  const sequence = await nextSequence(tx);
  await tx.db.insert(tx.tables.chainRoots).values({ ...root, sequence, state: 'foreign', decidedAtMs: nowMs });
}

async function nextSequence(handle: Handle): Promise<number> {
  const { chainRoots: roots } = handle.tables;
  const [row] = await handle.db.select({ last: max(roots.sequence) }).from(roots);
  return Number(row?.last ?? -1) + 1;
}

/** Never one that can still be claimed under: the newest posted ones stay with all after them. */
async function oldestKept(handle: Handle, sequence: number): Promise<number> {
  const posted = await rootsIn(handle, 'posted', KEPT_ROOTS);
  return Math.min(sequence, posted.at(-1)?.sequence ?? 0);
}

export async function moveRoot(
  tx: Tx,
  sequence: number,
  change: Partial<Pick<RootRow, 'state' | 'chainIndex' | 'activeAtSeconds'>>,
): Promise<void> {
  const { chainRoots: roots } = tx.tables;
  await tx.db.update(roots).set(change).where(eq(roots.sequence, sequence));
}

/** The decided root that a posted one is, oldest first; null where it is none of ours. */
export async function decidedRoot(
  handle: Handle,
  posted: Pick<RootRow, 'root' | 'totalBase' | 'logSize' | 'logRoot'>,
): Promise<RootRow | null> {
  const { chainRoots: roots } = handle.tables;
  const [row] = await handle.db
    .select()
    .from(roots)
    .where(
      and(
        eq(roots.root, posted.root),
        eq(roots.totalBase, posted.totalBase),
        eq(roots.logSize, posted.logSize),
        eq(roots.logRoot, posted.logRoot),
        isNull(roots.chainIndex),
      ),
    )
    .orderBy(asc(roots.sequence))
    .limit(1);
  return row ?? null;
}

/** Leaves of a root by ascending payee. */
export async function leavesOf(handle: Handle, sequence: number): Promise<readonly Leaf[]> {
  const { chainLeaves: leaves } = handle.tables;
  const rows = await handle.db.select().from(leaves).where(eq(leaves.sequence, sequence)).orderBy(asc(leaves.payee));
  return rows.map((row) => ({ payee: row.payee as Address, cumulative: BigInt(row.cumulativeBase) }));
}

/** What the newest standing root promises a payee in all; 0 where it has no leaf. */
export async function promisedBase(handle: Handle, payee: Address): Promise<bigint> {
  const { chainLeaves: leaves } = handle.tables;
  const standing = await standingRoot(handle);
  if (standing === null) return 0n;
  const [row] = await handle.db
    .select()
    .from(leaves)
    .where(and(eq(leaves.sequence, standing.sequence), eq(leaves.payee, payee)));
  return BigInt(row?.cumulativeBase ?? 0);
}

/** Earnings accounts with what they hold; those of zero too. */
export async function earningsBalances(handle: Handle): Promise<ReadonlyMap<Address, bigint>> {
  const { accounts } = handle.tables;
  const rows = await handle.db.select().from(accounts).where(eq(accounts.kind, 'earnings'));
  return new Map(rows.map((row) => [row.owner as Address, row.balanceNano]));
}

/** Lets payouts go on after a root was disabled. @returns how many had been */
export async function acceptDisabled(tx: Tx): Promise<number> {
  const { chainRoots: roots } = tx.tables;
  const rows = await tx.db
    .update(roots)
    .set({ state: 'failed' })
    .where(eq(roots.state, 'disabled'))
    .returning({ sequence: roots.sequence });
  return rows.length;
}
