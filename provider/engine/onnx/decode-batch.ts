/**
 * Several sequences that take their next token in one run.
 *
 * Each row keeps its entries from slot 0 on; behind them is zeroed room that the mask hides, up to a capacity that all rows
 * share, and a run's own token comes last. So rows of different lengths fit in one tensor, and what is added is copied to
 * its place here instead of the whole cache being given back at every token.
 *
 * INVARIANT: a row's logits do not depend on who else is in the run. Capacities are multiples of 16, the widest vector of
 * float32, so every entry meets the same lane whatever the capacity; and rows share a batch only while their capacities lie
 * between the same multiples of 256, where matrix products cut their sums (both measured on onnxruntime 1.30, CPU;
 * `cacheRuns` tries it on every model that is loaded).
 */

import type { InferenceSession, Tensor } from 'onnxruntime-common';
import { EngineError } from '../engine.ts';
import type { CacheSlot, GraphLayout, IntegerType } from './graph-layout.ts';
import { type CacheValues, cacheTensor, cacheValues, integers, logitsOf, valuesOf } from './tensors.ts';

/** Capacities are multiples of this. */
const LANES = 16;
/** Sums are cut at multiples of this. */
const BLOCK_SLOTS = 256;
/** A capacity this much above what the rows need is given up at the next run. */
const SLACK_SLOTS = 64;

/** Names that a batched run needs, all present. */
export interface BatchLayout extends GraphLayout {
  readonly mask: { readonly name: string; readonly type: IntegerType };
  readonly positions: { readonly name: string; readonly type: IntegerType };
  /** Cache output to the output that holds what a run added. */
  readonly added: ReadonlyMap<string, string>;
}

/** One sequence of a batch; its caller knows it by this object. */
export class BatchRow {
  /** Tokens in the cache. */
  length: number;

  constructor(length: number) {
    this.length = length;
  }
}

/** Slots that a row of this length needs, its next entry included. */
function capacityFor(length: number): number {
  return Math.ceil((length + 1) / LANES) * LANES;
}

/** Rows may share a batch where this number is the same. */
export function blockOf(length: number): number {
  return Math.floor(capacityFor(length) / BLOCK_SLOTS);
}

/** The cache of all rows, and the runs that extend it by a token each. */
export class DecodeBatch {
  readonly #session: InferenceSession;
  readonly #layout: BatchLayout;
  readonly #vocabSize: number;
  readonly #rows: BatchRow[] = [];
  readonly #caches: Map<string, CacheValues>;
  #capacity = LANES;
  /** Rows that the arrays have room for. */
  #room = 0;

  constructor(session: InferenceSession, layout: BatchLayout, vocabSize: number) {
    this.#session = session;
    this.#layout = layout;
    this.#vocabSize = vocabSize;
    this.#caches = new Map(layout.cache.map(({ input, type }) => [input, cacheValues(type, 0)]));
  }

  get size(): number {
    return this.#rows.length;
  }

