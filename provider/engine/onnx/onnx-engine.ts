/** Runs any decoder in Hugging Face's ONNX layout with onnxruntime-node. */

import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { InferenceSession as Session } from 'onnxruntime-node';
import { env, InferenceSession } from 'onnxruntime-node';
import type { TokenEvidence } from '#protocol/evidence';
import type { TextModel } from '#protocol/text';
import { createTextModel } from '#protocol/text';
import type { Engine, EngineInfo, GeneratedToken, GenerateRequest, ScoreRequest } from '../engine.ts';
import { checkSignal, checkTokens, EngineError } from '../engine.ts';
import type { ModelFolder } from '../model-folder.ts';
import { TranscriptScorer, TranscriptWriter } from '../transcript.ts';
import { FairQueue } from './fair-queue.ts';
import type { GraphLayout } from './graph-layout.ts';
import { cacheTypeName, readGraphLayout } from './graph-layout.ts';
import { type LogitRows, Sequence } from './sequence.ts';

/** Most logits in one run: 2^24 float32 are 64 MiB. */
const RUN_LOGITS_MAX = 2 ** 24;
/** Most tokens in one run, where the vocabulary does not say less: a chunk of a second at 256 tokens a second. */
const CHUNK_TOKENS_MAX = 256;
/** Fewer tokens in a run would make prefill slow. */
const CHUNK_TOKENS_MIN = 16;

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
  /** Runs at one time; 1 by default. */
  readonly runningMax?: number;
}

/**
 * Loads a model.
 * @throws EngineError `unsupported_model` when the graph is not a decoder with a key-value cache.
 */
export async function createOnnxEngine(folder: ModelFolder, options: OnnxEngineOptions = {}): Promise<Engine> {
  const text = createTextModel(folder.textFiles);
  const executionProviders = options.executionProviders ?? ['cpu'];
  let session: Session;
  try {
    session = await InferenceSession.create(folder.weightsPath, {
      executionProviders: [...executionProviders],
      intraOpNumThreads: options.intraOpThreads ?? 1,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      graphOptimizationLevel: 'all',
    });
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
    };
    return new OnnxEngine(session, layout, info, text, options);
  } catch (error) {
    await session.release();
    throw error;
  }
}

/** Arithmetic or quantisation by the suffixes that Hugging Face's exporters give to files. */
export function arithmeticName(weightsFile: string): string {
  const suffix = /^[^_]*_(.+)\.onnx$/.exec(weightsFile)?.[1];
  const names: Readonly<Record<string, string>> = { quantized: 'int8', q4: 'int4', q4f16: 'int4-fp16' };
  return suffix === undefined ? 'fp32' : (names[suffix] ?? suffix);
}

class OnnxEngine implements Engine {
  readonly info: EngineInfo;
  readonly text: TextModel;
  readonly #session: Session;
  readonly #layout: GraphLayout;
  readonly #queue: FairQueue;
  readonly #chunkTokens: number;
  #closed: Promise<void> | undefined;

  constructor(session: Session, layout: GraphLayout, info: EngineInfo, text: TextModel, options: OnnxEngineOptions) {
    this.#session = session;
    this.#layout = layout;
    this.info = info;
    this.text = text;
    this.#queue = new FairQueue(options.runningMax ?? 1);
    const byVocabulary = Math.floor(RUN_LOGITS_MAX / info.vocabSize);
    this.#chunkTokens = options.chunkTokens ?? Math.min(CHUNK_TOKENS_MAX, Math.max(CHUNK_TOKENS_MIN, byVocabulary));
  }

  async *generate(request: GenerateRequest): AsyncGenerator<GeneratedToken, void, void> {
    const { promptIds, maxTokens, signal } = request;
    checkTokens(this.info, promptIds, [], maxTokens);
    if (maxTokens === 0) return;
    const writer = new TranscriptWriter(request, this.text);
    const sequence = new Sequence(this.#session, this.#layout, this.info.vocabSize);
    try {
      let rows = await this.#prefill(sequence, promptIds, promptIds.length - 1, signal);
      while (true) {
        const token = writer.next(rows.row(rows.count - 1));
        yield token;
        if (token.finish !== null) return;
        rows = await this.#append(sequence, [token.id], 1, signal);
      }
    } finally {
      sequence.dispose();
    }
  }

  async score(request: ScoreRequest): Promise<TokenEvidence[]> {
    const { promptIds, outputIds, sampling, seed, signal } = request;
    checkTokens(this.info, promptIds, outputIds, outputIds.length);
    const scorer = new TranscriptScorer(sampling, seed, outputIds);
    if (outputIds.length === 0) return scorer.evidence;
    const sequence = new Sequence(this.#session, this.#layout, this.info.vocabSize);
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
    this.#closed ??= this.#queue.idle().then(() => this.#session.release());
    return this.#closed;
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
    return this.#queue.run(async () => {
      this.#checkRunning(signal);
      return sequence.append(ids, rowsWanted);
    });
  }

  #checkRunning(signal: AbortSignal | undefined): void {
    checkSignal(signal);
    if (this.#closed !== undefined) throw new EngineError('closed', 'the engine is closed');
  }
}
