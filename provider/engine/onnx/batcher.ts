/** Lets running answers share runs: whoever waits when a run begins is in it (continuous batching). */

import { setImmediate } from 'node:timers/promises';
import type { InferenceSession, Tensor } from 'onnxruntime-common';
import type { FairQueue } from '../fair-queue.ts';
import { type BatchLayout, type BatchRow, blockOf, DecodeBatch } from './decode-batch.ts';

/** Rows of one run. More gain little: 16 rows cost a fifth of 16 runs on minnow-5m, and a run holds up everybody else. */
const BATCH_ROWS_MAX = 16;

interface Waiting {
  readonly place: BatchPlace;
  readonly token: number;
  readonly resolve: (logits: Float32Array) => void;
  readonly reject: (error: unknown) => void;
}

/** A running answer's place; it moves to another batch as the answer grows. */
export interface BatchPlace {
  /** Reads one token; the logits stay valid. One call at a time, none after `leave`. @throws EngineError `run_failed` */
  next(token: number): Promise<Float32Array>;
  leave(): void;
}

type Home = { readonly block: number; readonly batch: DecodeBatch };

/** All batches of one model. */
export class Batcher {
  readonly #makeBatch: () => DecodeBatch;
  readonly #queue: FairQueue;
  /** Batches by their block; a batch that empties is dropped. */
  readonly #batches = new Set<Home>();
  readonly #places = new Map<BatchPlace, { readonly home: Home; readonly row: BatchRow }>();
  #waiting: Waiting[] = [];
  #scheduled = false;

  /**
   * @param queue shared with everything else that runs the session. It lets one task run at a time, and batches change
   *   only inside its tasks: the runtime reads a run's inputs some time after the call.
   */
  constructor(session: InferenceSession, layout: BatchLayout, vocabSize: number, queue: FairQueue) {
    this.#makeBatch = () => new DecodeBatch(session, layout, vocabSize);
    this.#queue = queue;
  }

  /** Takes in a sequence after its prefill; its cache is copied. */
  async join(cache: ReadonlyMap<string, Tensor>, length: number): Promise<BatchPlace> {
    const place: BatchPlace = {
      next: (token) =>
        new Promise((resolve, reject) => {
          this.#waiting.push({ place, token, resolve, reject });
          this.#schedule();
        }),
      leave: () => void this.#queue.run(async () => this.#leave(place)),
    };
    await this.#queue.run(async () => this.#settle(place, cache, length));
    return place;
  }

  #settle(place: BatchPlace, cache: ReadonlyMap<string, Tensor>, length: number): void {
    const block = blockOf(length);
    let home = [...this.#batches].find((each) => each.block === block && each.batch.size < BATCH_ROWS_MAX);
    if (home === undefined) {
      home = { block, batch: this.#makeBatch() };
      this.#batches.add(home);
    }
    this.#places.set(place, { home, row: home.batch.join(cache, length) });
  }

  #leave(place: BatchPlace): void {
    const seat = this.#places.get(place);
    if (seat === undefined) return;
    this.#places.delete(place);
    this.#waiting = this.#waiting.filter((each) => each.place !== place);
    seat.home.batch.leave(seat.row);
    if (seat.home.batch.size === 0) this.#batches.delete(seat.home);
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    void this.#queue.run(() => this.#run());
  }

  /** One run of the batch whose row has waited longest. */
  async #run(): Promise<void> {
    // Those whose logits came with the last run sample now and ask again: without this turn they would miss the run.
    await setImmediate();
    this.#scheduled = false;
    const [first] = this.#waiting;
    if (first === undefined) return;
    const { home } = this.#places.get(first.place)!;
    const taken = this.#waiting.filter(({ place }) => this.#places.get(place)!.home === home);
    this.#waiting = this.#waiting.filter((each) => !taken.includes(each));
    if (this.#waiting.length > 0) this.#schedule();
    try {
      const tokens = new Map(taken.map(({ place, token }) => [this.#places.get(place)!.row, token]));
      const rows = taken.map(({ place }) => this.#places.get(place)!.row);
      const logits = await home.batch.step(tokens);
      taken.forEach((each, at) => {
        this.#move(each.place);
        each.resolve(logits.get(rows[at]!)!);
      });
    } catch (error) {
      for (const each of taken) each.reject(error);
    }
  }

  /** A row that has grown into the next block may not widen the batch that it was in. */
  #move(place: BatchPlace): void {
    const seat = this.#places.get(place);
    if (seat === undefined || blockOf(seat.row.length) === seat.home.block) return;
    const cache = seat.home.batch.cacheOf(seat.row);
    this.#leave(place);
    this.#settle(place, cache, seat.row.length);
  }
}