  /**
   * Takes in a sequence.
   * @param cache by the names of the cache's inputs, each [1, heads, length, size]; it is copied.
   */
  join(cache: ReadonlyMap<string, Tensor>, length: number): BatchRow {
    const row = new BatchRow(length);
    this.#rows.push(row);
    this.#fit();
    const at = this.#rows.length - 1;
    for (const slot of this.#layout.cache) {
      const source = valuesOf(cache.get(slot.input)!);
      const target = this.#caches.get(slot.input)!;
      const [, heads, , width] = slot.emptyDims;
      for (let head = 0; head < heads; head++) {
        const start = this.#start(slot, at, head);
        target.set(source.subarray(head * length * width, (head + 1) * length * width), start);
        // What an earlier row left behind is hidden by the mask, but 0 times infinity would not be 0.
        target.fill(0, start + length * width, start + this.#capacity * width);
      }
    }
    return row;
  }

  /** Takes a sequence out. */
  leave(row: BatchRow): void {
    const at = this.#rows.indexOf(row);
    if (at < 0) return;
    this.#swap(at, this.#rows.length - 1);
    this.#rows.pop();
    if (this.#rows.length > 0) return;
    for (const { input, type } of this.#layout.cache) this.#caches.set(input, cacheValues(type, 0));
    [this.#capacity, this.#room] = [LANES, 0];
  }

  /** A row's cache, to join another batch with; copied. */
  cacheOf(row: BatchRow): Map<string, Tensor> {
    const at = this.#rows.indexOf(row);
    return new Map(
      this.#layout.cache.map((slot) => {
        const [, heads, , width] = slot.emptyDims;
        const values = cacheValues(slot.type, heads * row.length * width);
        const source = this.#caches.get(slot.input)!;
        for (let head = 0; head < heads; head++) {
          const start = this.#start(slot, at, head);
          values.set(source.subarray(start, start + row.length * width), head * row.length * width);
        }
        return [slot.input, cacheTensor(slot.type, values, [1, heads, row.length, width])];
      }),
    );
  }

  /**
   * One run: each of these rows reads one token.
   * @returns the logits of each row's next token, views that stay valid.
   * @throws EngineError `run_failed`; no row has changed then.
   */
  async step(tokens: ReadonlyMap<BatchRow, number>): Promise<Map<BatchRow, Float32Array>> {
    [...tokens.keys()].forEach((row, at) => {
      this.#swap(this.#rows.indexOf(row), at);
    });
    this.#fit();
    const rows = this.#rows.slice(0, tokens.size);
    const { logits, cache, added } = this.#layout;
    const fetches = [logits.name, ...cache.map(({ output }) => added.get(output)!)];
    let results: Awaited<ReturnType<InferenceSession['run']>>;
    try {
      results = await this.#session.run(this.#feeds(rows, tokens), fetches);
    } catch (cause) {
      throw new EngineError('run_failed', `a run of ${rows.length} sequences failed`, { cause });
    }
    const scores = results[logits.name] as Tensor;
    if (scores.dims[0] !== rows.length || scores.dims[1] !== 1 || scores.dims[2] !== this.#vocabSize) {
      throw new EngineError('run_failed', `logits have the shape [${scores.dims.join(', ')}]`);
    }
    for (const slot of cache) this.#keep(slot, rows, results[added.get(slot.output)!] as Tensor);
    for (const row of rows) row.length += 1;
    const width = this.#vocabSize;
    return new Map(rows.map((row, at) => [row, logitsOf(scores, at * width, (at + 1) * width)]));
  }

  #feeds(rows: readonly BatchRow[], tokens: ReadonlyMap<BatchRow, number>): Record<string, Tensor> {
    const { ids, mask, positions, logitsToKeep, cache } = this.#layout;
    const [count, capacity] = [rows.length, this.#capacity];
    const visible = new Uint8Array(count * (capacity + 1));
    rows.forEach((row, at) => {
      const first = at * (capacity + 1);
      visible.fill(1, first, first + row.length);
      visible[first + capacity] = 1;
    });
    const feeds: Record<string, Tensor> = {};
    for (const slot of cache) {
      const [, heads, , width] = slot.emptyDims;
      const values = this.#caches.get(slot.input)!.subarray(0, count * heads * capacity * width);
      feeds[slot.input] = cacheTensor(slot.type, values, [count, heads, capacity, width]);
    }
    const nextIds = rows.map((row) => tokens.get(row)!);
    feeds[ids.name] = integers(ids.type, nextIds, [count, 1]);
    feeds[mask.name] = integers(mask.type, visible, [count, capacity + 1]);
    const at = rows.map(({ length }) => length);
    feeds[positions.name] = integers(positions.type, at, [count, 1]);
    if (logitsToKeep) feeds[logitsToKeep.name] = integers(logitsToKeep.type, [1], []);
    return feeds;
  }

  /** Copies what a run added behind each row's own entries. */
  #keep(slot: CacheSlot, rows: readonly BatchRow[], tensor: Tensor): void {
    const [, heads, , width] = slot.emptyDims;
    if (tensor.dims.join() !== [rows.length, heads, 1, width].join()) {
      throw new EngineError('run_failed', `what "${slot.output}" added has the shape [${tensor.dims.join(', ')}]`);
    }
    const source = valuesOf(tensor);
    const target = this.#caches.get(slot.input)!;
    rows.forEach((row, at) => {
      for (let head = 0; head < heads; head++) {
        const from = (at * heads + head) * width;
        target.set(source.subarray(from, from + width), this.#start(slot, at, head) + row.length * width);
      }
    });
  }

  /** Where a head of a row begins. */
  #start({ emptyDims: [, heads, , width] }: CacheSlot, at: number, head: number): number {
    return (at * heads + head) * this.#capacity * width;
  }

  /** Makes room for every row and for one more entry in each; gives back what is far too much. */
  #fit(): void {
    const needed = capacityFor(this.#rows.reduce((most, { length }) => Math.max(most, length), 0));
    const tooWide = this.#capacity > needed + SLACK_SLOTS;
    if (needed <= this.#capacity && !tooWide && this.#rows.length <= this.#room) return;
    const capacity = needed > this.#capacity || tooWide ? needed : this.#capacity;
    const room = this.#rows.length > this.#room ? Math.max(this.#rows.length, 2 * this.#room) : this.#room;
    for (const slot of this.#layout.cache) {
      const [, heads, , width] = slot.emptyDims;
      const old = this.#caches.get(slot.input)!;
      const values = cacheValues(slot.type, room * heads * capacity * width);
      for (let block = 0; block < Math.min(this.#room, this.#rows.length) * heads; block++) {
        const from = block * this.#capacity * width;
        const kept = Math.min(this.#capacity, capacity) * width;
        values.set(old.subarray(from, from + kept), block * capacity * width);
      }
      this.#caches.set(slot.input, values);
    }
    [this.#capacity, this.#room] = [capacity, room];
  }

  #swap(first: number, second: number): void {
    if (first === second) return;
    for (const slot of this.#layout.cache) {
      const [, heads, , width] = slot.emptyDims;
      const values = this.#caches.get(slot.input)!;
      const span = heads * this.#capacity * width;
      const kept = values.slice(first * span, (first + 1) * span);
      values.copyWithin(first * span, second * span, (second + 1) * span);
      values.set(kept, second * span);
    }
    const [a, b] = [this.#rows[first]!, this.#rows[second]!];
    [this.#rows[first], this.#rows[second]] = [b, a];
  }
}
