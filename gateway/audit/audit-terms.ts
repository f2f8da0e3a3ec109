/** What an answer promises of its audits, before anybody generates it (SPEC.md §8.1). Pure. */
import type { AuditTerms } from '#protocol/audit';
import type { Address, Hash } from '#protocol/hash';
import { PPM } from '#protocol/log';
import type { Policy } from '#protocol/policy';
import { jobPrice, type ModelPrice } from '../ledger/price.ts';
import { type AuditWorth, leastWorth } from './cheat-loss.ts';
import type { AuditRules, Incentive } from './equilibrium.ts';

/** How a gateway audits; times in milliseconds. */
export interface AuditLimits {
  /** Of a million choices, how many are audited, whoever answers; null goes by what each provider would lose and win. */
  readonly ratePpm: number | null;
  /** The operator's floor and ceiling of rates that go by the provider; absent for those of `AUDIT_RULES`. */
  readonly bounds?: Pick<AuditRules, 'floorPpm' | 'ceilingPpm'>;
  /** Of a million audits, how many are a whole answer by another provider. */
  readonly regeneratePpm: number;
  /** Longest time from an answer until its audit is due; with `patienceMs` below `withinMs`. */
  readonly delayMs: number;
  /** How long a due audit waits for a moment in which no client waits; it begins then in any case. Absent for none. */
  readonly patienceMs?: number;
  /** Longest time from an answer to its audit's entry in the log, below 2^32. */
  readonly withinMs: number;
}

/** What keeps one provider honest about one request. */
export interface AuditStanding {
  /** How often it is audited, in millionths. */
  readonly ratePpm: number;
  /** What it stands to win and lose now. */
  readonly incentive: Incentive;
}

/** Says how often the answers of a provider are audited; learns of each audit. */
export interface AuditRates {
  /** Of each of these. @param priceNano of the answer of one seat, at most */
  standingsOf(
    providers: readonly Address[],
    modelDigest: Hash,
    priceNano: bigint,
  ): Promise<ReadonlyMap<Address, AuditStanding>>;
  /** What this rate is worth against the cheats that are known. */
  worthOf(incentive: Incentive, ratePpm: number): AuditWorth;
  count(audit: { readonly provider: string; readonly outcome: string | null }): void;
  /** Looks again at what it has summed up, where that gets old; called on a timer. */
  refresh(): Promise<void>;
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
  /**
   * What that is worth against those of these that lose least by a cheat, each at its own rate.
   * @param collusionPpm probability that an auditor is an accomplice; what the rate goes by unless it is given
   */
  worthOf(providers: readonly { readonly address: Address }[], collusionPpm?: number): AuditWorth;
  /** The same where the client asks for so much, in millionths. */
  asking(askedPpm: number): AuditOffer;
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
  const whole = { inputTokens: Math.max(...promptTokens), outputTokens: maxTokens, scoredTokens: 0 };
  const { chargeNano } = jobPrice(model.price, whole);
  const addresses = providers.map(({ address }) => address);
  const standings = await rates.standingsOf(addresses, model.digest, chargeNano);
  return offerAt(rates, audits, standings, Math.round((policy.auditRate ?? 0) * PPM));
}

function offerAt(
  rates: Pick<AuditRates, 'worthOf'>,
  audits: AuditLimits,
  standings: ReadonlyMap<Address, AuditStanding>,
  askedPpm: number,
): AuditOffer {
  const { regeneratePpm, withinMs } = audits;
  const own = ({ ratePpm }: AuditStanding) => Math.max(askedPpm, audits.ratePpm ?? ratePpm);
  const mostPpm = Math.max(askedPpm, ...[...standings.values()].map(own));
  // Who came only after it was asked is audited as often as anybody.
  const ppmOf = ({ address }: { readonly address: Address }) => {
    const known = standings.get(address);
    return known === undefined ? mostPpm : own(known);
  };
  return {
    most: { ppm: mostPpm, regeneratePpm, withinMs },
    termsOf: (some) => ({ ppm: Math.max(askedPpm, ...some.map(ppmOf)), regeneratePpm, withinMs }),
    worthOf: (some, collusionPpm) =>
      leastWorth(
        some.flatMap((provider) => {
          const incentive = standings.get(provider.address)?.incentive;
          if (incentive === undefined) return [];
          const met = { ...incentive, collusionPpm: collusionPpm ?? incentive.collusionPpm };
          return [rates.worthOf(met, ppmOf(provider))];
        }),
      ),
    asking: (ppm) => offerAt(rates, audits, standings, ppm),
  };
}
