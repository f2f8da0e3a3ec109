/** What each fault costs, as a share of the bonded stake (SPEC.md §Money, "Penalties"; faults: §7). */
import type { Fault } from '#protocol/verdict';

/** One basis point is 1/10,000. */
export const BPS = 10_000n;

/** The gateway's own faults: no provider's stake answers for them. */
type GatewayFault = 'two_roots' | 'forked_log' | 'false_draw' | 'contradicting_attestation';

/** Faults of a provider that a dispute can be about. */
export type ProviderFault = Exclude<Fault, GatewayFault>;

/**
 * Share of the bonded stake per fault, in basis points.
 * RATIONALE: C is the pay of one job; skipping the work saves at most 0.9 C; a stake is worth at least 1,000 C. A penalty of
 * 20% = 200 C then outweighs the gain wherever a lie is found with probability above 0.9 / 200 = 0.45%; a quorum finds it
 * nearly always. Not more, since broken memory can produce a wrong output once, and honest stake must survive that.
 */
export const PENALTY_BPS: Readonly<Record<ProviderFault, bigint>> = {
  // Two signatures, or a signature over a wrong opening: proven by itself, and no honest crash makes it (durable before signed).
  equivocation: 10_000n,
  bad_opening: 10_000n,
  // A false score can cost an honest member its 20%; it must cost half as much again: 1.5 × 2,000.
  lying_scorer: 3_000n,
  // Accumulated over many responses at a false-conviction rate of 1e-6: the gain is 0.9 C each, hence 2.5 × one wrong output.
  model_substitution: 5_000n,
  wrong_output: 2_000n,
  // Same gain as a wrong output: evidence is what a wrong output would hide behind.
  bad_evidence: 2_000n,
  // Saves the whole work, as a wrong output does.
  copied_output: 2_000n,
  // Reputation only: silence cannot be told from a broken network, until a demand on chain stays unanswered.
  non_reveal: 0n,
  timeout: 0n,
  malformed: 0n,
};

/**
 * The penalty for a fault.
 * @param bondedNano the provider's whole stake, frozen parts included
 */
export function penaltyNano(fault: ProviderFault, bondedNano: bigint): bigint {
  return (bondedNano * PENALTY_BPS[fault]) / BPS;
}

/** Whether a stake answers for the fault, and so whether a dispute about it can freeze anything. */
export function isProviderFault(fault: Fault): fault is ProviderFault {
  return fault in PENALTY_BPS;
}
