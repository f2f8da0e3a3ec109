/** The life of one transaction: queued, sent, mined, confirmed or failed (spec-chain.md C9.3). Pure. */
import type { Hash } from '#protocol/hash';

/** Prices of EIP-1559, in wei for a unit of gas. */
export interface Fees {
  readonly maxFeePerGas: bigint;
  readonly maxPriorityFeePerGas: bigint;
}

/** Where a try was mined. */
export interface MinedAt {
  readonly txHash: Hash;
  readonly blockNumber: number;
  readonly blockHash: Hash;
  /** False where the call was reverted: it has used its nonce, and nothing else. */
  readonly succeeded: boolean;
}

/** A transaction that has a nonce and is not final. */
export interface OpenIntent {
  readonly nonce: number;
  /** What was stored of its place in a block; null while it is in none. */
  readonly mined: Omit<MinedAt, 'succeeded'> | null;
  readonly lastTry: Fees & { readonly signedAtMs: number };
}

/** What the chain shows of it now. */
export interface Sight {
  readonly headNumber: number;
  /** The try that stands in a block of the canonical chain. */
  readonly mined: MinedAt | null;
  /** Nonces of the sender that are used at the confirmed height: one of somebody else's may be among them. */
  readonly noncesUsed: number;
}

export interface OutboxTerms {
  /** Blocks on top of a block that make it final. */
  readonly confirmations: number;
  /** From a try until it is replaced by one with higher fees, in milliseconds. */
  readonly bumpMs: number;
  /** Most that a unit of gas may cost, in wei. */
  readonly feeMaxWei: bigint;
}

export type Step =
  /** It stands where it stood, or waits for its block. */
  | { readonly kind: 'wait' }
  /** The same bytes once more: a node may have dropped them. */
  | { readonly kind: 'resend' }
  /** Another try of the same nonce. */
  | { readonly kind: 'replace'; readonly fees: Fees }
  | { readonly kind: 'mined'; readonly at: MinedAt }
  /** A reorganisation took its block away. */
  | { readonly kind: 'unmined' }
  | { readonly kind: 'confirmed'; readonly at: MinedAt }
  | { readonly kind: 'failed'; readonly at: MinedAt }
  /** A transaction that is none of ours has used the nonce, for good: somebody else signs with this key. */
  | { readonly kind: 'nonce_taken' };

/** A block of this number, or an older one, is final under a head. */
export function confirmedHeight(headNumber: number, confirmations: number): number {
  return headNumber - confirmations;
}

/**
 * What to do next about a transaction that has a nonce.
 * INVARIANT: no step gives it another nonce, so that at most one of its tries is ever in one chain.
 * @param suggested what the chain asks for now
 */
export function nextStep(intent: OpenIntent, sight: Sight, suggested: Fees, nowMs: number, terms: OutboxTerms): Step {
  const { mined, headNumber } = sight;
  if (mined !== null) {
    if (mined.blockNumber <= confirmedHeight(headNumber, terms.confirmations)) {
      return { kind: mined.succeeded ? 'confirmed' : 'failed', at: mined };
    }
    const isKnown = intent.mined?.blockHash === mined.blockHash && intent.mined.txHash === mined.txHash;
    return isKnown ? { kind: 'wait' } : { kind: 'mined', at: mined };
  }
  if (intent.mined !== null) return { kind: 'unmined' };
  if (sight.noncesUsed > intent.nonce) return { kind: 'nonce_taken' };
  if (nowMs - intent.lastTry.signedAtMs < terms.bumpMs) return { kind: 'resend' };
  const fees = bumped(intent.lastTry, suggested, terms.feeMaxWei);
  return fees === null ? { kind: 'resend' } : { kind: 'replace', fees };
}

/** Nodes take a replacement that pays a tenth more of both prices (go-ethereum's `price bump`); an eighth is surely that. */
const BUMP_NUMERATOR = 9n;
const BUMP_DENOMINATOR = 8n;

/** @returns null where the limit does not allow what a node would take */
export function bumped(previous: Fees, suggested: Fees, feeMaxWei: bigint): Fees | null {
  const raise = (before: bigint, now: bigint) => {
    const least = (before * BUMP_NUMERATOR + BUMP_DENOMINATOR - 1n) / BUMP_DENOMINATOR + 1n;
    return now > least ? now : least;
  };
  const maxPriorityFeePerGas = raise(previous.maxPriorityFeePerGas, suggested.maxPriorityFeePerGas);
  const asked = raise(previous.maxFeePerGas, suggested.maxFeePerGas);
  const maxFeePerGas = asked > maxPriorityFeePerGas ? asked : maxPriorityFeePerGas;
  return maxFeePerGas > feeMaxWei ? null : { maxFeePerGas, maxPriorityFeePerGas };
}

/** First fees: what is suggested, within the limit. */
export function firstFees({ maxFeePerGas, maxPriorityFeePerGas }: Fees, feeMaxWei: bigint): Fees {
  const least = (a: bigint, b: bigint) => (a < b ? a : b);
  const fee = least(maxFeePerGas, feeMaxWei);
  return { maxFeePerGas: fee, maxPriorityFeePerGas: least(maxPriorityFeePerGas, fee) };
}

/**
 * What must keep its order: vouchers of one client, of which the larger makes the smaller worthless. Everything else stands alone.
 * @param key name of an intent
 */
export function laneOf(key: string): string {
  return key.startsWith('redeem:') ? key.slice(0, key.lastIndexOf(':')) : key;
}

/**
 * The next nonce of the one sender.
 * @param highest of the outbox; null while it has given none
 * @param onChain transactions of the sender in the newest block: those of before there was an outbox count too
 */
export function nextNonce(highest: number | null, onChain: number): number {
  return highest === null ? onChain : Math.max(highest + 1, onChain);
}
