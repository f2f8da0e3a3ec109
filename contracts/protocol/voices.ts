/** How voices count, for those who decide and for those who check decisions (spec-judge.md §7.5). Pure. */

/** `accept`: every margin within tolerance. `reject`: a token no honest run takes. `abstain`: between, or uncalibrated. */
export type Vote = 'accept' | 'reject' | 'abstain';

/** Operators that must reject a transcript, and none accept it, before it leaves the count; as many confirm one. */
export const REJECTIONS_NEEDED = 2;

/**
 * Seats that must stand behind the answer when `count` voices are in the final count: never fewer than the client asked
 * for, and the same share of them where an escalation made the count larger.
 */
export function neededOf(agree: number, n: number, count: number): number {
  return Math.max(agree, Math.ceil((agree * count) / n));
}
