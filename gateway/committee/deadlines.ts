/** Deadlines by class and load, each change in the public log before it is used (DESIGN §4, SPEC.md §6.7). */
import type { Clock } from '#protocol/env';
import type { Hash } from '#protocol/hash';
import type { LogKeeper } from '../attest/log-keeper.ts';
import type { Store } from '../store/handle.ts';
import {
  type DeadlineBounds,
  EMPTY_BOOK,
  type Pace,
  type PaceBook,
  paceOf,
  sealDeadlineMs,
  withSeal,
  withSeating,
} from './pace.ts';
import type { Seat } from './seat.ts';

/** What a wave needs to know of time. */
export interface WavePacing {
  /** How long a seal of so much work may take, in milliseconds. */
  sealTimeoutMs(seat: Seat, work: number): number;
  /** Tells how long one took. */
  sealed(seat: Seat, work: number, ms: number, isLate: boolean): void;
  /** Tells that a seat is taken; the returned function that it is free again. */
  seated(seat: Seat): () => void;
}

export interface DeadlineDeps {
  readonly store: Store;
  readonly log: Pick<LogKeeper, 'append' | 'latest'>;
  readonly clock: Clock;
  readonly bounds: DeadlineBounds;
  /** Jobs that the members of a class take at one time. */
  readonly placesOf: (modelDigest: Hash, numericClass: string) => number;
  readonly background: (work: Promise<void>) => void;
}

interface LoggedPace {
  readonly pace: Pace;
  readonly logIndex: number;
}

interface ClassPace {
  book: PaceBook;
  open: number;
  /** The newest pace, logged or about to be. */
  wanted: Pace | null;
  /** Newest first; no more than one checkpoint can lie between them and now. */
  logged: readonly LoggedPace[];
}

/** Paces that are kept of a class: one in force, and those that wait for a checkpoint. */
const LOGGED_MAX = 16;

export class Deadlines {
  readonly #deps: DeadlineDeps;
  readonly #classes = new Map<string, ClassPace>();

  constructor(deps: DeadlineDeps) {
    this.#deps = deps;
  }

  /**
   * The deadlines of one request, fixed when its tickets are made: of each class the newest entry that the tickets' checkpoint
   * covers, so that a member finds in the log how long it had.
   */
  forRequest(modelDigest: Hash): WavePacing {
    const size = this.#deps.log.latest?.size ?? 0;
    const inForce = (numericClass: string): Pace | null =>
      this.#classes.get(keyOf(modelDigest, numericClass))?.logged.find(({ logIndex }) => logIndex < size)?.pace ?? null;
    return {
      sealTimeoutMs: ({ numericClass }, work) => sealDeadlineMs(inForce(numericClass), work, this.#deps.bounds),
      sealed: ({ numericClass, operator }, work, ms, isLate) => {
        const known = this.#classOf(modelDigest, numericClass);
        known.book = withSeal(known.book, { operator, work, ms, isLate });
        this.#review(modelDigest, numericClass, known);
      },
      seated: ({ numericClass }) => {
        const known = this.#classOf(modelDigest, numericClass);
        known.open++;
        known.book = withSeating(known.book, known.open, this.#deps.placesOf(modelDigest, numericClass));
        let isTaken = true;
        return () => {
          if (isTaken) known.open--;
          isTaken = false;
        };
      },
    };
  }

  #classOf(modelDigest: Hash, numericClass: string): ClassPace {
    const key = keyOf(modelDigest, numericClass);
    const known = this.#classes.get(key) ?? { book: EMPTY_BOOK, open: 0, wanted: null, logged: [] };
    this.#classes.set(key, known);
    return known;
  }

  #review(modelDigest: Hash, numericClass: string, known: ClassPace): void {
    const pace = paceOf(known.book, known.wanted);
    if (pace === known.wanted || pace === null) return;
    known.wanted = pace;
    const { store, log, clock, background } = this.#deps;
    const entry = { type: 'deadline' as const, modelDigest, numericClass, ...pace, atMs: clock.nowMs() };
    const write = async () => {
      const logIndex = await store.withTx((tx) => log.append(tx, entry));
      known.logged = [{ pace, logIndex }, ...known.logged].sort((a, b) => b.logIndex - a.logIndex).slice(0, LOGGED_MAX);
    };
    background(write());
  }
}

function keyOf(modelDigest: Hash, numericClass: string): string {
  return `${modelDigest} ${numericClass}`;
}

/** Deadlines of work that nobody waits for. */
export function patientPacing(timeoutMs: number): WavePacing {
  return { sealTimeoutMs: () => timeoutMs, sealed: () => undefined, seated: () => () => undefined };
}
