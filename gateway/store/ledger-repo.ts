/** Enters transfers into the books; the only code that changes a balance (SPEC.md §Money, "Transfers"). */
import { and, asc, eq, getTableColumns, gt, gte, lt, ne, sql } from 'drizzle-orm';
import { ProtocolError } from '#protocol/errors';
import type { Address } from '#protocol/hash';
import type { AccountId } from '../ledger/accounts.ts';
import { earningsAccount, frozenAccount, parseAccount, RESERVE, stakeAccount } from '../ledger/accounts.ts';
import type { Books } from '../ledger/check-books.ts';
import { JACKPOT_PREFIX } from '../ledger/jackpot.ts';
import type { Transfer } from '../ledger/transfer.ts';
import { sameTransfer } from '../ledger/transfer.ts';
import { chainStakeNano } from './chain-state-repo.ts';
import type { Handle, Tx } from './handle.ts';
import { given, inserting, insertingAll, reading, writing } from './statement.ts';

type AccountRow = Handle['tables']['accounts']['$inferSelect'];

const headById = reading((db, { transfers }) => ({
  query: db
    .select()
    .from(transfers)
    .where(eq(transfers.id, given('id'))),
  columns: getTableColumns(transfers),
}));
const postingsOf = reading((db, { postings }) => {
  const columns = { account: postings.account, amountNano: postings.amountNano };
  const query = db
    .select(columns)
    .from(postings)
    .where(eq(postings.transferId, given('id')))
    .orderBy(asc(postings.account));
  return { query, columns };
});
const balanceOf = reading((db, { accounts }) => {
  const columns = { balanceNano: accounts.balanceNano };
  return {
    query: db
      .select(columns)
      .from(accounts)
      .where(eq(accounts.id, given('id'))),
    columns,
  };
});
const insertTransfer = inserting((tables) => tables.transfers);
const insertPostings = insertingAll((tables) => tables.postings);
/** Opens accounts or adds to them. Not for what takes from one: SQLite checks the new row's floor before it sees the old row. */
const addToAccounts = insertingAll(
  (tables) => tables.accounts,
  (insert, accounts) =>
    insert.onConflictDoUpdate({
      target: accounts.id,
      set: { balanceNano: sql`${accounts.balanceNano} + excluded.balance_nano` },
    }),
);
/** Takes from an account what is there; the amount is negative. */
const takeFromAccount = writing((db, { accounts }) =>
  db
    .update(accounts)
    .set({ balanceNano: sql`${accounts.balanceNano} + ${given('amountNano')}` })
    .where(and(eq(accounts.id, given('id')), gte(sql`${accounts.balanceNano} + ${given('amountNano')}`, 0n))),
);

/**
 * Enters a transfer once.
 * @returns false when the same transfer was entered before, which changes nothing
 * @throws {ProtocolError} insufficient_quota (client), reserve_empty (reserve) or internal_error when an account would go
 *   negative; internal_error when another transfer has the id. Nothing is written then.
 */
export async function applyTransfer(tx: Tx, transfer: Transfer, atMs: number): Promise<boolean> {
  const known = await transferById(tx, transfer.id);
  if (known !== null) {
    if (sameTransfer(known, transfer)) return false;
    throw new ProtocolError('internal_error', 'Another transfer was entered under this id.', {
      details: { transfer: transfer.id },
    });
  }
  await checkFunds(tx, transfer);
  await insertTransfer(tx, {
    id: transfer.id,
    reason: transfer.reason,
    requestId: transfer.requestId,
    disputeId: transfer.disputeId,
    createdAtMs: atMs,
  });
  const { postings } = transfer;
  const opened: AccountRow[] = [];
  for (const { account, amountNano } of postings) {
    const parsed = parseAccount(account);
    if (amountNano >= 0n || parsed.kind === 'external')
      opened.push({ id: account, ...parsed, balanceNano: amountNano });
    else if ((await takeFromAccount(tx, { id: account, amountNano })) !== 1) throw insufficient(account);
  }
  if ((await addToAccounts(tx, opened)) !== opened.length) {
    throw new ProtocolError('internal_error', 'An account was not changed.', { details: { transfer: transfer.id } });
  }
  const isOfStake = ({ kind }: Pick<AccountRow, 'kind'>) => kind === 'stake' || kind === 'frozen';
  if (postings.some(({ account }) => isOfStake(parseAccount(account)))) tx.changes('stakes');
  const rows = postings.map(({ account, amountNano }) => ({ transferId: transfer.id, account, amountNano }));
  await insertPostings(tx, rows);
  return true;
}

/** Balance of one account in nano; 0 for one that nothing was ever posted to. */
export async function balanceNano(handle: Handle, account: AccountId): Promise<bigint> {
  return (await balancesNano(handle, [account])).get(account) ?? 0n;
}

