/** Paying back clients of answers that a conviction led to (SPEC.md §11.8). Pure. */
import type { AccountId } from './accounts.ts';
import { least } from './least.ts';

/** One request whose answer was overturned after the conviction of its provider. */
export interface Harmed {
  readonly requestId: string;
  /** Owner of the client's account. */
  readonly clientOwner: string;
  /** What it paid, has not got back, and no open dispute withholds. */
  readonly owedNano: bigint;
  /** What the reserve paid on account of the overturned answer and has not got back. */
  readonly recoverableNano: bigint;
}

/** Stake of the convicted account that no dispute holds. */
export interface FreeStake {
  readonly account: AccountId;
  readonly freeNano: bigint;
}

/**
 * Everybody whole where it suffices; else in proportion, rounded down, and what that leaves over a nano each to the first.
 * @returns one share for each amount, together min(available, all of them)
 */
export function shareOut(availableNano: bigint, owedNano: readonly bigint[]): bigint[] {
  const total = owedNano.reduce((sum, owed) => sum + owed, 0n);
  if (availableNano >= total) return [...owedNano];
  const shares = owedNano.map((owed) => (owed * availableNano) / total);
  let left = availableNano - shares.reduce((sum, share) => sum + share, 0n);
  return shares.map((share, i) => {
    // Never above what is owed: a share that was rounded down is below it.
    if (left === 0n || share === owedNano[i]) return share;
    left -= 1n;
    return share + 1n;
  });
}

/** What is taken of each stake, one after the other, until there is enough. */
export function takeInTurn(wantedNano: bigint, stakes: readonly FreeStake[]): { account: AccountId; nano: bigint }[] {
  let left = wantedNano;
  return stakes.flatMap(({ account, freeNano }) => {
    const nano = least(left, freeNano);
    left -= nano;
    return nano > 0n ? [{ account, nano }] : [];
  });
}
