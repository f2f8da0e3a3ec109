/** The smaller of two amounts: Math.min does not take bigint. */

/** The smallest of the amounts in nano. */
export function least(first: bigint, ...others: readonly bigint[]): bigint {
  let smallest = first;
  for (const amount of others) if (amount < smallest) smallest = amount;
  return smallest;
}
