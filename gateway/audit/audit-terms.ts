/** What an answer promises of its audits, before anybody generates it (SPEC.md §8.1). Pure. */
import type { AuditTerms } from '#protocol/audit';
import type { Address, Hash } from '#protocol/hash';
import { PPM } from '#protocol/log';
import type { Policy } from '#protocol/policy';
import { jobPrice, type ModelPrice } from '../ledger/price.ts';

/** How a gateway audits; times in milliseconds. */
export interface AuditLimits {
  /** Of a million choices, how many are audited, whoever answers; null goes by what each provider would lose and win. */
  readonly ratePpm: number | null;
  /** Of a million audits, how many are a whole answer by another provider. */
  readonly regeneratePpm: number;
  /** Longest time from an answer to the beginning of its audit, below `withinMs`. */
  readonly delayMs: number;
  /** Longest time from an answer to its audit's entry in the log, below 2^32. */
  readonly withinMs: number;
}

/** Says how often the answers of a provider are audited, in millionths; learns of each audit. */
export interface AuditRates {
  /** @param priceNano of the answer of one seat, at most */
  ppmOf(provider: Address, modelDigest: Hash, priceNano: bigint): Promise<number>;
  count(audit: { readonly provider: string; readonly outcome: string | null }): void;
}

/** What of a request decides its terms. */
export interface TermsRequest {
  readonly policy: Policy;
  readonly model: { readonly digest: Hash; readonly price: ModelPrice };
  /** Of each prompt. */
  readonly promptTokens: readonly number[];
  readonly maxTokens: number;
}

/** What audited answers can promise now. */
export interface AuditOffer {
  /** The highest of all rates: what is held for it. */
  readonly most: AuditTerms;
  /** Of an answer that any of these may give: the highest of theirs. Known before anything is held. */
  termsOf(providers: readonly { readonly address: Address }[]): AuditTerms;
}

/**
 * Rates of providers, or what the client asks for where that is more.
 * @returns null where the policy asks for no audits
 */
export async function auditOfferOf(
  { rates, pipeline: { audits } }: { readonly rates: AuditRates; readonly pipeline: { readonly audits: AuditLimits } },
  { policy, model, promptTokens, maxTokens }: TermsRequest,
  providers: readonly { readonly address: Address }[],
): Promise<AuditOffer | null> {
  if (policy.mode !== 'audited') return null;
  const { regeneratePpm, withinMs } = audits;
  const asked = Math.round((policy.auditRate ?? 0) * PPM);
  const whole = { inputTokens: Math.max(...promptTokens), outputTokens: maxTokens, scoredTokens: 0 };
  const { chargeNano } = jobPrice(model.price, whole);
  const known = new Map<Address, number>();
  for (const { address } of providers) {
    known.set(address, audits.ratePpm ?? (await rates.ppmOf(address, model.digest, chargeNano)));
  }
  const mostPpm = Math.max(asked, ...known.values());
  return {
    most: { ppm: mostPpm, regeneratePpm, withinMs },
    termsOf: (some) => {
      // Who came only after it was asked is audited as often as anybody.
      const ppm = Math.max(asked, ...some.map(({ address }) => known.get(address) ?? mostPpm));
      return { ppm, regeneratePpm, withinMs };
    },
  };
}
