/** Ledger against requests, jobs and disputes: every hold, charge, pay and frozen stake has its counterpart (SPEC.md §11). */
import {
  type AccountId,
  AUDIT_POOL,
  clientAccount,
  coverAccount,
  escrowAccount,
  frozenAccount,
  parseAccount,
  withheldAccount,
} from '../ledger/accounts.ts';
import { checkBooks } from '../ledger/check-books.ts';
import { FREEZINGS, freezeId } from '../ledger/freezing.ts';
import type { WholeDatabase } from '../store/whole-database.ts';
import { type Damage, damage } from './damage.ts';

type Request = WholeDatabase['requests'][number];
type Dispute = WholeDatabase['disputes'][number];

/** The rows by what they are looked up by. */
interface Money {
  readonly rows: WholeDatabase;
  readonly balances: ReadonlyMap<AccountId, bigint>;
  /** Amounts of a transfer by account. */
  readonly transfers: ReadonlyMap<string, ReadonlyMap<AccountId, bigint>>;
}

export function checkMoney(rows: WholeDatabase): Damage[] {
  const books = { ...rows, transferIds: rows.transfers.map((transfer) => transfer.id) };
  const broken = checkBooks(books).map(({ kind, id }) => damage('books_unbalanced', id, kind));
  const transfers = new Map(rows.transfers.map((transfer) => [transfer.id, new Map<AccountId, bigint>()]));
  for (const { transferId, account, amountNano } of rows.postings) transfers.get(transferId)?.set(account, amountNano);
  const balances = new Map(rows.accounts.map((account) => [account.id, account.balanceNano]));
  const money = { rows, balances, transfers };
  return [...broken, ...checkHolds(money), ...checkCloses(money), ...checkEarned(money), ...checkDisputes(money)];
}

const isOpen = (request: Request) => request.state === 'accepted' || request.state === 'running';

/** Escrow and cover hold exactly what open requests, and late jobs that were not paid yet, were accepted with. */
function checkHolds({ rows, balances, transfers }: Money): Damage[] {
  const found: Damage[] = [];
  const expected = new Map<AccountId, bigint>();
  for (const request of rows.requests.filter(isOpen)) {
    expected.set(escrowAccount(request.requestId), request.quoteNano);
    expected.set(coverAccount(request.requestId), request.coverNano);
  }
  for (const { jobId, maxNano } of rows.jobs) {
    const isLate = transfers.has(`hold:${jobId}`);
    if (isLate && !transfers.has(`late:${jobId}`)) expected.set(coverAccount(jobId), maxNano);
  }
  for (const [account, amountNano] of expected) {
    const held = balances.get(account) ?? 0n;
    if (held !== amountNano) found.push(damage('hold_missing', account, `holds ${held}, not ${amountNano} nano`));
  }
  for (const [account, held] of balances) {
    const { kind } = parseAccount(account);
    if (account === AUDIT_POOL) continue;
    if ((kind === 'escrow' || kind === 'cover') && held !== 0n && !expected.has(account)) {
      found.push(damage('hold_left', account, `${held} nano`));
    }
  }
  return found;
}

function checkCloses({ rows, transfers }: Money): Damage[] {
  return rows.requests.flatMap((request) => {
    const { requestId, quoteNano, chargedNano, account } = request;
    if (!transfers.has(`hold:${requestId}`)) return [damage('hold_missing', requestId, 'no hold was entered')];
    const close = transfers.get(`close:${requestId}`);
    if (isOpen(request)) return close ? [damage('close_wrong', requestId, `closed, but ${request.state}`)] : [];
    if (!close) return [damage('close_wrong', requestId, `${request.state}, but not closed`)];
    const paidNano = quoteNano - (close.get(clientAccount(account)) ?? 0n);
    if (paidNano === chargedNano) return [];
    return [damage('charge_wrong', requestId, `charged ${chargedNano}, paid ${paidNano} nano`)];
  });
}

