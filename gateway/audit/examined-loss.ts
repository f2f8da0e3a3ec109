/**
 * What a provider that was never examined loses by cheating: all its pay for lone answers waits for an examination (spec-money.md §11.12, SPEC.md §8.4). Pure.
 *
 * Of N answers until then M are cheated; each is audited with probability p unseen, and K of those that were not are drawn. A look at a cheated answer convicts with
 * probability d' = d·(1 − f), and the conviction takes the slash σ and the pay R of all answers until then: before the examination at least R_0 + m·P where the m-th
 * cheated answer convicts, at the examination R_0 + P and P̄ for each answer that came after it.
 *
 * Let α = p·d' and x = (1 − α)^M, the probability that no audit convicts. So many answers are cheated on average: E = Σ m·P(m) + x·M = (1 − x) / α. The loss is at least
 *
 *     Σ P(m)·(σ + R_0 + m·P) + x·Q·B = (1 − x)·(σ + R_0 + P) + P·Σ (m − 1)·P(m) + x·Q·B,   B = σ + R at the examination,
 *
 * with Q, the probability that the examination convicts where no audit has. Divided by E, with Σ (m − 1)·P(m) = (1 − x)·(1/α − 1) − x·M and M·α·x ≤ (1 − α)·(1 − x), that is at least
 *
 *     α·(σ + R_0 + P) + (1 − α)·min(P, Q·B / M).
 *
 * Q: a cheated answer that no audit has convicted is unaudited with probability 1 − p at least, so that of min(K, N) answers each is looked at with that probability. Draws without
 * replacement convict no less often than independent ones (Hoeffding 1963, theorem 4: (1 − d')^x is convex), hence Q ≥ 1 − (1 − e·M/N)^min(K, N) ≥ k·e / (1 + k·e) with
 * e = (1 − p)·d' and k = M·min(K, N) / N (Bernoulli's inequality). Q·B / M is least where all answers from now on are cheated, and of all N at the first answer or where N is large:
 *
 *     e·(σ + R_0 + P) / (1 + e)  for N = n + 1 ≤ K,      K·e·P̄ / (1 + K·e)  for N → ∞,
 *
 * since between them it is above a quotient of two lines in N, which is monotone. n answers wait already; P̄ is what an answer costs that comes after this one: what those did, but
 * no more than this one.
 */
import { PPM } from '#protocol/log';
import { ANSWERS_MAX } from '../examine/occasion.ts';
import { least } from '../ledger/least.ts';
import type { CheatFigures } from './detection.ts';
import { type Incentive, slashNano } from './equilibrium.ts';

const MILLION = BigInt(PPM);
/** 1 / (d·fraction), in thousandths times millionths, where every look at a cheated answer convicts. */
const SURE = 1_000n * MILLION;

/**
 * What it is expected to lose by each answer that it cheats on from now until it is examined or convicted, less what it saves by it, whatever share of its answers that is; rounded
 * down. A look at a cheated answer is taken to convict with probability d = 1 / (K·φ), which is that of single answers in the table's rows of rare cheats, and those are the
 * least of a cheat's rows: what accumulates comes on top.
 * @param waiting lone answers whose pay waits for the examination
 * @param drawnMax answers that one examination draws at most
 */
export function examinedLossNano(
  incentive: Incentive,
  cheat: CheatFigures,
  ratePpm: number,
  waiting: number,
  drawnMax: number = ANSWERS_MAX,
): bigint {
  const { priceNano, retainedNano = 0n, collusionPpm } = incentive;
  const lossNano = slashNano(incentive, cheat) + retainedNano + priceNano;
  const meanNano = waiting === 0 ? priceNano : least(priceNano, retainedNano / BigInt(waiting));
  const looks = BigInt(cheat.auditsMilli) * BigInt(cheat.fractionPpm);
  // Millionths, three times: of the rate, of honest auditors, and of d.
  const unit = MILLION * MILLION * (looks < SURE ? SURE : looks);
  const honest = (MILLION - BigInt(collusionPpm)) * SURE;
  const audited = BigInt(ratePpm) * honest;
  const unaudited = (MILLION - BigInt(ratePpm)) * honest;
  const many = BigInt(drawnMax) * unaudited;
  const large = { over: many * meanNano, under: unit + many };
  const next = { over: unaudited * lossNano, under: unit + unaudited };
  const isNextLess = waiting < drawnMax && next.over * large.under < large.over * next.under;
  const { over, under } = isNextLess ? next : large;
  const savedNano = ceilDiv(priceNano * BigInt(cheat.savedPpm), MILLION);
  // One quotient, so that it does not fall where the rate rises.
  return (audited * lossNano * under + (unit - audited) * over) / (unit * under) - savedNano;
}

function ceilDiv(dividend: bigint, divisor: bigint): bigint {
  return (dividend + divisor - 1n) / divisor;
}
