/** What an examination costs whom it was about: out of the pay that it holds back, to the reserve that has paid the scorers (spec-money.md §11.8). Pure. */
import { earningsAccount, RESERVE } from './accounts.ts';
import { makeTransfer, type Transfer } from './transfer.ts';

/** Of the ids of all fees. */
export const EXAMINATION_PREFIX = 'examination:';

/** @param feeNano above 0 */
export function examinationFee(examinationId: string, provider: string, feeNano: bigint): Transfer {
  return makeTransfer({ id: `${EXAMINATION_PREFIX}${examinationId}`, reason: 'late' }, [
    { from: earningsAccount(provider), to: RESERVE, amountNano: feeNano },
  ]);
}

/** One answer of an examination, as far as its price goes. */
export interface Looked {
  readonly outcome: 'held' | 'rejected' | 'unsure' | 'undone' | null;
  readonly costNano: bigint;
}

/** The price of a score of each answer that was looked at: what nobody could be had for costs nothing. */
export function feeOf(answers: readonly Looked[]): bigint {
  return answers.reduce(
    (sum, { outcome, costNano }) => (outcome === null || outcome === 'undone' ? sum : sum + costNano),
    0n,
  );
}
