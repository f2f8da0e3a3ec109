/** The prize of a scorer that has found a planted error, out of the reserve (spec-money.md §11.13). Pure. */
import { earningsAccount, RESERVE } from './accounts.ts';
import { makeTransfer, type Transfer } from './transfer.ts';

/** Of the ids of all prizes. */
export const JACKPOT_PREFIX = 'jackpot:';

/** One trial a choice, so one prize. */
export function jackpotId(requestId: string, choice: number): string {
  return `${JACKPOT_PREFIX}${requestId}/${choice}`;
}

export interface Jackpot {
  readonly requestId: string;
  readonly choice: number;
  /** Who found it. */
  readonly provider: string;
  /** Above 0. */
  readonly amountNano: bigint;
}

export function jackpotTransfer({ requestId, choice, provider, amountNano }: Jackpot): Transfer {
  return makeTransfer({ id: jackpotId(requestId, choice), reason: 'late', requestId }, [
    { from: RESERVE, to: earningsAccount(provider), amountNano },
  ]);
}
