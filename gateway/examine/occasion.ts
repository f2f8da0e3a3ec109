/** When what a provider answered alone is examined, and which of it (SPEC.md §8.4, spec-money.md §11.8). Pure. */
import type { Occasion } from '#protocol/examination';
import { concat, type Hash, sha256, toHex, u32, utf8 } from '#protocol/hash';
import { PAY_DELAY_MS, SILENT_MS } from '../ledger/retained.ts';

/**
 * Answers of one examination. A cheated answer among N retained ones is looked at with probability K / N and convicts with probability d, and the
 * conviction takes the pay of all N: K · d · (1 − f) answers' price for each cheated one, whatever N and the stake are. Of int8, which saves 0.3, d is
 * 4 in 256 and f a fifth of the operators: K above 23 makes it a loss. 64 leave room for a d that is a third of what was seen, at the price of 64 scores: that of 26
 * answers, of 400 in a week.
 */
export const ANSWERS_MAX = 64;

/** Parts of the time that answers are kept: of the oldest when the first examination begins, a seventh before it is gone; and of silence. */
const FIRST_PART = 6 / 7;
const SILENT_PART = SILENT_MS / PAY_DELAY_MS;

/**
 * Fewer lone answers since the last examination are no reason for one because of silence: who is asked once in some days would pay a score for every answer. Who comes for so few at a
 * time is audited like one that is new, and was examined before any pay left.
 */
const SILENT_ANSWERS_MIN = 8;

/** Times of a provider's lone answers that can be looked at. */
export interface LoneSpan {
  readonly firstMs: number;
  readonly lastMs: number;
}

export interface OccasionFacts {
  /** Null where nothing can be looked at. */
  readonly span: LoneSpan | null;
  /** Its operator or the gateway's has ended its service, or all of its stake is on its way out. */
  readonly isLeaving: boolean;
  /** When its newest examination began, ended or not; null before the first. */
  readonly examinedAtMs: number | null;
  /** Lone answers since then that can be looked at. */
  readonly answers: number;
  /** Longest time that answers are kept. */
  readonly windowMs: number;
  readonly nowMs: number;
}

/** @returns null where there is no occasion now */
export function occasionOf({
  span,
  isLeaving,
  examinedAtMs,
  answers,
  windowMs,
  nowMs,
}: OccasionFacts): Occasion | null {
  if (span === null || (examinedAtMs !== null && span.lastMs <= examinedAtMs)) return null;
  const silentMs = Math.min(SILENT_MS, windowMs * SILENT_PART);
  const isGone = nowMs - span.lastMs >= silentMs && answers >= SILENT_ANSWERS_MIN;
  if (isLeaving || isGone) return 'last';
  const isOld = nowMs - span.firstMs >= windowMs * FIRST_PART;
  return examinedAtMs === null && isOld ? 'first' : null;
}

/** One choice that could be examined. */
export interface Drawable {
  readonly requestId: string;
  readonly choice: number;
}

/** So many at random, all of them where there are no more. @param secret fresh, known to nobody: who is examined must not know on what */
export function drawAnswers<T extends Drawable>(candidates: readonly T[], secret: Uint8Array, most = ANSWERS_MAX): T[] {
  const placed = candidates.map((answer) => ({ answer, place: placeOf(answer, secret) }));
  placed.sort((a, b) => (a.place < b.place ? -1 : Number(a.place > b.place)));
  return placed.slice(0, most).map(({ answer }) => answer);
}

function placeOf({ requestId, choice }: Drawable, secret: Uint8Array): Hash {
  return toHex(sha256(concat(secret, u32(choice), utf8(requestId))));
}
