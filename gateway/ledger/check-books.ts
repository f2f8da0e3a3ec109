/** The ledger's self-check, run by tests after every simulated crash and by operators (SPEC.md §Money, "Self-check"). */
import type { AccountId } from './accounts.ts';
import { parseAccount } from './accounts.ts';

/** Everything the ledger holds, or a consistent snapshot of it. */
export interface Books {
  readonly accounts: readonly { readonly id: AccountId; readonly balanceNano: bigint }[];
  readonly transferIds: readonly string[];
  readonly postings: readonly {
    readonly transferId: string;
    readonly account: AccountId;
    readonly amountNano: bigint;
  }[];
}

export interface BooksProblem {
  readonly kind: 'unbalanced_transfer' | 'wrong_balance' | 'negative_balance' | 'money_made' | 'unknown_reference';
  /** The transfer or account at fault; empty for the whole ledger. */
  readonly id: string;
}

/** Everything that is wrong with the books; an empty list says that they balance. */
export function checkBooks(books: Books): readonly BooksProblem[] {
  const problems: BooksProblem[] = [];
  const perTransfer = new Map<string, bigint>(books.transferIds.map((id) => [id, 0n]));
  const perAccount = new Map<AccountId, bigint>();
  for (const posting of books.postings) {
    if (!perTransfer.has(posting.transferId)) problems.push({ kind: 'unknown_reference', id: posting.transferId });
    perTransfer.set(posting.transferId, (perTransfer.get(posting.transferId) ?? 0n) + posting.amountNano);
    perAccount.set(posting.account, (perAccount.get(posting.account) ?? 0n) + posting.amountNano);
  }
  for (const [id, sum] of perTransfer) if (sum !== 0n) problems.push({ kind: 'unbalanced_transfer', id });
  let total = 0n;
  for (const { id, balanceNano } of books.accounts) {
    total += balanceNano;
    if (balanceNano !== (perAccount.get(id) ?? 0n)) problems.push({ kind: 'wrong_balance', id });
    if (balanceNano < 0n && parseAccount(id).kind !== 'external') problems.push({ kind: 'negative_balance', id });
    perAccount.delete(id);
  }
  for (const id of perAccount.keys()) problems.push({ kind: 'unknown_reference', id });
  if (total !== 0n) problems.push({ kind: 'money_made', id: '' });
  return problems;
}
