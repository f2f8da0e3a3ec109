/** The quote the other way round: from a budget or a wanted security to the policy to buy (spec-money.md §11.12). Pure. */

/** What the client wants; null asks for nothing. */
export interface SecurityTarget {
  /** Most that the request may cost. */
  readonly maxCostNano: bigint | null;
  /** Most that it may cost over one seat alone. */
  readonly priceMultipleMax: number | null;
  readonly captureProbabilityMax: number | null;
  readonly stakeAtRiskMinNano: bigint | null;
  /** Whether a lone cheat has to lose by what it does. */
  readonly isDeterring: boolean;
  readonly finalitySecondsMax: number | null;
  /** Share of the operators that is taken to be in one hand, 0 to 1. */
  readonly colludingShare: number;
}

/** A policy that could be bought, and what it is worth. */
export interface PolicyOption {
  readonly quoteNano: bigint;
  readonly priceMultiple: number;
  readonly captureProbability: number;
  readonly stakeAtRiskNano: bigint;
  readonly cheatLossNano: bigint;
  readonly finalitySeconds: number;
}

/**
 * The cheapest option that meets the target; of equally cheap ones the safest. Where the target is a budget and nothing else, the
 * safest that it pays for; of equally safe ones the cheapest.
 * @returns null where none does
 */
export function cheapestOf<T extends PolicyOption>(options: readonly T[], target: SecurityTarget): T | null {
  const enough = options.filter((option) => isMet(option, target));
  const { captureProbabilityMax, stakeAtRiskMinNano, isDeterring } = target;
  const isBudget = captureProbabilityMax === null && stakeAtRiskMinNano === null && !isDeterring;
  const [first] = enough.sort((a, b) => (isBudget ? bySafety(a, b) || byPrice(a, b) : byPrice(a, b) || bySafety(a, b)));
  return first ?? null;
}

function isMet(option: PolicyOption, target: SecurityTarget): boolean {
  const { maxCostNano, priceMultipleMax, captureProbabilityMax, stakeAtRiskMinNano, finalitySecondsMax } = target;
  return (
    (maxCostNano === null || option.quoteNano <= maxCostNano) &&
    (priceMultipleMax === null || option.priceMultiple <= priceMultipleMax) &&
    (captureProbabilityMax === null || option.captureProbability <= captureProbabilityMax) &&
    (stakeAtRiskMinNano === null || option.stakeAtRiskNano >= stakeAtRiskMinNano) &&
    (!target.isDeterring || option.cheatLossNano > 0n) &&
    (finalitySecondsMax === null || option.finalitySeconds <= finalitySecondsMax)
  );
}

function byPrice(a: PolicyOption, b: PolicyOption): number {
  return order(a.quoteNano, b.quoteNano);
}

function bySafety(a: PolicyOption, b: PolicyOption): number {
  // Where cheating pays it is to be expected, however few accomplices there are.
  const deterrence = Number(b.cheatLossNano > 0n) - Number(a.cheatLossNano > 0n);
  return deterrence || order(a.captureProbability, b.captureProbability) || order(b.cheatLossNano, a.cheatLossNano);
}

function order<T extends bigint | number>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
