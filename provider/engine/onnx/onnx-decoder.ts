/** A decoder's ONNX graph in a session of either onnxruntime: prompts in chunks, answers in shared runs where that works. */
import type { InferenceSession } from 'onnxruntime-common';
import { checkSignal, EngineError } from '../engine.ts';
import type { FairQueue } from '../fair-queue.ts';
import type { Decoder, Steps } from '../logit-engine.ts';
import type { Batcher } from './batcher.ts';
import type { GraphLayout } from './graph-layout.ts';
import type { ScoreBatcher } from './score-batch.ts';
import { type LogitRows, Sequence } from './sequence.ts';
import { type ReadPrompt, SharedPrefill } from './shared-prefill.ts';

/** What a decoder is made of. */
export interface OnnxParts {
  readonly session: InferenceSession;
  readonly layout: GraphLayout;
  readonly vocabSize: number;
  /** Tokens in one prefill run. */
  readonly chunkTokens: number;
  readonly queue: FairQueue;
  /** null where answers do not share runs. */
  readonly batcher: Batcher | null;
  /** null where whole sequences do not keep their bits beside others. */
  readonly scores: ScoreBatcher | null;
}

export class OnnxDecoder implements Decoder {
  readonly #parts: OnnxParts;
  readonly #prompts = new SharedPrefill((ids, signal) => this.#readPrompt(ids, signal));
  #isClosed = false;

  constructor(parts: OnnxParts) {
    this.#parts = parts;
  }

  /** Reads the prompt; what follows goes into the batch where there is one. */
  async start(promptIds: readonly number[], signal: AbortSignal | undefined): Promise<Steps> {
    const { batcher } = this.#parts;
    if (batcher === null) return this.#startAlone(promptIds, signal);
    const use = this.#prompts.use(promptIds);
    try {
      const { cache, length, logits } = await use.ready;
      this.#checkRunning(signal);
      const place = await batcher.join(cache, length);
      return { logits, next: place.next, leave: place.leave };
    } finally {
      use.release();
    }
  }

  async read(
    ids: readonly number[],
    firstWanted: number,
    signal: AbortSignal | undefined,
    visit: (logits: Float32Array) => Promise<void>,
  ): Promise<void> {
    const visitAll = async (rows: LogitRows) => {
      for (let index = 0; index < rows.count; index++) await visit(rows.row(index));
    };
    const { scores } = this.#parts;
    if (scores?.fits(ids.length)) {
      this.#checkRunning(signal);
      const rows = await scores.read(ids, firstWanted);
      this.#checkRunning(signal);
      return visitAll(rows);
    }
    const sequence = this.#sequence();
    try {
      await this.#prefill(sequence, ids, firstWanted, signal, visitAll);
    } finally {
      sequence.dispose();
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const { queue, session } = this.#parts;
    await queue.idle();
    await session.release();
  }

  async #startAlone(promptIds: readonly number[], signal: AbortSignal | undefined): Promise<Steps> {
    const sequence = this.#sequence();
    try {
      const rows = await this.#prefill(sequence, promptIds, promptIds.length - 1, signal);
      return {
        logits: rows.row(rows.count - 1),
        next: async (id) => (await this.#append(sequence, [id], 1, signal)).row(0),
        leave: () => sequence.dispose(),
      };
    } catch (error) {
      sequence.dispose();
      throw error;
    }
  }

  async #readPrompt(promptIds: readonly number[], signal: AbortSignal): Promise<ReadPrompt> {
    const sequence = this.#sequence();
    const rows = await this.#prefill(sequence, promptIds, promptIds.length - 1, signal);
    return { cache: sequence.cache, length: sequence.length, logits: rows.row(rows.count - 1) };
  }

  #sequence(): Sequence {
    return new Sequence(this.#parts.session, this.#parts.layout, this.#parts.vocabSize);
  }

  /** Reads tokens in chunks; logits are fetched from `firstWanted` on. Returns those of the last chunk. */
  async #prefill(
    sequence: Sequence,
    ids: readonly number[],
    firstWanted: number,
    signal: AbortSignal | undefined,
    visit?: (rows: LogitRows) => Promise<void>,
  ): Promise<LogitRows> {
    const { chunkTokens } = this.#parts;
    let rows: LogitRows = { count: 0, row: () => new Float32Array(0) };
    for (let from = 0; from < ids.length; from += chunkTokens) {
      const chunk = ids.slice(from, from + chunkTokens);
      const wanted = Math.min(chunk.length, Math.max(0, from + chunk.length - firstWanted));
      rows = await this.#append(sequence, chunk, wanted, signal);
      await visit?.(rows);
    }
    return rows;
  }

  async #append(sequence: Sequence, ids: readonly number[], rowsWanted: number, signal: AbortSignal | undefined) {
    this.#checkRunning(signal);
    return this.#parts.queue.run(async () => {
      this.#checkRunning(signal);
      return sequence.append(ids, rowsWanted);
    });
  }

  #checkRunning(signal: AbortSignal | undefined): void {
    checkSignal(signal);
    if (this.#isClosed) throw new EngineError('closed', 'the engine is closed');
  }
}
