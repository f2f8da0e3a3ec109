/** Which candidates a draw passes over: those that cannot serve, and those that fail, while enough others are there. Pure. */
import type { CandidateSkip } from './capability-skips.ts';
import type { Seat } from './seat.ts';

/**
 * RATIONALE: a breaker spares time, it proves nothing. Where too few others are left for the policy it is not looked at, for
 * nobody either: choosing whom to forgive would be choosing the committee.
 * @param needed seats of the policy
 */
export function passedOver(
  candidates: readonly Seat[],
  unable: readonly CandidateSkip[],
  failing: readonly CandidateSkip[],
  needed: number,
): readonly CandidateSkip[] {
  const out = new Set([...unable, ...failing].map(({ provider }) => provider));
  const left = candidates.filter(({ address }) => !out.has(address));
  if (left.length < needed) return unable;
  const known = new Set(unable.map(({ provider }) => provider));
  return [...unable, ...failing.filter(({ provider }) => !known.has(provider))];
}

/**
 * Unfit candidates that were drawn before the last of those who were seated, and that nobody has told of yet.
 * @param drawn in the order of the draw
 */
export function unfitBefore(
  drawn: readonly Seat[],
  unfit: readonly CandidateSkip[],
  seated: readonly Seat[],
  told: readonly Pick<CandidateSkip, 'provider'>[],
): CandidateSkip[] {
  const addresses = drawn.map(({ address }) => address);
  const last = Math.max(0, ...seated.map(({ address }) => addresses.indexOf(address)));
  const before = new Set(addresses.slice(0, last));
  const known = new Set(told.map(({ provider }) => provider));
  return unfit.filter(({ provider }) => before.has(provider) && !known.has(provider));
}
