/** One token sequence inside an ONNX decoder: its key-value cache and the runs that extend it. */

import type { InferenceSession, Tensor } from 'onnxruntime-common';
import { EngineError } from '../engine.ts';
import type { GraphLayout } from './graph-layout.ts';
import { emptyCache, integers, logitsOf } from './tensors.ts';

/** Logits of consecutive positions. */
export interface LogitRows {
  readonly count: number;
  /** Logits of one position; a view, valid until the next run. */
  row(index: number): Float32Array;
}

/** A sequence of tokens; not for use by two callers at once. */
export class Sequence {
  readonly #session: InferenceSession;
  readonly #layout: GraphLayout;
  readonly #vocabSize: number;
  #cache: Map<string, Tensor>;
  #length = 0;

  constructor(session: InferenceSession, layout: GraphLayout, vocabSize: number) {
    this.#session = session;
    this.#layout = layout;
    this.#vocabSize = vocabSize;
    this.#cache = new Map(layout.cache.map((slot) => [slot.input, emptyCache(slot)]));
  }

  /** Tokens so far. */
  get length(): number {
    return this.#length;
  }

  /** The cache by the names of its inputs, each [1, heads, length, size]; valid until the next run. */
  get cache(): ReadonlyMap<string, Tensor> {
    return this.#cache;
  }

  /**
   * Appends tokens in one run.
   * @param rowsWanted how many of the last positions' logits to return; 0 leaves them in the runtime.
   * @throws EngineError `run_failed`
   */
  async append(ids: readonly number[], rowsWanted: number): Promise<LogitRows> {
    const { layout, count } = { layout: this.#layout, count: ids.length };
    const total = this.#length + count;
    const feeds: Record<string, Tensor> = Object.fromEntries(this.#cache);
    feeds[layout.ids.name] = integers(layout.ids.type, ids, [1, count]);
    if (layout.mask) feeds[layout.mask.name] = integers(layout.mask.type, new Array<number>(total).fill(1), [1, total]);
    if (layout.positions) {
      const positions = Array.from({ length: count }, (_, index) => this.#length + index);
      feeds[layout.positions.name] = integers(layout.positions.type, positions, [1, count]);
    }
    // At least one row is always computed; 0 would mean all of them.
    if (layout.logitsToKeep)
      feeds[layout.logitsToKeep.name] = integers(layout.logitsToKeep.type, [Math.max(1, rowsWanted)], []);
    const fetches = layout.cache.map(({ output }) => output);
    if (rowsWanted > 0) fetches.push(layout.logits.name);
    let results: Awaited<ReturnType<InferenceSession['run']>>;
    try {
      results = await this.#session.run(feeds, fetches);
    } catch (cause) {
      throw new EngineError('run_failed', `a run of ${count} tokens after ${this.#length} failed`, { cause });
    }
    const spent = this.#cache;
    this.#cache = new Map(layout.cache.map(({ input, output }) => [input, results[output] as Tensor]));
    this.#length = total;
    for (const tensor of spent.values()) tensor.dispose();
    return rowsWanted === 0
      ? { count: 0, row: () => new Float32Array(0) }
      : this.#rows(results[layout.logits.name] as Tensor, rowsWanted);
  }

  /** Lets go of the cache. */
  dispose(): void {
    for (const tensor of this.#cache.values()) tensor.dispose();
    this.#cache = new Map();
  }

  #rows(logits: Tensor, wanted: number): LogitRows {
    const width = logits.dims[2];
    const given = logits.dims[1] ?? 0;
    if (width !== this.#vocabSize || given < wanted) {
      throw new EngineError(
        'run_failed',
        `logits have the shape [${logits.dims.join(', ')}], not [1, ${wanted}, ${this.#vocabSize}]`,
      );
    }
    return {
      count: wanted,
      row: (index) => logitsOf(logits, (given - wanted + index) * width, (given - wanted + index + 1) * width),
    };
  }
}
