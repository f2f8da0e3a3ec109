/** llama.cpp as a decoder: sequences of one context, one run at a time. */
import { checkSignal, EngineError } from '../engine.ts';
import { FairQueue } from '../fair-queue.ts';
import type { Decoder, Steps } from '../logit-engine.ts';
import type { LlamaContext, LlamaInput, LlamaSequence } from './binding.ts';

/** Tokens in one run: as for onnxruntime. */
export const RUN_TOKENS_MAX = 256;
/** Logits that one run may hand over: 2^18 are some 12 MB as maps of numbers. */
const RUN_LOGITS_MAX = 2 ** 18;

/** What the decoder is made of; `close` disposes of all. */
export interface LlamaParts {
  readonly context: LlamaContext;
  /** Sequences that the context has. */
  readonly sequences: number;
  readonly vocabSize: number;
  /** Disposes of the model and the library, after the context. */
  readonly release: () => Promise<void>;
}

/**
 * INVARIANT: results do not depend on who else asks. Every run holds tokens of one sequence only, and sequences have cells of
 * their own (`kv_unified` is off in the binding): llama.cpp picks kernels by the width of a batch.
 */
export class LlamaDecoder implements Decoder {
  readonly #parts: LlamaParts;
  readonly #queue = new FairQueue();
  readonly #free: LlamaSequence[];
  readonly #waiting: {
    readonly resolve: (sequence: LlamaSequence) => void;
    readonly reject: (error: Error) => void;
  }[] = [];
  #isClosed = false;

  constructor(parts: LlamaParts) {
    this.#parts = parts;
    this.#free = Array.from({ length: parts.sequences }, () => parts.context.getSequence());
  }

  async start(promptIds: readonly number[], signal: AbortSignal | undefined): Promise<Steps> {
    const sequence = await this.#take(signal);
    try {
      let logits: Float32Array = new Float32Array(0);
      await this.#readInto(sequence, promptIds, promptIds.length - 1, signal, async (last) => {
        logits = last;
      });
      return {
        logits,
        next: async (id) => (await this.#run(sequence, [id], 0, signal))[0]!,
        leave: () => this.#give(sequence),
      };
    } catch (error) {
      this.#give(sequence);
      throw error;
    }
  }

  async read(
    ids: readonly number[],
    firstWanted: number,
    signal: AbortSignal | undefined,
    visit: (logits: Float32Array) => Promise<void>,
  ): Promise<void> {
    const sequence = await this.#take(signal);
    try {
      await this.#readInto(sequence, ids, firstWanted, signal, visit);
    } finally {
      this.#give(sequence);
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const { reject } of this.#waiting.splice(0)) reject(closedError());
    await this.#queue.idle();
    await this.#parts.context.dispose();
    await this.#parts.release();
  }

  async #readInto(
    sequence: LlamaSequence,
    ids: readonly number[],
    firstWanted: number,
    signal: AbortSignal | undefined,
    visit: (logits: Float32Array) => Promise<void>,
  ): Promise<void> {
    const wantedAtOnce = Math.max(1, Math.floor(RUN_LOGITS_MAX / this.#parts.vocabSize));
    for (let from = 0; from < ids.length; ) {
      const plain = Math.max(0, Math.min(firstWanted - from, RUN_TOKENS_MAX));
      const count = plain + Math.min(wantedAtOnce, RUN_TOKENS_MAX - plain);
      const chunk = ids.slice(from, from + count);
      for (const logits of await this.#run(sequence, chunk, plain, signal)) await visit(logits);
      from += chunk.length;
    }
  }

  /** One run; logits of its positions from `firstWanted` on. */
  #run(
    sequence: LlamaSequence,
    ids: readonly number[],
    firstWanted: number,
    signal: AbortSignal | undefined,
  ): Promise<Float32Array[]> {
    return this.#queue.run(async () => {
      this.#checkRunning(signal);
      const input = ids.map((id, at): LlamaInput => (at < firstWanted ? id : [id, { generateNext: { logits: true } }]));
      let output: Awaited<ReturnType<LlamaSequence['controlledEvaluate']>>;
      try {
        output = await sequence.controlledEvaluate(input);
      } catch (cause) {
        throw new EngineError('run_failed', `a run of ${ids.length} tokens failed`, { cause });
      }
      return ids.slice(firstWanted).map((_, at) => this.#logitsOf(output[firstWanted + at]?.next.logits));
    });
  }

  #logitsOf(given: ReadonlyMap<number, number> | undefined): Float32Array {
    const { vocabSize } = this.#parts;
    if (given?.size !== vocabSize) {
      throw new EngineError('run_failed', `logits of ${given?.size ?? 0} tokens came back, not of ${vocabSize}`);
    }
    const logits = new Float32Array(vocabSize);
    for (const [id, logit] of given) logits[id] = logit;
    return logits;
  }

  async #take(signal: AbortSignal | undefined): Promise<LlamaSequence> {
    this.#checkRunning(signal);
    const sequence =
      this.#free.pop() ??
      (await new Promise<LlamaSequence>((resolve, reject) => this.#waiting.push({ resolve, reject })));
    try {
      this.#checkRunning(signal);
      await this.#queue.run(() => sequence.clearHistory());
      return sequence;
    } catch (error) {
      this.#give(sequence);
      throw error;
    }
  }

  #give(sequence: LlamaSequence): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(sequence);
    else next.resolve(sequence);
  }

  #checkRunning(signal: AbortSignal | undefined): void {
    checkSignal(signal);
    if (this.#isClosed) throw closedError();
  }
}

function closedError(): EngineError {
  return new EngineError('closed', 'the engine is closed');
}
