/** The accounts of the double-entry ledger and what their names mean (SPEC.md §Money, "Accounts"). */

/**
 * Largest amount that an account or a posting may hold, in nano: 2^62 − 1 ≈ 4.6e18 nano ≈ 4.6e9 tokens. Half of int64, so that
 * the sum of two legal amounts still fits; SQLite would otherwise turn an overflowing sum into a float without a word.
 */
export const MONEY_MAX_NANO = (1n << 62n) - 1n;

/** Accounts there is one of. `fees` is kept for an operator's margin; no rule of this version pays into it. */
export const SINGLE_KINDS = ['external', 'reserve', 'burn', 'rounding', 'fees'] as const;
/** Accounts there is one of per owner: API key, request, provider or dispute. */
export const OWNED_KINDS = ['client', 'escrow', 'cover', 'earnings', 'stake', 'frozen', 'withheld'] as const;

export type AccountKind = (typeof SINGLE_KINDS)[number] | (typeof OWNED_KINDS)[number];

/** `kind` or `kind:owner`. */
export type AccountId = string;

export interface ParsedAccount {
  readonly kind: AccountKind;
  /** The key, request, provider or dispute; empty where there is one account of the kind. */
  readonly owner: string;
}

/** The world outside the ledger: deposits come from it, withdrawals go to it; the only account that may be negative. */
export const EXTERNAL: AccountId = 'external';
/** The operator's money that pays revealed work where the client does not. */
export const RESERVE: AccountId = 'reserve';
/** Slashed stake that nobody gets. */
export const BURN: AccountId = 'burn';
/** Fractions of a nano that a client's charge was rounded up by. */
export const ROUNDING: AccountId = 'rounding';

/** What the API keys of one client may spend; a key has an account of its own unless it was made for another's. */
export function clientAccount(owner: string): AccountId {
  return `client:${owner}`;
}

/** The client's money held for one request, at most its quote. */
export function escrowAccount(requestId: string): AccountId {
  return `escrow:${requestId}`;
}

/** What clients have paid for audits and no audit has cost yet: a probability times a price each time (SPEC.md §11.5). */
export const AUDIT_POOL: AccountId = escrowAccount('audits');

/** The reserve's money held for one request, so that two requests never count on the same reserve. */
export function coverAccount(requestId: string): AccountId {
  return `cover:${requestId}`;
}

/** What a provider has earned and not withdrawn. */
export function earningsAccount(provider: string): AccountId {
  return `earnings:${provider}`;
}

/** A provider's stake that no dispute has frozen. */
export function stakeAccount(provider: string): AccountId {
  return `stake:${provider}`;
}

/** The part of a stake that one open dispute is about. */
export function frozenAccount(disputeId: string): AccountId {
  return `frozen:${disputeId}`;
}

/** The pay of a rejected job until its dispute is settled. */
export function withheldAccount(disputeId: string): AccountId {
  return `withheld:${disputeId}`;
}

/** Splits an account's name. @throws {RangeError} when it is none of the kinds above */
export function parseAccount(id: AccountId): ParsedAccount {
  const colon = id.indexOf(':');
  const kind = colon === -1 ? id : id.slice(0, colon);
  const owner = colon === -1 ? '' : id.slice(colon + 1);
  const single = SINGLE_KINDS.find((k) => k === kind);
  if (single !== undefined && colon === -1) return { kind: single, owner };
  const owned = OWNED_KINDS.find((k) => k === kind);
  if (owned !== undefined && owner.length > 0) return { kind: owned, owner };
  throw new RangeError('"account" expected a known kind and its owner');
}
