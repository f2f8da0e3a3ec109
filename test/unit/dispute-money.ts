/** The money of a dispute as tests change it. */
import { DEFAULT_SPLIT, type DisputeMoney } from '../../gateway/ledger/dispute-money.ts';
import type { Transfer } from '../../gateway/ledger/transfer.ts';

/** Of an upheld dispute of `loser` about a request of `c`, with 1,000 nano frozen. */
export function disputeMoney(change: Partial<DisputeMoney> = {}): DisputeMoney {
  return {
    disputeId: 'd',
    provider: 'loser',
    ruling: 'upheld',
    clientOwner: 'c',
    frozenNano: 1_000n,
    withheldClientNano: 0n,
    withheldReserveNano: 0n,
    refundableNano: 0n,
    recoverableNano: 0n,
    right: ['honest'],
    judges: [],
    split: DEFAULT_SPLIT,
    ...change,
  };
}

/** What a transfer moves on one account; 0 where it does not touch it. */
export function movedOn({ postings }: Transfer, account: string): bigint {
  return postings.find((posting) => posting.account === account)?.amountNano ?? 0n;
}
