/** What audits add to the price of an answer, with repeats, canaries and their prizes: more than is charged today (spec-money.md §11.5). Pure. */
import { PPM } from '#protocol/log';

const MILLION = BigInt(PPM);

/** What audits are made of, in millionths. */
export interface AuditMix {
  /** Share of audits that generate the answer anew; the others score it. */
  readonly regenerationPpm: number;
  /** Canaries for every audit: each is an order like an audit's, about an answer with a planted error. */
  readonly canaryPpm: number;
  /** Prizes, in millionths of a score's price, for every canary. */
  readonly jackpotPpm: number;
  /** Share of audits that a second operator repeats. */
  readonly repeatedPpm: number;
}

/**
 * A tenth regenerates, so that a provider that fools scorers alone meets one that does not read its tokens at all. A twentieth of the
 * orders are canaries (verification reference §7), with a prize of 5 scores: a quarter of the 1 / 0.05 = 20 at which prizes alone would make
 * computing pay (`jackpotNano`); the other three quarters are 15 scores' worth of standing, which a missed canary puts at risk. One audit in
 * fifty is repeated: honest scores surprise less than once in a thousand, the rest are real finds.
 */
export const AUDIT_MIX: AuditMix = Object.freeze({
  regenerationPpm: 100_000,
  canaryPpm: 50_000,
  jackpotPpm: 5_000_000,
  repeatedPpm: 20_000,
});

/** What one order of each kind costs for this request. */
export interface AuditPrices {
  readonly scoreNano: bigint;
  readonly regenerationNano: bigint;
}

/**
 * What is charged beside the answer: the expected cost of its audit, whether or not it is audited, so that the bill does not tell.
 * @param ratePpm probability of an audit, in millionths
 * @returns rounded up once
 */
export function auditSurchargeNano(prices: AuditPrices, ratePpm: number, mix: AuditMix = AUDIT_MIX): bigint {
  const { scale, nano } = auditCost(prices, mix);
  const divisor = MILLION * scale;
  return (BigInt(ratePpm) * nano + divisor - 1n) / divisor;
}

/** Expected cost of one audit, with what is repeated and the canaries that go with it; rounded up. */
export function auditCostNano(prices: AuditPrices, mix: AuditMix = AUDIT_MIX): bigint {
  const { scale, nano } = auditCost(prices, mix);
  return (nano + scale - 1n) / scale;
}

function auditCost({ scoreNano, regenerationNano }: AuditPrices, mix: AuditMix) {
  const regenerated = BigInt(mix.regenerationPpm);
  // Times 10^6.
  const order = scoreNano * (MILLION - regenerated) + regenerationNano * regenerated;
  const orders = order * (MILLION + BigInt(mix.repeatedPpm) + BigInt(mix.canaryPpm));
  const prizes = scoreNano * BigInt(mix.canaryPpm) * BigInt(mix.jackpotPpm);
  return { scale: MILLION * MILLION, nano: orders + prizes };
}