/** Balances of several accounts; absent where nothing was ever posted. */
export async function balancesNano(handle: Handle, ids: readonly AccountId[]): Promise<ReadonlyMap<AccountId, bigint>> {
  const balances = new Map<AccountId, bigint>();
  for (const id of ids) {
    const [row] = await balanceOf(handle, { id });
    if (row !== undefined) balances.set(id, row.balanceNano);
  }
  return balances;
}

/** The part of the reserve that no running request has as its cover. */
export async function reserveFreeNano(handle: Handle): Promise<bigint> {
  return balanceNano(handle, RESERVE);
}

export interface Bond {
  /** Stake that may be frozen or withdrawn. */
  readonly freeNano: bigint;
  /** Stake that open disputes hold. */
  readonly frozenNano: bigint;
}

/** A provider's stake in the ledger, free and frozen. */
export async function bondOf(handle: Handle, provider: string): Promise<Bond> {
  const { disputes } = handle.tables;
  const open = await handle.db
    .select({ disputeId: disputes.disputeId })
    .from(disputes)
    .where(and(eq(disputes.provider, provider), ne(disputes.state, 'settled')));
  const held = open.map((row) => frozenAccount(row.disputeId));
  const balances = await balancesNano(handle, [stakeAccount(provider), ...held]);
  return {
    freeNano: balances.get(stakeAccount(provider)) ?? 0n,
    frozenNano: held.reduce((sum, id) => sum + (balances.get(id) ?? 0n), 0n),
  };
}

/** What counts of a provider's stake: free in the ledger, and staked on the chain. */
export async function countedStakeNano(handle: Handle, provider: Address): Promise<bigint> {
  return (await bondOf(handle, provider)).freeNano + (await chainStakeNano(handle, provider));
}

/** Owners of cover accounts with money in them: running requests, and jobs that were issued for a dispute. */
export async function coverOwners(handle: Handle): Promise<readonly string[]> {
  const { accounts } = handle.tables;
  const rows = await handle.db
    .select({ owner: accounts.owner })
    .from(accounts)
    .where(and(eq(accounts.kind, 'cover'), gt(accounts.balanceNano, 0n)))
    .orderBy(asc(accounts.owner));
  return rows.map((row) => row.owner);
}

/** Prizes that a provider was paid for planted errors since a moment (SPEC.md §11.13). */
export async function jackpotsOf(
  handle: Handle,
  provider: string,
  sinceMs: number,
): Promise<{ readonly count: number; readonly sumNano: bigint }> {
  const { postings, transfers } = handle.tables;
  const paid = await handle.db
    .select({ amountNano: postings.amountNano })
    .from(postings)
    .innerJoin(transfers, eq(transfers.id, postings.transferId))
    .where(
      and(
        eq(postings.account, earningsAccount(provider)),
        // As a range, which the key of transfers is in order of; no index has the postings of an account.
        gte(transfers.id, JACKPOT_PREFIX),
        lt(transfers.id, `${JACKPOT_PREFIX}~`),
        gte(transfers.createdAtMs, sinceMs),
      ),
    );
  return { count: paid.length, sumNano: paid.reduce((sum, { amountNano }) => sum + amountNano, 0n) };
}

/** One transfer with its postings, or null. */
export async function transferById(handle: Handle, id: string): Promise<Transfer | null> {
  const [head] = await headById(handle, { id });
  if (head === undefined) return null;
  const rows = await postingsOf(handle, { id });
  const { reason, requestId, disputeId } = head;
  return { id, reason, requestId, disputeId, postings: rows };
}

/** The whole books, for `checkBooks`. Takes a transaction: three reads must see one state. */
export async function readBooks(tx: Tx): Promise<Books> {
  const { accounts, postings, transfers } = tx.tables;
  const heads = await tx.db.select({ id: transfers.id }).from(transfers);
  return {
    accounts: await tx.db.select({ id: accounts.id, balanceNano: accounts.balanceNano }).from(accounts),
    transferIds: heads.map((head) => head.id),
    postings: await tx.db.select().from(postings),
  };
}

/** Looked at before the first write, so that a caller who catches the refusal has nothing half-entered to commit. */
async function checkFunds(tx: Tx, transfer: Transfer): Promise<void> {
  const paying = transfer.postings.filter((posting) => posting.amountNano < 0n);
  const balances = await balancesNano(
    tx,
    paying.map((posting) => posting.account),
  );
  for (const { account, amountNano } of paying) {
    if (parseAccount(account).kind === 'external') continue;
    if ((balances.get(account) ?? 0n) + amountNano < 0n) throw insufficient(account);
  }
}

function insufficient(account: AccountId): ProtocolError {
  const { kind } = parseAccount(account);
  if (kind === 'client') {
    return new ProtocolError('insufficient_quota', 'The balance does not cover the most that this request can cost.');
  }
  if (kind === 'reserve') {
    return new ProtocolError('reserve_empty', 'The reserve cannot cover this request now.', { retryable: true });
  }
  return new ProtocolError('internal_error', 'An account would become negative.', { details: { kind } });
}
