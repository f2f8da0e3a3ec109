/**
 * Committees that were, lent to who sits alone: how late the others of a real round were says when the permission of a lone member comes,
 * so that a provider does not learn from time whether it is alone (SPEC.md §5.7). Pure but for the randomness handed in.
 */
import { z } from 'zod';
import type { Rng } from '#protocol/env';
import { SEATS_MAX, safeParse } from '#protocol/schema';
import { slopes } from './least-squares.ts';

/** What one member of a real wave has met, by round; milliseconds from its order, then from the permission before. */
export interface CommitteeTrace {
  /** Until its own seal. */
  readonly ownMs: readonly number[];
  /**
   * Until the others were there: the last of their seals; where that came after its own, until its permission left, with all that the
   * gateway did in between.
   */
  readonly othersMs: readonly number[];
  /** How many members of its committee it stands for. */
  readonly weight: number;
}

/** Traces of one kind of order that are kept, newest last. */
const TRACES_MAX = 4096;
/** Traces without which nothing is covered: fewer would be recognised. */
export const TRACES_MIN = 32;
/** Of so many members, those with the most similar past, one is drawn. */
const NEAREST = 12;
/** Longest trace that is kept. */
const ROUNDS_MAX = 64;

const zTimes = z.array(z.number().min(0).max(1e9)).min(1).max(ROUNDS_MAX);
const zTrace = z
  .strictObject({ ownMs: zTimes, othersMs: zTimes, weight: z.number().min(1).max(SEATS_MAX) })
  .refine(({ ownMs, othersMs }) => ownMs.length === othersMs.length);
const zStored = z.record(z.string().max(128), z.array(zTrace).max(TRACES_MAX));

export class Covers {
  readonly #traces = new Map<string, CommitteeTrace[]>();
  #unsaved = 0;

  /** How many were recorded since the last `saved`. */
  get unsaved(): number {
    return this.#unsaved;
  }

  /** Whether there are enough of this kind to cover anybody. */
  isKnown(kind: string): boolean {
    return (this.#traces.get(kind)?.length ?? 0) >= TRACES_MIN;
  }

  record(kind: string, traces: readonly CommitteeTrace[]): void {
    const known = this.#traces.get(kind) ?? [];
    for (const { ownMs, othersMs, weight } of traces) {
      known.push({ ownMs: ownMs.slice(0, ROUNDS_MAX), othersMs: othersMs.slice(0, ROUNDS_MAX), weight });
    }
    known.splice(0, Math.max(0, known.length - TRACES_MAX));
    this.#traces.set(kind, known);
    this.#unsaved += traces.length;
  }

  /**
   * When the others of a committee would have been there, for who sits alone. Drawn anew in each round, from the committees whose
   * past was most like this one's, and corrected for what their past was not: a machine that is slow now has slow others now, and a
   * committee that waited for one waits for it again.
   * @param ownMs of this member, up to the present round @param othersMs what was drawn for the rounds before
   * @returns milliseconds, or null where too little is known
   */
  draw(kind: string, ownMs: readonly number[], othersMs: readonly number[], rng: Rng): number | null {
    const known = this.#traces.get(kind);
    if (known === undefined || known.length < TRACES_MIN) return null;
    const longest = Math.max(...known.map((trace) => trace.ownMs.length));
    const round = ownMs.length - 1;
    // Beyond the longest committee that was had, the last rounds of the longest ones are the best guess.
    const place = Math.min(round, longest - 1);
    const shift = round - place;
    const fit = known.filter((trace) => trace.ownMs.length > place);
    const pasts = fit.map((trace) => pastOf(trace.ownMs, trace.othersMs, place));
    const logs = fit.map((trace) => Math.log(trace.othersMs[place]! + 1));
    const own = pastOf(ownMs.slice(shift), othersMs.slice(shift), place);
    const weights = fit.map(({ weight }) => weight);
    const drawn = pick(nearest(pasts, own, weights), weights, rng);
    const slope = slopes(pasts, logs, weights);
    const correction = own.reduce((sum, value, i) => sum + slope[i]! * (value - pasts[drawn]![i]!), 0);
    return Math.max(0, Math.exp(logs[drawn]! + Math.min(CORRECTION_MAX, Math.max(-CORRECTION_MAX, correction))) - 1);
  }

  /** As text, for the database. */
  saved(): string {
    this.#unsaved = 0;
    return JSON.stringify(Object.fromEntries(this.#traces));
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
    for (const [kind, traces] of Object.entries(parsed.data)) this.#traces.set(kind, traces);
  }
}

/** Rounds of the past that are compared: what was longer ago says little beside them. */
const COMPARED = 3;
/** A neighbour is corrected by a factor of 2 at most: what is farther off is no neighbour. */
const CORRECTION_MAX = Math.log(2);

/** Own times up to a round and the others' before it, as logarithms: 10 and 20 ms are as far apart as 1 and 2 s. */
function pastOf(ownMs: readonly number[], othersMs: readonly number[], round: number): number[] {
  const past: number[] = [];
  for (let at = Math.max(0, round + 1 - COMPARED); at <= round; at++) {
    past.push(Math.log(ownMs[at]! + 1));
    if (at < round) past.push(Math.log(othersMs[at]! + 1));
  }
  return past;
}

/** Places of the pasts that are most like one, by the sum of squares, until they stand for `NEAREST` members. */
function nearest(pasts: readonly (readonly number[])[], own: readonly number[], weights: readonly number[]): number[] {
  const apart = pasts.map((past) => past.reduce((sum, value, i) => sum + (value - own[i]!) ** 2, 0));
  const places: number[] = [];
  let members = 0;
  for (const place of [...apart.keys()].sort((a, b) => apart[a]! - apart[b]!)) {
    if (members >= NEAREST) break;
    places.push(place);
    members += weights[place]!;
  }
  return places;
}

/** One of the places, each as likely as its weight. */
function pick(places: readonly number[], weights: readonly number[], rng: Rng): number {
  const bytes = rng.bytes(4);
  const total = places.reduce((sum, place) => sum + weights[place]!, 0);
  let point = (new DataView(bytes.buffer, bytes.byteOffset).getUint32(0) / 2 ** 32) * total;
  for (const place of places) {
    point -= weights[place]!;
    if (point < 0) return place;
  }
  return places.at(-1)!;
}
