/** Runs any decoder in Hugging Face's ONNX layout with onnxruntime-node. */

import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { InferenceSession as Session } from 'onnxruntime-node';
import { env, InferenceSession } from 'onnxruntime-node';
import type { TokenEvidence } from '#protocol/evidence';
import { TOP_LOGPROBS_MAX } from '#protocol/logprobs';
import type { TextModel } from '#protocol/text';
import { createTextModel } from '#protocol/text';
import type { Engine, EngineInfo, GeneratedToken, GenerateRequest, ScoreRequest } from '../engine.ts';
import { checkSignal, checkTokens, EngineError } from '../engine.ts';
import type { ModelFolder } from '../model-folder.ts';
import { TranscriptScorer, TranscriptWriter } from '../transcript.ts';
import { batchLayoutOf, cacheRuns } from './batch-probe.ts';
import { Batcher } from './batcher.ts';
import { type ExposedModel, exposeAddedCache } from './expose-cache.ts';
import { FairQueue } from './fair-queue.ts';
import type { GraphLayout } from './graph-layout.ts';
import { cacheTypeName, readGraphLayout } from './graph-layout.ts';
import { type LogitRows, Sequence } from './sequence.ts';
import { type ReadPrompt, SharedPrefill } from './shared-prefill.ts';

/** Most logits in one run: 2^24 float32 are 64 MiB. */
const RUN_LOGITS_MAX = 2 ** 24;
/** Most tokens in one run, where the vocabulary does not say less: a chunk of a second at 256 tokens a second. */
const CHUNK_TOKENS_MAX = 256;
/** Fewer tokens in a run would make prefill slow. */
const CHUNK_TOKENS_MIN = 16;

/** Larger files are left to the runtime to read: a graph of this size is compute-bound by itself, and memory is dear. */
const EXPOSED_BYTES_MAX = 2 ** 30;

/** Logits that a score turns into evidence before it lets others have the thread: 2^20 take some 40 ms. */
const SCORED_LOGITS_MAX = 2 ** 20;

/** How to run a model. */
export interface OnnxEngineOptions {
  /** onnxruntime's execution providers in the order of preference; the CPU by default. */
  readonly executionProviders?: readonly string[];
  /** Threads inside one operator; 1 by default, since a machine may host several providers. */
  readonly intraOpThreads?: number;
  /** Tokens in one prefill run; 2^24 / vocabulary, at least 16 and at most 256, by default. */
  readonly chunkTokens?: number;
  /** Whether answers may share runs; true by default, where the model and the device allow it. */
  readonly batching?: boolean;
}

/**
 * Loads a model.
 * @throws EngineError `unsupported_model` when the graph is not a decoder with a key-value cache.
 */
export async function createOnnxEngine(folder: ModelFolder, options: OnnxEngineOptions = {}): Promise<Engine> {
  const text = createTextModel(folder.textFiles);
  const executionProviders = options.executionProviders ?? ['cpu'];
  let session: Session;
  let exposed: ExposedModel | null = null;
  try {
    const sessionOptions = {
      executionProviders: [...executionProviders],
      intraOpNumThreads: options.intraOpThreads ?? 1,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      graphOptimizationLevel: 'all',
    } as const;
    exposed = options.batching === false ? null : await exposedModel(folder.weightsPath, executionProviders);
    session =
      exposed === null
        ? await InferenceSession.create(folder.weightsPath, sessionOptions)
        : await InferenceSession.create(exposed.model, sessionOptions);
  } catch (cause) {
    throw new EngineError('unsupported_model', `onnxruntime cannot load ${path.basename(folder.weightsPath)}`, {
      cause,
    });
  }
  try {
    const layout = readGraphLayout(session.inputMetadata, session.outputMetadata, folder.textFiles.config);
    const weightsFile = path.basename(folder.weightsPath);
    const engineVersion = env.versions.node ?? env.versions.common;
    const device = executionProviders[0] ?? 'cpu';
    const info: EngineInfo = {
      engine: 'onnxruntime',
      engineVersion,
      numericClass: `ort-${engineVersion}/${device}/${arithmeticName(weightsFile)}/kv-${cacheTypeName(layout)}/${weightsFile}`,
      vocabSize: text.vocabSize,
      contextMax: text.contextMax,
      eosIds: text.eosIds,
      executionProviders,
      logprobsMax: TOP_LOGPROBS_MAX,
    };
    const queue = new FairQueue();
    const batchLayout = exposed === null ? null : batchLayoutOf(layout, exposed);
    const batched = batchLayout !== null && (await cacheRuns(session, batchLayout, text.vocabSize));
    const batcher = batched ? new Batcher(session, batchLayout, text.vocabSize, queue) : null;
    return new OnnxEngine({ session, layout, info, text, queue, batcher }, options);
  } catch (error) {
    await session.release();
    throw error;
  }
}

