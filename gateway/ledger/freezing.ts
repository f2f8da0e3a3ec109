/** Stake and pay that a dispute holds until it is settled (SPEC.md §Money, "Disputes"). Pure. */
import { earningsAccount, frozenAccount, parseAccount, stakeAccount } from './accounts.ts';
import { least } from './least.ts';
import { type ProviderFault, penaltyNano } from './penalties.ts';
import { makeTransfer, type Transfer } from './transfer.ts';

/**
 * How much of a stake a dispute freezes: the fault's penalty on the whole bond, at most what no other dispute holds.
 * @param freeNano balance of the stake account
 * @param frozenNano what open disputes hold of the same stake
 */
export function freezeNano(fault: ProviderFault, freeNano: bigint, frozenNano: bigint): bigint {
  return least(penaltyNano(fault, freeNano + frozenNano), freeNano);
}

/** Of one dispute: its opening, and its taking the place of a conviction that fell (SPEC.md §8.3). */
export const FREEZINGS = ['opening', 'succession'] as const;
export type FreezingKind = (typeof FREEZINGS)[number];

/** Moves stake and retained pay into the dispute, where no other dispute and no withdrawal reaches them. */
export function freeze(
  disputeId: string,
  provider: string,
  amountNano: bigint,
  payNano = 0n,
  kind: FreezingKind = 'opening',
): Transfer {
  return makeTransfer({ id: freezeId(disputeId, kind), reason: 'freeze', disputeId }, [
    { from: stakeAccount(provider), to: frozenAccount(disputeId), amountNano },
    { from: earningsAccount(provider), to: frozenAccount(disputeId), amountNano: payNano },
  ]);
}

/** The transfer that froze for a dispute. */
export function freezeId(disputeId: string, kind: FreezingKind = 'opening'): string {
  return kind === 'opening' ? `freeze:${disputeId}` : `freeze:succession:${disputeId}`;
}

/** How much of what was frozen was pay. */
export function frozenPayOf({ postings }: Pick<Transfer, 'postings'>): bigint {
  return postings.reduce((sum, { account, amountNano }) => {
    return parseAccount(account).kind === 'earnings' ? sum - amountNano : sum;
  }, 0n);
}
