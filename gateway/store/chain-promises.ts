/** What roots on a chain have promised out of the ledger: nobody else may be paid with it (spec-chain.md C9.5). */
import type { Address } from '#protocol/hash';
import { baseOf } from '../chain/units.ts';
import { type AccountId, parseAccount } from '../ledger/accounts.ts';
import { storedDecimals } from './chain-network-repo.ts';
import { promisedBase } from './chain-roots-repo.ts';
import { claimedBase } from './chain-state-repo.ts';
import type { Tx } from './handle.ts';
import { balanceNano } from './ledger-repo.ts';

/** Whether an account still holds what is promised and not claimed after `amountNano` has left it. */
export async function leavesPromised(tx: Tx, account: AccountId, amountNano: bigint): Promise<boolean> {
  const { kind, owner } = parseAccount(account);
  const decimals = await storedDecimals(tx);
  if (kind !== 'earnings' || decimals === null) return true;
  const open = (await promisedBase(tx, owner as Address)) - (await claimedBase(tx, owner as Address));
  const left = (await balanceNano(tx, account)) - amountNano;
  return open <= baseOf(left, decimals);
}
