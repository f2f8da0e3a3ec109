/** Money that crosses between the ledger and a chain, one transfer for one confirmed event (SPEC.md §11.3; spec-chain.md C9.4). */
import { clientAccount, earningsAccount, RESERVE } from './accounts.ts';
import { deposit, withdrawal } from './funding.ts';
import type { Transfer } from './transfer.ts';

/** Events that move money in the ledger. */
export const MONEY_IN = ['Redeemed', 'Funded'] as const;
export const MONEY_OUT = ['EarningsClaimed', 'MarginWithdrawn'] as const;

/** Prefixes of the ids of all transfers of the chain. */
export const CHAIN_IN = 'deposit:chain:';
export const CHAIN_OUT = 'withdrawal:chain:';

/** @param event its place in the chain @param owner client or payee; nobody where the money is the operator's */
export function chainTransfer(
  name: (typeof MONEY_IN)[number] | (typeof MONEY_OUT)[number],
  event: { readonly txHash: string; readonly logIndex: number },
  owner: string,
  amountNano: bigint,
): Transfer {
  const reference = `chain:${event.txHash}:${event.logIndex}`;
  switch (name) {
    case 'Redeemed':
      return deposit(reference, clientAccount(owner), amountNano);
    case 'Funded':
      return deposit(reference, RESERVE, amountNano);
    case 'EarningsClaimed':
      return withdrawal(reference, earningsAccount(owner), amountNano);
    case 'MarginWithdrawn':
      return withdrawal(reference, RESERVE, amountNano);
  }
}
