/** One balanced movement of money between accounts (SPEC.md §Money, "Transfers"). */
import type { AccountId } from './accounts.ts';
import { MONEY_MAX_NANO, parseAccount } from './accounts.ts';

/** A closed list of why money moves; stored with each transfer. */
export const TRANSFER_REASONS = ['deposit', 'withdrawal', 'hold', 'close', 'late', 'freeze', 'dispute'] as const;

export type TransferReason = (typeof TRANSFER_REASONS)[number];

export interface Posting {
  readonly account: AccountId;
  /** Positive: the account gains; negative: it pays. Never 0. */
  readonly amountNano: bigint;
}

export interface Transfer {
  /** Made from what the transfer is about, so that the same movement cannot be entered twice under two names. */
  readonly id: string;
  readonly reason: TransferReason;
  readonly requestId: string | null;
  readonly disputeId: string | null;
  /** At most one per account, sorted by account, summing to 0; empty when nothing had to move. */
  readonly postings: readonly Posting[];
}

/** One step of a transfer under construction. */
export interface Leg {
  readonly from: AccountId;
  readonly to: AccountId;
  /** At least 0. */
  readonly amountNano: bigint;
}

/**
 * Nets legs into one transfer.
 * @throws {RangeError} on a negative leg, an unknown account or an amount above MONEY_MAX_NANO
 */
export function makeTransfer(
  head: { id: string; reason: TransferReason; requestId?: string; disputeId?: string },
  legs: readonly Leg[],
): Transfer {
  const net = new Map<AccountId, bigint>();
  for (const leg of legs) {
    if (leg.amountNano < 0n) throw new RangeError('"amountNano" expected at least 0');
    net.set(leg.from, (net.get(leg.from) ?? 0n) - leg.amountNano);
    net.set(leg.to, (net.get(leg.to) ?? 0n) + leg.amountNano);
  }
  const postings = [...net]
    .filter(([, amountNano]) => amountNano !== 0n)
    .map(([account, amountNano]) => ({ account, amountNano }))
    .sort((a, b) => (a.account < b.account ? -1 : 1));
  for (const posting of postings) {
    parseAccount(posting.account);
    if (posting.amountNano > MONEY_MAX_NANO || posting.amountNano < -MONEY_MAX_NANO) {
      throw new RangeError('"amountNano" expected at most 2^62 - 1');
    }
  }
  return {
    id: head.id,
    reason: head.reason,
    requestId: head.requestId ?? null,
    disputeId: head.disputeId ?? null,
    postings,
  };
}

/** Whether two transfers are the same movement, posting by posting. */
export function sameTransfer(a: Transfer, b: Transfer): boolean {
  return (
    a.id === b.id &&
    a.reason === b.reason &&
    a.requestId === b.requestId &&
    a.disputeId === b.disputeId &&
    a.postings.length === b.postings.length &&
    a.postings.every((p, i) => p.account === b.postings[i]?.account && p.amountNano === b.postings[i]?.amountNano)
  );
}
