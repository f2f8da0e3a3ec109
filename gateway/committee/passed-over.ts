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
