/** Which answers of a convicted account are looked at again, and in what order (SPEC.md §8.3). Pure. */

/**
 * Examinations passed in a row after which the past is left alone: who cheats on every other answer passes five with probability
 * 2^-5 = 3% where each examination sees its cheat.
 */
export const PASSES_CLEAR = 5;

/** Where the window begins. Times are of answers, in milliseconds. */
export interface WindowFacts {
  /** Of the answer that convicted. */
  readonly convictedAtMs: number;
  /** Answers of the account that were examined and held, in any order. */
  readonly passedAtMs: readonly number[];
  /** How far back answers can be looked at: as long as their evidence is kept. */
  readonly longestMs: number;
}

/** @returns the time from which on answers are looked at: of the fifth last examination passed before, but no longer ago than `longestMs` */
export function windowFromMs({ convictedAtMs, passedAtMs, longestMs }: WindowFacts): number {
  const before = passedAtMs.filter((atMs) => atMs < convictedAtMs).sort((a, b) => b - a);
  return Math.max(0, convictedAtMs - longestMs, before[PASSES_CLEAR - 1] ?? 0);
}

/** One answer's choice as far as its turn depends on it. */
export interface Candidate {
  readonly requestId: string;
  readonly choice: number;
  /** Whether nobody else had looked at it before it was served. */
  readonly isAlone: boolean;
  readonly chargedNano: bigint;
  /** Until when its provider has to keep its evidence. */
  readonly keepUntilMs: number;
  /** Millionths of audits that its client asked for. */
  readonly askedPpm: number;
  /** The most that looking at it costs. */
  readonly costNano: bigint;
}

export interface Budget {
  readonly answersMax: number;
  /** Null where money is no bound. */
  readonly costMaxNano: bigint | null;
}

/**
 * First what one provider alone decided; then what cost more, by powers of two; then what expires first; then what its client wanted
 * watched more; last by name, so that two gateways agree.
 */
export function comparePriority(a: Candidate, b: Candidate): number {
  return (
    Number(b.isAlone) - Number(a.isAlone) ||
    sizeOf(b.chargedNano) - sizeOf(a.chargedNano) ||
    a.keepUntilMs - b.keepUntilMs ||
    b.askedPpm - a.askedPpm ||
    (a.requestId < b.requestId ? -1 : Number(a.requestId > b.requestId)) ||
    a.choice - b.choice
  );
}

/** Digits in base two: answers whose prices differ by less than a factor of two take turns by their deadlines. */
function sizeOf(amountNano: bigint): number {
  return amountNano.toString(2).length;
}

/** In order of priority, as far as the budget goes; what is too dear for what is left makes room for what is not. */
export function chooseWithin<T extends Candidate>(candidates: readonly T[], budget: Budget): T[] {
  const chosen: T[] = [];
  let leftNano = budget.costMaxNano;
  for (const candidate of [...candidates].sort(comparePriority)) {
    if (chosen.length === budget.answersMax) break;
    if (leftNano !== null && candidate.costNano > leftNano) continue;
    if (leftNano !== null) leftNano -= candidate.costNano;
    chosen.push(candidate);
  }
  return chosen;
}