/** On other devices every run would carry the whole cache there: they keep to one sequence a run. */
async function exposedModel(file: string, executionProviders: readonly string[]): Promise<ExposedModel | null> {
  if (executionProviders[0] !== 'cpu') return null;
  const { size } = await stat(file);
  return size > EXPOSED_BYTES_MAX ? null : exposeAddedCache(await readFile(file));
}

/** Arithmetic or quantisation by the suffixes that Hugging Face's exporters give to files. */
export function arithmeticName(weightsFile: string): string {
  const suffix = /^[^_]*_(.+)\.onnx$/.exec(weightsFile)?.[1];
  const names: Readonly<Record<string, string>> = { quantized: 'int8', q4: 'int4', q4f16: 'int4-fp16' };
  return suffix === undefined ? 'fp32' : (names[suffix] ?? suffix);
}

interface EngineParts {
  readonly session: Session;
  readonly layout: GraphLayout;
  readonly info: EngineInfo;
  readonly text: TextModel;
  readonly queue: FairQueue;
  /** null where the model does not run in batches. */
  readonly batcher: Batcher | null;
}

/** An answer after its prompt. */
interface Steps {
  /** Of the first token. */
  readonly logits: Float32Array;
  /** Reads a token and gives the logits of the next. */
  readonly next: (id: number) => Promise<Float32Array>;
  readonly leave: () => void;
}

class OnnxEngine implements Engine {
  readonly info: EngineInfo;
  readonly text: TextModel;
  readonly #parts: EngineParts;
  readonly #prompts = new SharedPrefill((ids, signal) => this.#readPrompt(ids, signal));
  readonly #chunkTokens: number;
  #closed: Promise<void> | undefined;

  constructor(parts: EngineParts, options: OnnxEngineOptions) {
    this.#parts = parts;
    this.info = parts.info;
    this.text = parts.text;
    const byVocabulary = Math.floor(RUN_LOGITS_MAX / parts.info.vocabSize);
    this.#chunkTokens = options.chunkTokens ?? Math.min(CHUNK_TOKENS_MAX, Math.max(CHUNK_TOKENS_MIN, byVocabulary));
  }

  async *generate(request: GenerateRequest): AsyncGenerator<GeneratedToken, void, void> {
    const { promptIds, maxTokens, signal } = request;
    checkTokens(this.info, promptIds, [], maxTokens);
    if (maxTokens === 0) return;
    const writer = new TranscriptWriter(request, this.text);
    const steps = await this.#start(promptIds, signal);
    try {
      let { logits } = steps;
      while (true) {
        const token = writer.next(logits);
        yield token;
        if (token.finish !== null) return;
        this.#checkRunning(signal);
        logits = await steps.next(token.id);
      }
    } finally {
      steps.leave();
    }
  }

  /** Reads the prompt; what follows goes into the batch where there is one. */
  async #start(promptIds: readonly number[], signal: AbortSignal | undefined): Promise<Steps> {
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

  async score(request: ScoreRequest): Promise<TokenEvidence[]> {
    const { promptIds, outputIds, sampling, seed, signal } = request;
    checkTokens(this.info, promptIds, outputIds, outputIds.length);
    const scorer = new TranscriptScorer(sampling, seed, outputIds);
    if (outputIds.length === 0) return scorer.evidence;
    const sequence = this.#sequence();
    try {
      // The last claimed token is scored by the position before it and need not be read.
      const read = [...promptIds, ...outputIds.slice(0, -1)];
      const rowsAtOnce = Math.ceil(SCORED_LOGITS_MAX / this.info.vocabSize);
      await this.#prefill(sequence, read, promptIds.length - 1, signal, async (rows) => {
        for (let index = 0; index < rows.count; index++) {
          scorer.score(rows.row(index));
          if ((index + 1) % rowsAtOnce === 0) await setImmediate();
        }
      });
      return scorer.evidence;
    } finally {
      sequence.dispose();
    }
  }

  close(): Promise<void> {
    const { queue, session } = this.#parts;
    this.#closed ??= queue.idle().then(() => session.release());
    return this.#closed;
  }

  #sequence(): Sequence {
    return new Sequence(this.#parts.session, this.#parts.layout, this.info.vocabSize);
  }

  /** Reads tokens in chunks; logits are fetched from `firstWanted` on. Returns those of the last chunk. */
  async #prefill(
    sequence: Sequence,
    ids: readonly number[],
    firstWanted: number,
    signal: AbortSignal | undefined,
    visit?: (rows: LogitRows) => Promise<void>,
  ): Promise<LogitRows> {
    let rows: LogitRows = { count: 0, row: () => new Float32Array(0) };
    for (let from = 0; from < ids.length; from += this.#chunkTokens) {
      const chunk = ids.slice(from, from + this.#chunkTokens);
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
    if (this.#closed !== undefined) throw new EngineError('closed', 'the engine is closed');
  }
}
