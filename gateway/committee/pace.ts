/** How long a class of machines takes, and so how long its members may take (DESIGN §4, SPEC.md §6.7). Pure. */

/** Starting a job counts as so many tokens: a queue, a connection, a first run. */
const START_WORK = 32;
/** A prompt token is prefilled about sixteen times as fast as an output token is generated, on CPUs; on GPUs faster still. */
const PROMPT_PER_TOKEN = 16;
/** Durations that are remembered of each operator. */
export const SAMPLES = 16;
/** Fewest that say anything. */
export const SAMPLES_MIN = 4;
/** Seatings whose load is remembered: a peak counts for a while. */
const LOADS = 64;
/** A member may take eight times as long as the slowest operator of its class usually does. */
export const ALLOWANCE = 8;
/** Most that load stretches a deadline. */
export const LOAD_MAX = 8;

/** Token equivalents of sealing a chunk; the prompt belongs to the first. */
export function sealWork(promptTokens: number, tokens: number, isFirst: boolean): number {
  return tokens + (isFirst ? START_WORK + Math.ceil(promptTokens / PROMPT_PER_TOKEN) : 0);
}

/** What was seen of one class on one model. */
export interface PaceBook {
  /** Microseconds for a token equivalent by operator, newest last. */
  readonly operators: ReadonlyMap<string, readonly number[]>;
  /** Open seats by places of the class, rounded up, at the last seatings. */
  readonly loads: readonly number[];
}

export const EMPTY_BOOK: PaceBook = { operators: new Map(), loads: [] };

/** A finished seal; one that missed its deadline took longer than was waited, and counts twice that. */
export function withSeal(
  book: PaceBook,
  seal: { readonly operator: string; readonly work: number; readonly ms: number; readonly isLate: boolean },
): PaceBook {
  const micros = Math.max(1, Math.ceil((seal.ms * 1000 * (seal.isLate ? 2 : 1)) / Math.max(1, seal.work)));
  const before = book.operators.get(seal.operator) ?? [];
  return { ...book, operators: new Map(book.operators).set(seal.operator, [...before, micros].slice(-SAMPLES)) };
}

/** @param places jobs that the class's members take at one time */
export function withSeating(book: PaceBook, open: number, places: number): PaceBook {
  const load = Math.min(LOAD_MAX, Math.max(1, Math.ceil(open / Math.max(1, places))));
  return { ...book, loads: [...book.loads, load].slice(-LOADS) };
}

/** The pace and load by which deadlines are set; both in coarse steps, so that they are logged seldom. */
export interface Pace {
  /** Microseconds for a token equivalent, a power of two. */
  readonly paceMicros: number;
  /** 1, 2, 4 or 8. */
  readonly load: number;
}

/**
 * The pace to set now, or null while too little was seen. The slowest operator's median decides: the fast ones cannot shorten
 * anybody's time, however many they are. A step down is made only below half a step.
 */
export function paceOf(book: PaceBook, current: Pace | null): Pace | null {
  const medians = [...book.operators.values()].filter((micros) => micros.length >= SAMPLES_MIN).map(upperMedian);
  if (medians.length === 0) return current;
  const paceMicros = stepOf(Math.max(...medians), current?.paceMicros ?? 0);
  const load = 2 ** Math.ceil(Math.log2(Math.max(1, ...book.loads)));
  return current?.paceMicros === paceMicros && current.load === load ? current : { paceMicros, load };
}

function stepOf(micros: number, current: number): number {
  const step = 2 ** Math.ceil(Math.log2(micros));
  return step < current && micros * 4 > current ? current : step;
}

function upperMedian(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

/** Bounds of a deadline in milliseconds. */
export interface DeadlineBounds {
  readonly leastMs: number;
  readonly mostMs: number;
}

/** How long a seal of so much work may take; the most where no pace is known. */
export function sealDeadlineMs(pace: Pace | null, work: number, { leastMs, mostMs }: DeadlineBounds): number {
  if (pace === null) return mostMs;
  const ms = Math.ceil((ALLOWANCE * pace.load * pace.paceMicros * work) / 1000);
  return Math.min(mostMs, Math.max(leastMs, ms));
}
