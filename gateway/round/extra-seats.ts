/** Hedging: it adds members and removes none (DESIGN §4). Pure. */
import type { Policy } from '#protocol/policy';

/**
 * Seats beyond n: none where only one generates, and within what the cover pays for, 2n + extra generating jobs of 3n + 1.
 * Nobody is raced out by them: every seat has its whole time, and all that arrive count.
 */
export function extraSeats({ mode, n }: Policy, most: number): number {
  return mode === 'quorum' ? Math.min(most, n) : 0;
}
