/** What a policy buys, in numbers that follow from the network's state: the `assay-security` header (DESIGN §9). Pure. */
import type { Snapshot } from '#protocol/draw';
import type { Address } from '#protocol/hash';
import type { Policy } from '#protocol/policy';

/** Share of the operators that is assumed to collude when the capture probability is quoted. */
export const COLLUDING_SHARE = 0.2;

/**
 * Probability that a share f of independent seats fills at least `agree` of n: the binomial tail. Fewer colluders than
 * that split the committee, and a split escalates.
 */
export function captureProbability(n: number, agree: number, share: number): number {
  let tail = 0;
  let choose = 1;
  for (let k = 0; k <= n; k++) {
    if (k > 0) choose = (choose * (n - k + 1)) / k;
    if (k >= agree) tail += choose * share ** k * (1 - share) ** (n - k);
  }
  return tail;
}

/** Stake of the seats that is at risk, in nano-units, capped as the draw caps it. */
export function stakeAtRiskNano(snapshot: Snapshot, seats: readonly Address[]): bigint {
  return snapshot.entries
    .filter((entry) => seats.includes(entry.address))
    .reduce((sum, entry) => sum + BigInt(entry.stakeNano), 0n);
}

/** Header members, all known before anything is generated. */
export function securityOf(
  policy: Policy,
  snapshot: Snapshot,
  seats: readonly Address[],
): Readonly<Record<string, string | number>> {
  return {
    seats: policy.n,
    agree: policy.agree,
    stake_at_risk_nano: stakeAtRiskNano(snapshot, seats).toString(),
    colluding_share: COLLUDING_SHARE,
    capture_probability: Number(captureProbability(policy.n, policy.agree, COLLUDING_SHARE).toFixed(3)),
    price_multiple: policy.n,
    finality_seconds: 0,
  };
}
