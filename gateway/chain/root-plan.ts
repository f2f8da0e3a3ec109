/** What the next root of earnings promises (spec-chain.md C9.5). Pure; amounts are base units unless they are named otherwise. */
import type { Address } from '#protocol/hash';
import { baseOf } from './units.ts';

/** One provider's earnings, off chain and on it. */
export interface Payee {
  readonly payee: Address;
  /** What the ledger owes it: earned and not withdrawn. */
  readonly earningsNano: bigint;
  /** What it has claimed on the chain in all; gone from the ledger. */
  readonly claimed: bigint;
  /** Its leaf in the last root that was decided; 0 where it had none. */
  readonly promised: bigint;
}

export interface RootPlan {
  /** By ascending payee, none of 0. */
  readonly leaves: readonly { readonly payee: Address; readonly cumulative: bigint }[];
  readonly total: bigint;
  /** What the ledger owes beyond what the pool can pay; it stays in the ledger. */
  readonly short: bigint;
}

/**
 * Cumulative earnings of everybody. Where the pool does not cover all, each gets the same share of what is new, rounded down.
 * INVARIANT: no leaf is smaller than in the root before, and the leaves sum to the total, at most the capacity.
 * @param capacity what the pool took in, minus margin taken out
 * @returns null where there is nothing new to promise
 */
export function planRoot(payees: readonly Payee[], capacity: bigint, decimals: number): RootPlan | null {
  const promised = payees.reduce((sum, payee) => sum + payee.promised, 0n);
  const dues = payees.map((payee) => {
    const due = baseOf(payee.earningsNano, decimals) + payee.claimed - payee.promised;
    return due > 0n ? due : 0n;
  });
  const due = dues.reduce((sum, amount) => sum + amount, 0n);
  const room = capacity > promised ? capacity - promised : 0n;
  const granted = (amount: bigint) => (due <= room ? amount : (amount * room) / due);
  const leaves = payees
    .map(({ payee, promised: before }, at) => ({ payee, cumulative: before + granted(dues[at]!) }))
    .filter(({ cumulative }) => cumulative > 0n)
    .sort((a, b) => (a.payee < b.payee ? -1 : 1));
  const total = leaves.reduce((sum, { cumulative }) => sum + cumulative, 0n);
  if (total === promised) return null;
  return { leaves, total, short: due > room ? due - room : 0n };
}
