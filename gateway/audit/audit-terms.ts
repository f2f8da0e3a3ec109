/** What an answer promises of its audits, before anybody generates it (SPEC.md §8.1). Pure. */
import type { AuditTerms } from '#protocol/audit';
import type { Address, Hash } from '#protocol/hash';
import { PPM } from '#protocol/log';
import type { Policy } from '#protocol/policy';
import { jobPrice, type ModelPrice } from '../ledger/price.ts';
import type { Incentive } from './equilibrium.ts';

/** How a gateway audits; times in milliseconds. */
export interface AuditLimits {
  /** Of a million choices, how many are audited, whoever answers; null goes by what each provider would lose and win. */
  readonly ratePpm: number | null;
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
  /** What the best cheat loses by each answer, at this rate; negative where it pays. */
  lossNano(incentive: Incentive, ratePpm: number): bigint;
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
   * What the best cheat of any of these loses by an answer at its own rate, where it loses least.
   * @param collusionPpm probability that an auditor is an accomplice; what the rate goes by unless it is given
   */
  lossNanoOf(providers: readonly { readonly address: Address }[], collusionPpm?: number): bigint;
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
  const addresses = providers.map(({ address }) => address);
  const standings = await rates.standingsOf(addresses, model.digest, chargeNano);
  const known = new Map(
    [...standings].map(([address, { ratePpm, incentive }]) => [
      address,
      { ratePpm: audits.ratePpm ?? ratePpm, incentive },
    ]),
  );
  const mostPpm = Math.max(asked, ...[...known.values()].map(({ ratePpm }) => ratePpm));
  // Who came only after it was asked is audited as often as anybody.
  const ppmOf = (some: readonly { readonly address: Address }[]) =>
    Math.max(asked, ...some.map(({ address }) => known.get(address)?.ratePpm ?? mostPpm));
  return {
    most: { ppm: mostPpm, regeneratePpm, withinMs },
    termsOf: (some) => ({ ppm: ppmOf(some), regeneratePpm, withinMs }),
    lossNanoOf: (some, collusionPpm) => {
      const losses = some.flatMap(({ address }) => {
        const incentive = known.get(address)?.incentive;
        if (incentive === undefined) return [];
        const met = { ...incentive, collusionPpm: collusionPpm ?? incentive.collusionPpm };
        return [rates.lossNano(met, ppmOf([{ address }]))];
      });
      return losses.reduce((least, loss) => (loss < least ? loss : least), losses[0] ?? 0n);
    },
  };
}
