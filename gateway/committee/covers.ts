/**
 * Committees that were, lent to who sits alone: how late the others of a real round were says when the permission of a lone member comes,
 * so that a provider does not learn from time whether it is alone (SPEC.md §5.7). Pure but for the randomness handed in.
 */
import { z } from 'zod';
import type { Rng } from '#protocol/env';
import { safeParse, TOKENS_MAX } from '#protocol/schema';
import { slopes } from './least-squares.ts';

/**
 * What one member of a real wave has met, by round; milliseconds from its order, then from the permission before. Each stands for as many members: of
 * large committees more are recorded, since weights would let the few heavy ones among a handful of neighbours decide, and be drawn too seldom.
 */
export interface CommitteeTrace {
  /** Until its own seal. */
  readonly ownMs: readonly number[];
  /**
   * Until the others were there: the last of their seals; where that came after its own, until its permission left, with all that the
   * gateway did in between.
   */
  readonly othersMs: readonly number[];
  /** Of the order, which its provider knows: how fast a machine is shows only beside what it had to read. */
  readonly promptTokens: number;
}

/** What a lone member has done and met so far. */
export interface LoneMember {
  readonly promptTokens: number;
  /** Up to the present round. */
  readonly ownMs: readonly number[];
  /** What was drawn for the rounds before. */
  readonly othersMs: readonly number[];
}

/**
 * Traces of one kind of order that are kept, newest last. Whatever the committees have by chance in common is in all covers that they lend, and a
 * classifier learns it: the more of them, the less. Each costs a draw some ten nanoseconds.
 */
const TRACES_MAX = 16_384;
/** Of these, the newest, that survive a restart. */
const SAVED_MAX = 4096;
/** Traces without which nothing is covered: fewer would be recognised. */
export const TRACES_MIN = 32;
/** Of so many traces, those with the most similar past, one is drawn: of the more, the closer together they are. */
const NEAREST = { least: 12, most: 24 } as const;
const nearestOf = (known: number): number =>
  Math.min(NEAREST.most, Math.max(NEAREST.least, Math.floor(Math.sqrt(known) / 4)));
/** Longest trace that is kept. */
const ROUNDS_MAX = 64;

const zTimes = z.array(z.number().min(0).max(1e9)).min(1).max(ROUNDS_MAX);
const zTrace = z
  .strictObject({
    ownMs: zTimes,
    othersMs: zTimes,
    promptTokens: z.int().min(0).max(TOKENS_MAX),
  })
  .refine(({ ownMs, othersMs }) => ownMs.length === othersMs.length);
const zStored = z.record(z.string().max(128), z.array(zTrace).max(SAVED_MAX));

/** A trace with the logarithms that pasts are compared by: 10 and 20 ms are as far apart as 1 and 2 s. */
interface Known {
  readonly trace: CommitteeTrace;
  readonly own: readonly number[];
  readonly others: readonly number[];
  readonly prompt: number;
}

/** Slopes of what comes in a round on its past, with the number of traces that they were found by. */
interface Fitted {
  readonly recorded: number;
  readonly slope: readonly number[];
}

interface Kind {
  readonly known: Known[];
  readonly fitted: Map<number, Fitted>;
  /** Ever, also those that are forgotten. */
  recorded: number;
}

export class Covers {
  readonly #kinds = new Map<string, Kind>();
  #unsaved = 0;

  /** How many were recorded since the last `saved`. */
  get unsaved(): number {
    return this.#unsaved;
  }

  /** Whether there are enough of this kind to cover anybody. */
  isKnown(kind: string): boolean {
    return (this.#kinds.get(kind)?.known.length ?? 0) >= TRACES_MIN;
  }

  record(name: string, traces: readonly CommitteeTrace[]): void {
    const kind = this.#kinds.get(name) ?? { known: [], fitted: new Map<number, Fitted>(), recorded: 0 };
    this.#kinds.set(name, kind);
    kind.known.push(...traces.map(knownOf));
    kind.known.splice(0, Math.max(0, kind.known.length - TRACES_MAX));
    kind.recorded += traces.length;
    this.#unsaved += traces.length;
  }

  /**
   * When the others of a committee would have been there, for who sits alone. Drawn anew in each round, from the committees whose
   * past was most like this one's, and corrected for what their past was not: a machine that is slow now has slow others now, and a
   * committee that waited for one waits for it again.
   * @returns milliseconds, or null where too little is known
   */
  draw(name: string, { promptTokens, ownMs, othersMs }: LoneMember, rng: Rng): number | null {
    const kind = this.#kinds.get(name);
    if (kind === undefined || kind.known.length < TRACES_MIN) return null;
    const round = ownMs.length - 1;
    // Beyond the longest committee that was had, the last rounds of the longest ones are the best guess.
    const longest = kind.known.reduce((most, { own }) => Math.max(most, own.length), 0);
    const place = Math.min(round, longest - 1);
    const shift = round - place;
    const past = {
      own: ownMs.slice(shift).map(logOf),
      others: othersMs.slice(shift).map(logOf),
      prompt: promptLog(promptTokens),
    };
    const drawn = pick(nearest(kind.known, past, place), rng);
    const [mine, theirs] = [pastOf(past, place), pastOf(drawn, place)];
    const slope = slopeOf(kind, place);
    const correction = mine.reduce((sum, value, i) => sum + slope[i]! * (value - theirs[i]!), 0);
    const bounded = Math.min(CORRECTION_MAX, Math.max(-CORRECTION_MAX, correction));
    return Math.max(0, Math.exp(drawn.others[place]! + bounded) - 1);
  }

  /** As text, for the database. */
  saved(): string {
    this.#unsaved = 0;
    const traces = [...this.#kinds].map(([name, { known }]) => [
      name,
      known.slice(-SAVED_MAX).map(({ trace }) => trace),
    ]);
    return JSON.stringify(Object.fromEntries(traces));
  }

