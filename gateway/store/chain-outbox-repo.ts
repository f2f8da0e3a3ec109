/** The outbox: transactions that shall happen, and every try that was signed for them (spec-chain.md C9.3). */
import { and, asc, count, eq, gte, inArray, isNull, lt, max, ne } from 'drizzle-orm';
import { ProtocolError } from '#protocol/errors';
import type { Address, Hash, Hex } from '#protocol/hash';
import type { Handle, Tx } from './handle.ts';

export type IntentRow = Handle['tables']['chainIntents']['$inferSelect'];
export type TryRow = Handle['tables']['chainTries']['$inferSelect'];

/** An effect that shall happen once. */
export interface Intent {
  /** Names the effect. */
  readonly key: string;
  readonly to: Address;
  readonly data: Hex;
}

/**
 * Enters an effect, in the transaction of what it follows from. One that was refused before it had a nonce waits again.
 * @returns false where it is there already
 * @throws {ProtocolError} internal_error where another effect has the name
 */
export async function enqueueIntent(tx: Tx, intent: Intent, nowMs: number): Promise<boolean> {
  const { chainIntents: intents } = tx.tables;
  const known = await intentByKey(tx, intent.key);
  if (known !== null) {
    if (known.toAddress === intent.to && known.callData === intent.data) return requeueRefused(tx, known);
    throw new ProtocolError('internal_error', 'Another transaction has this name.', { details: { key: intent.key } });
  }
  const [last] = await tx.db.select({ place: max(intents.place) }).from(intents);
  await tx.db.insert(intents).values({
    intentKey: intent.key,
    place: Number(last?.place ?? -1) + 1,
    toAddress: intent.to,
    callData: intent.data,
    state: 'queued',
    nonce: null,
    gasLimit: null,
    minedTxHash: null,
    minedBlock: null,
    minedBlockHash: null,
    failure: null,
    createdAtMs: nowMs,
    endedAtMs: null,
  });
  return true;
}

/** What would have been reverted once may go well now: a pause is over, an account was opened. It has had no effect, and no nonce. */
async function requeueRefused(tx: Tx, { intentKey, state, nonce }: IntentRow): Promise<boolean> {
  if (state !== 'failed' || nonce !== null) return false;
  await moveIntent(tx, intentKey, { state: 'queued', failure: null, endedAtMs: null });
  return true;
}

/** What was refused is asked about again so often: nodes and logs need not hear of it with every look. */
const REFUSED_MS = 60_000;

/** Whether an intent was refused before it had a nonce, and may be entered again. */
export function mayRetry({ state, nonce, endedAtMs }: IntentRow, nowMs: number): boolean {
  return state === 'failed' && nonce === null && nowMs - (endedAtMs ?? 0) >= REFUSED_MS;
}

export async function intentByKey(handle: Handle, key: string): Promise<IntentRow | null> {
  const { chainIntents: intents } = handle.tables;
  const [row] = await handle.db.select().from(intents).where(eq(intents.intentKey, key));
  return row ?? null;
}

/** Intents in some states, in the order in which they were entered. */
export async function intentsIn(
  handle: Handle,
  states: readonly IntentRow['state'][],
  limit: number,
): Promise<readonly IntentRow[]> {
  const { chainIntents: intents } = handle.tables;
  return handle.db
    .select()
    .from(intents)
    .where(inArray(intents.state, [...states]))
    .orderBy(asc(intents.place))
    .limit(limit);
}

/** How many intents are in each state. */
export async function intentCounts(handle: Handle): Promise<Readonly<Record<IntentRow['state'], number>>> {
  const { chainIntents: intents } = handle.tables;
  const rows = await handle.db.select({ state: intents.state, rows: count() }).from(intents).groupBy(intents.state);
  const of = (state: IntentRow['state']) => Number(rows.find((row) => row.state === state)?.rows ?? 0);
  return {
    queued: of('queued'),
    sent: of('sent'),
    mined: of('mined'),
    confirmed: of('confirmed'),
    failed: of('failed'),
  };
}

/** Tries of an intent, oldest first. */
export async function triesOf(handle: Handle, key: string): Promise<readonly TryRow[]> {
  const { chainTries: tries } = handle.tables;
  return handle.db.select().from(tries).where(eq(tries.intentKey, key)).orderBy(asc(tries.tryIndex));
}

/** The highest nonce that was given; null where none was. */
export async function highestNonce(handle: Handle): Promise<number | null> {
  const { chainIntents: intents } = handle.tables;
  const [row] = await handle.db.select({ nonce: max(intents.nonce) }).from(intents);
  return row?.nonce === null || row?.nonce === undefined ? null : Number(row.nonce);
}

/** Gives a queued intent its nonce; the first try is entered with it. */
export async function giveNonce(tx: Tx, key: string, given: { nonce: number; gasLimit: bigint }): Promise<void> {
  const { chainIntents: intents } = tx.tables;
  const rows = await tx.db
    .update(intents)
    .set({ state: 'sent', nonce: given.nonce, gasLimit: given.gasLimit.toString() })
    .where(and(eq(intents.intentKey, key), eq(intents.state, 'queued')))
    .returning({ key: intents.intentKey });
  if (rows.length !== 1)
    throw new ProtocolError('internal_error', 'The transaction has a nonce.', { details: { key } });
}

export async function insertTry(tx: Tx, row: TryRow): Promise<void> {
  await tx.db.insert(tx.tables.chainTries).values(row);
}

/** What has become of an intent; its nonce never changes. */
export async function moveIntent(
  tx: Tx,
  key: string,
  change: Partial<Pick<IntentRow, 'state' | 'minedTxHash' | 'minedBlock' | 'minedBlockHash' | 'failure' | 'endedAtMs'>>,
): Promise<void> {
  const { chainIntents: intents } = tx.tables;
  await tx.db.update(intents).set(change).where(eq(intents.intentKey, key));
}

/** Whether one of our tries has this hash. */
export async function isOwnTry(handle: Handle, txHash: Hash): Promise<boolean> {
  const { chainTries: tries } = handle.tables;
  const rows = await handle.db.select({ hash: tries.txHash }).from(tries).where(eq(tries.txHash, txHash));
  return rows.length > 0;
}

/** Redemptions that were refused before they had a nonce, oldest first. */
export async function refusedRedemptions(handle: Handle, limit: number): Promise<readonly IntentRow[]> {
  const { chainIntents: intents } = handle.tables;
  return handle.db
    .select()
    .from(intents)
    .where(
      // ';' follows ':'.
      and(
        gte(intents.intentKey, 'redeem:'),
        lt(intents.intentKey, 'redeem;'),
        eq(intents.state, 'failed'),
        isNull(intents.nonce),
      ),
    )
    .orderBy(asc(intents.place))
    .limit(limit);
}

/** The most that redemptions of a client's vouchers, whether mined yet or not, bring in all; 0 where there are none. */
export async function redeemedUpTo(handle: Handle, client: Address, epoch: bigint): Promise<bigint> {
  const { chainIntents: intents } = handle.tables;
  const prefix = `redeem:${client}:${epoch}:`;
  const rows = await handle.db
    .select({ key: intents.intentKey })
    .from(intents)
    .where(
      // ':' follows the digits: a range of the key's index, where `like` would read the whole outbox.
      and(gte(intents.intentKey, prefix), lt(intents.intentKey, `${prefix}:`), ne(intents.state, 'failed')),
    );
  return rows.reduce((most, { key }) => {
    const cumulative = BigInt(key.slice(prefix.length));
    return cumulative > most ? cumulative : most;
  }, 0n);
}
