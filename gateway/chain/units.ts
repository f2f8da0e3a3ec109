/** Nano-units of the ledger and base units of the token: the only place where one becomes the other (spec-chain.md C9.1). Pure. */

/** Digits of a nano: 1 token = 10^9 nano = 10^decimals base units. */
const NANO_DECIMALS = 9;
/** ERC-20 counts decimals in a uint8; above this an amount of the ledger would not fit the contracts' uint128. */
export const DECIMALS_MAX = 28;

/** @returns base units, rounded down: a fraction of a base unit stays in the ledger */
export function baseOf(nano: bigint, decimals: number): bigint {
  const shift = decimals - NANO_DECIMALS;
  return shift >= 0 ? nano * 10n ** BigInt(shift) : nano / 10n ** BigInt(-shift);
}

/** @returns nano, rounded down: less than a nano that came in belongs to the pool */
export function nanoOf(base: bigint, decimals: number): bigint {
  const shift = NANO_DECIMALS - decimals;
  return shift >= 0 ? base * 10n ** BigInt(shift) : base / 10n ** BigInt(-shift);
}