  /** What was saved; anything else is as if there were nothing. */
  load(text: string): void {
    let stored: unknown = null;
    try {
      stored = JSON.parse(text);
    } catch {
      // Nothing known is what a first start has, too.
    }
    const parsed = safeParse(zStored, stored);
    if (!parsed.success) return;
    for (const [name, traces] of Object.entries(parsed.data)) this.record(name, traces);
    this.#unsaved = 0;
  }
}

/** Rounds of the past that are compared: what was longer ago says little beside them. */
const COMPARED = 3;
/** A neighbour is corrected by a factor of 2 at most: what is farther off is no neighbour. */
const CORRECTION_MAX = Math.log(2);

/** Traces after which slopes are found anew, and the same as a share of those that are known: slopes of many change little. */
const REFIT_AFTER = 64;
const REFIT_SHARE = 1 / 16;

const logOf = (ms: number): number => Math.log(ms + 1);

/** So many prompt tokens are about as much work as starting and a first chunk. */
const PROMPT_BASE = 128;
const promptLog = (tokens: number): number => Math.log(tokens + PROMPT_BASE);

function knownOf({ ownMs, othersMs, promptTokens }: CommitteeTrace): Known {
  const trace = { ownMs: ownMs.slice(0, ROUNDS_MAX), othersMs: othersMs.slice(0, ROUNDS_MAX), promptTokens };
  return { trace, own: trace.ownMs.map(logOf), others: trace.othersMs.map(logOf), prompt: promptLog(promptTokens) };
}

type Past = Pick<Known, 'own' | 'others' | 'prompt'>;

/** The prompt, own times up to a round and the others' before it. */
function pastOf({ own, others, prompt }: Past, round: number): number[] {
  const past: number[] = [prompt];
  for (let at = Math.max(0, round + 1 - COMPARED); at <= round; at++) {
    past.push(own[at]!);
    if (at < round) past.push(others[at]!);
  }
  return past;
}

function slopeOf({ known, fitted, recorded }: Kind, place: number): readonly number[] {
  const before = fitted.get(place);
  const after = Math.max(REFIT_AFTER, known.length * REFIT_SHARE);
  if (before !== undefined && recorded - before.recorded < after) return before.slope;
  const fit = known.filter(({ own }) => own.length > place);
  const slope = slopes(
    fit.map((one) => pastOf(one, place)),
    fit.map(({ others }) => others[place]!),
  );
  fitted.set(place, { recorded, slope });
  return slope;
}

/** Those whose past is most like one, by the sum of squares. */
function nearest(known: readonly Known[], { own, others, prompt }: Past, place: number): Known[] {
  const count = nearestOf(known.length);
  const best: { apart: number; one: Known }[] = [];
  for (const one of known) {
    if (one.own.length <= place) continue;
    let apart = (one.prompt - prompt) ** 2;
    const most = best.length === count ? best.at(-1)!.apart : Number.POSITIVE_INFINITY;
    // Most are too far off by this alone.
    if (apart + (one.own[place]! - own[place]!) ** 2 >= most) continue;
    for (let at = Math.max(0, place + 1 - COMPARED); at <= place; at++) {
      apart += (one.own[at]! - own[at]!) ** 2;
      if (at < place) apart += (one.others[at]! - others[at]!) ** 2;
    }
    if (apart >= most) continue;
    const at = best.findIndex((other) => apart < other.apart);
    best.splice(at < 0 ? best.length : at, 0, { apart, one });
    if (best.length > count) best.pop();
  }
  return best.map(({ one }) => one);
}

/** One of them, each as likely. */
function pick(known: readonly Known[], rng: Rng): Known {
  return known[Math.floor(fractionOf(rng) * known.length)]!;
}

/** From 0 to below 1. */
export function fractionOf(rng: Rng): number {
  const bytes = rng.bytes(4);
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0) / 2 ** 32;
}
