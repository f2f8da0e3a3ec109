/** What confirmed events add up to: stakes, keys, escrow, pool, claims (spec-chain.md C9.4). */
import { and, asc, count, eq } from 'drizzle-orm';
import type { Address } from '#protocol/hash';
import type { Handle, Tx } from './handle.ts';

export type StakeRow = Handle['tables']['chainStakes']['$inferSelect'];
export type ChannelRow = Handle['tables']['chainChannels']['$inferSelect'];
export type TotalName = 'funded' | 'withdrawn';

export async function stakeRow(handle: Handle, account: Address): Promise<StakeRow | null> {
  const { chainStakes: stakes } = handle.tables;
  const [row] = await handle.db.select().from(stakes).where(eq(stakes.account, account));
  return row ?? null;
}

export async function allStakes(handle: Handle): Promise<readonly StakeRow[]> {
  const { chainStakes: stakes } = handle.tables;
  return handle.db.select().from(stakes).orderBy(asc(stakes.account));
}

export async function putStake(tx: Tx, row: StakeRow): Promise<void> {
  const { chainStakes: stakes } = tx.tables;
  const { account: _account, ...changed } = row;
  tx.changes('stakes');
  await tx.db.insert(stakes).values(row).onConflictDoUpdate({ target: stakes.account, set: changed });
}

export async function addKey(tx: Tx, account: Address, signingKey: Address): Promise<void> {
  const { chainKeys: keys } = tx.tables;
  tx.changes('stakes');
  const [known] = await tx.db.select({ rows: count() }).from(keys);
  await tx.db.insert(keys).values({ signingKey, account, place: Number(known?.rows ?? 0), retired: 0 });
}

export async function retireKey(tx: Tx, signingKey: Address): Promise<void> {
  const { chainKeys: keys } = tx.tables;
  tx.changes('stakes');
  await tx.db.update(keys).set({ retired: 1 }).where(eq(keys.signingKey, signingKey));
}

/** The account that answers for a key that is not retired; null where there is none. */
export async function accountOfKey(handle: Handle, signingKey: Address): Promise<Address | null> {
  const { chainKeys: keys } = handle.tables;
  const [row] = await handle.db
    .select()
    .from(keys)
    .where(and(eq(keys.signingKey, signingKey), eq(keys.retired, 0)));
  return row === undefined ? null : (row.account as Address);
}

/**
 * Stake on the chain that counts for a provider. An account counts for its oldest live key alone: two providers on one stake
 * would otherwise be drawn as if there were two.
 */
export async function chainStakeNano(handle: Handle, provider: Address): Promise<bigint> {
  const account = await accountOfKey(handle, provider);
  if (account === null) return 0n;
  const { chainKeys: keys } = handle.tables;
  const [oldest] = await handle.db
    .select()
    .from(keys)
    .where(and(eq(keys.account, account), eq(keys.retired, 0)))
    .orderBy(asc(keys.place))
    .limit(1);
  if (oldest?.signingKey !== provider) return 0n;
  return (await stakeRow(handle, account))?.activeNano ?? 0n;
}

export async function channelOf(handle: Handle, client: Address): Promise<ChannelRow | null> {
  const { chainChannels: channels } = handle.tables;
  const [row] = await handle.db.select().from(channels).where(eq(channels.client, client));
  return row ?? null;
}

export async function putChannel(tx: Tx, row: ChannelRow): Promise<void> {
  const { chainChannels: channels } = tx.tables;
  const { client: _client, ...changed } = row;
  await tx.db.insert(channels).values(row).onConflictDoUpdate({ target: channels.client, set: changed });
}

export async function totalBase(handle: Handle, name: TotalName): Promise<bigint> {
  const { chainTotals: totals } = handle.tables;
  const [row] = await handle.db.select().from(totals).where(eq(totals.name, name));
  return BigInt(row?.amountBase ?? 0);
}

export async function addToTotal(tx: Tx, name: TotalName, amount: bigint): Promise<void> {
  const { chainTotals: totals } = tx.tables;
  const amountBase = ((await totalBase(tx, name)) + amount).toString();
  await tx.db
    .insert(totals)
    .values({ name, amountBase })
    .onConflictDoUpdate({ target: totals.name, set: { amountBase } });
}

export async function claimedBase(handle: Handle, payee: Address): Promise<bigint> {
  const { chainClaims: claims } = handle.tables;
  const [row] = await handle.db.select().from(claims).where(eq(claims.payee, payee));
  return BigInt(row?.claimedBase ?? 0);
}

export async function allClaims(handle: Handle): Promise<ReadonlyMap<Address, bigint>> {
  const rows = await handle.db.select().from(handle.tables.chainClaims);
  return new Map(rows.map((row) => [row.payee as Address, BigInt(row.claimedBase)]));
}

export async function addClaimed(tx: Tx, payee: Address, amount: bigint): Promise<void> {
  const { chainClaims: claims } = tx.tables;
  const changed = { claimedBase: ((await claimedBase(tx, payee)) + amount).toString() };
  await tx.db
    .insert(claims)
    .values({ payee, ...changed })
    .onConflictDoUpdate({ target: claims.payee, set: changed });
}
