/** Money that enters and leaves the ledger (SPEC.md §Money, "Accounts"). */
import type { AccountId } from './accounts.ts';
import { EXTERNAL } from './accounts.ts';
import type { Transfer } from './transfer.ts';
import { makeTransfer } from './transfer.ts';

/**
 * A deposit into a client, stake or reserve account.
 * @param reference names the outside payment, so that it is credited once
 */
export function deposit(reference: string, to: AccountId, amountNano: bigint): Transfer {
  return makeTransfer({ id: `deposit:${reference}`, reason: 'deposit' }, [{ from: EXTERNAL, to, amountNano }]);
}

/** A withdrawal from a client, earnings, stake or reserve account; `reference` names the outside payment. */
export function withdrawal(reference: string, from: AccountId, amountNano: bigint): Transfer {
  return makeTransfer({ id: `withdrawal:${reference}`, reason: 'withdrawal' }, [{ from, to: EXTERNAL, amountNano }]);
}