/** Per request: what its jobs earned is what left escrow, covers and withheld accounts for the providers' earnings. */
function checkEarned({ rows, transfers }: Money): Damage[] {
  const requestOf = new Map<string, string>();
  for (const { requestId } of rows.requests) requestOf.set(`close:${requestId}`, requestId);
  for (const { jobId, requestId } of rows.jobs) requestOf.set(`late:${jobId}`, requestId);
  const returned = rows.disputes.filter(({ state, ruling }) => state === 'settled' && ruling !== 'upheld');
  for (const { disputeId, requestId } of returned) {
    requestOf.set(`dispute:${disputeId}`, requestId);
    // Pay that was frozen beside the stake and came back is no pay of this request.
    for (const kind of FREEZINGS) requestOf.set(freezeId(disputeId, kind), requestId);
  }
  const paid = new Map<string, bigint>();
  for (const [transferId, requestId] of requestOf) {
    for (const [account, amountNano] of transfers.get(transferId) ?? []) {
      if (parseAccount(account).kind === 'earnings') paid.set(requestId, (paid.get(requestId) ?? 0n) + amountNano);
    }
  }
  const earned = new Map<string, bigint>();
  for (const { requestId, earnedNano } of rows.jobs) {
    earned.set(requestId, (earned.get(requestId) ?? 0n) + earnedNano);
  }
  return rows.requests.flatMap(({ requestId }) => {
    const [asJobs, asPaid] = [earned.get(requestId) ?? 0n, paid.get(requestId) ?? 0n];
    return asJobs === asPaid ? [] : [damage('earned_wrong', requestId, `jobs ${asJobs}, paid ${asPaid} nano`)];
  });
}

function checkDisputes(money: Money): Damage[] {
  const known = new Set(money.rows.disputes.map(({ disputeId }) => disputeId));
  const strays = [...money.balances].flatMap(([account, held]) => {
    const { kind, owner } = parseAccount(account);
    if (held === 0n || known.has(owner)) return [];
    if (kind === 'frozen') return [damage('frozen_wrong', account, `${held} nano for no dispute`)];
    return kind === 'withheld' ? [damage('withheld_wrong', account, `${held} nano for no dispute`)] : [];
  });
  return [...strays, ...money.rows.disputes.flatMap((dispute) => checkDispute(money, dispute))];
}

function checkDispute({ balances, transfers }: Money, dispute: Dispute): Damage[] {
  const { disputeId, state, frozenNano, withheldClientNano, withheldReserveNano } = dispute;
  const found: Damage[] = [];
  const isSettled = state === 'settled';
  const frozen = balances.get(frozenAccount(disputeId)) ?? 0n;
  const withheld = balances.get(withheldAccount(disputeId)) ?? 0n;
  const frozenDue = isSettled ? 0n : frozenNano;
  const withheldDue = isSettled ? 0n : withheldClientNano + withheldReserveNano;
  if (frozen !== frozenDue) found.push(damage('frozen_wrong', disputeId, `holds ${frozen}, not ${frozenDue} nano`));
  if (withheld !== withheldDue) {
    found.push(damage('withheld_wrong', disputeId, `holds ${withheld}, not ${withheldDue} nano`));
  }
  const puts = FREEZINGS.map((kind) => transfers.get(freezeId(disputeId, kind)));
  const putNano = puts.reduce((sum, put) => sum + (put?.get(frozenAccount(disputeId)) ?? 0n), 0n);
  if (puts[0] === undefined || putNano !== frozenNano) {
    found.push(damage('dispute_money_wrong', disputeId, `${frozenNano} nano were not frozen by a transfer`));
  }
  if (transfers.has(`dispute:${disputeId}`) !== isSettled) {
    found.push(damage('dispute_money_wrong', disputeId, `${state}, but its money ${isSettled ? 'stayed' : 'moved'}`));
  }
  return found;
}
