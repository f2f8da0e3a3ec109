/** What keeps those who check honest: planted errors that pay who finds them and convict who does not look. Pure. */
import { PPM } from '#protocol/log';

const MILLION = BigInt(PPM);

/**
 * Least prize for finding a planted error, at which computing a score pays although real errors never come.
 *
 * "Demystifying incentives in the consensus computer" (Luu et al. 2015) has the dilemma: a checker earns e·B/k, with e the share of errors, B the
 * prize and k those who share it, and as e goes to 0 nobody checks. Forced errors keep e at the canaries' share: check if and only
 * if e·J/k is at least what a check costs, so J ≥ k·cost/e.
 * @param costNano what a score costs its scorer; the whole price of it is an upper bound
 * @param canaryPpm share of a scorer's orders that are canaries, in millionths, above 0
 * @param finders scorers that can claim the same canary, at least 1
 */
export function jackpotNano(costNano: bigint, canaryPpm: number, finders = 1): bigint {
  if (canaryPpm < 1 || canaryPpm > PPM) throw new RangeError('"canaryPpm" out of range');
  const share = BigInt(canaryPpm);
  return (BigInt(finders) * costNano * MILLION + share - 1n) / share;
}

/**
 * Least share of canaries at which accepting unseen, or copying the first answer, loses: each saves the cost of its work on every order, and
 * loses the penalty on every canary.
 * @param savedNano on an order @param lostNano at a canary that it misses, a prize that it did not get included
 * @returns millionths; null where not even canaries alone would do
 */
export function canaryNeededPpm(savedNano: bigint, lostNano: bigint): number | null {
  if (savedNano === 0n) return 0;
  if (lostNano <= 0n) return null;
  const needed = (savedNano * MILLION) / lostNano + 1n;
  return needed > MILLION ? null : Number(needed);
}
