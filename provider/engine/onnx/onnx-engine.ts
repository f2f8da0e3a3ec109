/** Runs any decoder in Hugging Face's ONNX layout, with onnxruntime's native build or its WebAssembly. */

import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import type { InferenceSession } from 'onnxruntime-common';
import { TOP_LOGPROBS_MAX } from '#protocol/logprobs';
import { createTextModel, type TextModel } from '#protocol/text';
import type { Engine, EngineInfo } from '../engine.ts';
import { EngineError } from '../engine.ts';
import { FairQueue } from '../fair-queue.ts';
import { type Decoder, LogitEngine } from '../logit-engine.ts';
import type { ModelFolder } from '../model-folder.ts';
import { batchLayoutOf, cacheRuns } from './batch-probe.ts';
import { Batcher } from './batcher.ts';
import { type ExposedModel, exposeAddedCache } from './expose-cache.ts';
import { cacheTypeName, type GraphLayout, readGraphLayout } from './graph-layout.ts';
import { OnnxDecoder } from './onnx-decoder.ts';
import { type GraphOptimization, loadNodeRuntime, type OnnxRuntime } from './runtime.ts';
import { ScoreBatcher, sequencesKeepBits } from './score-batch.ts';

/** Most logits in one run: 2^24 float32 are 64 MiB. */
const RUN_LOGITS_MAX = 2 ** 24;
/** Most tokens in one run, where the vocabulary does not say less: a chunk of a second at 256 tokens a second. */
const CHUNK_TOKENS_MAX = 256;
/** Fewer tokens in a run would make prefill slow. */
const CHUNK_TOKENS_MIN = 16;

/** Larger files are left to the runtime to read: a graph of this size is compute-bound by itself, and memory is dear. */
const EXPOSED_BYTES_MAX = 2 ** 30;

/** How to run a model. */
export interface OnnxEngineOptions {
  /** Which build of onnxruntime; Node's own by default. */
  readonly runtime?: OnnxRuntime;
  /** onnxruntime's execution providers in the order of preference; the CPU by default. WebAssembly has none but itself. */
  readonly executionProviders?: readonly string[];
  /** Threads inside one operator; 1 by default, since a machine may host several providers. They change no bit (measured). */
  readonly intraOpThreads?: number;
  /** How much the graph is rewritten before it runs; `all` by default. */
  readonly graphOptimization?: GraphOptimization;
  /** Tokens in one prefill run; 2^24 / vocabulary, at least 16 and at most 256, by default. */
  readonly chunkTokens?: number;
  /** Whether answers may share runs; true by default, where model, device and optimisation allow it. */
  readonly batching?: boolean;
}

/** A model that is loaded: what an engine is made of. */
export interface LoadedModel {
  readonly info: EngineInfo;
  readonly text: TextModel;
  readonly decoder: Decoder;
}

/**
 * Loads a model.
 * @throws EngineError `unsupported_model` when the graph is not a decoder with a key-value cache.
 */
export async function createOnnxEngine(folder: ModelFolder, options: OnnxEngineOptions = {}): Promise<Engine> {
  const { info, text, decoder } = await loadOnnxModel(folder, options);
  return new LogitEngine(info, text, decoder);
}

/** The same without the token loop, for loops of one's own. @throws EngineError */
export async function loadOnnxModel(folder: ModelFolder, options: OnnxEngineOptions = {}): Promise<LoadedModel> {
  const text = createTextModel(folder.textFiles);
  const runtime = options.runtime ?? (await loadNodeRuntime());
  const { session, exposed } = await openSession(folder.weightsPath, runtime, options);
  try {
    const layout = readGraphLayout(session.inputMetadata, session.outputMetadata, folder.textFiles.config);
    const { vocabSize, contextMax, eosIds } = text;
    const info: EngineInfo = {
      engine: runtime.engine,
      engineVersion: runtime.version,
      numericClass: classOf(path.basename(folder.weightsPath), runtime, layout, options),
      vocabSize,
      contextMax,
      eosIds,
      executionProviders: providersOf(options),
      logprobsMax: TOP_LOGPROBS_MAX,
    };
    const queue = new FairQueue();
    const batchLayout = exposed === null ? null : batchLayoutOf(layout, exposed);
    const batched = batchLayout !== null && (await cacheRuns(session, batchLayout, vocabSize));
    const batcher = batched ? new Batcher(session, batchLayout, vocabSize, queue) : null;
    const byVocabulary = Math.floor(RUN_LOGITS_MAX / vocabSize);
    const chunkTokens = options.chunkTokens ?? Math.min(CHUNK_TOKENS_MAX, Math.max(CHUNK_TOKENS_MIN, byVocabulary));
    const scoresShare = batched && (await sequencesKeepBits(session, batchLayout, vocabSize));
    const scores = scoresShare ? new ScoreBatcher(session, batchLayout, vocabSize, queue, chunkTokens) : null;
    const parts = { session, layout, vocabSize, chunkTokens, queue, batcher, scores };
    return { info, text, decoder: new OnnxDecoder(parts) };
  } catch (error) {
    await session.release();
    throw error;
  }
}

async function openSession(
  weightsPath: string,
  runtime: OnnxRuntime,
  options: OnnxEngineOptions,
): Promise<{ session: InferenceSession; exposed: ExposedModel | null }> {
  const executionProviders = providersOf(options);
  try {
    const exposed = mayShareRuns(options) ? await exposedModel(weightsPath, runtime, executionProviders) : null;
    const session = await runtime.open(exposed?.model ?? weightsPath, {
      executionProviders,
      intraOpThreads: options.intraOpThreads ?? 1,
      graphOptimization: options.graphOptimization ?? 'all',
    });
    return { session, exposed };
  } catch (cause) {
    throw new EngineError('unsupported_model', `${runtime.engine} cannot load ${path.basename(weightsPath)}`, {
      cause,
    });
  }
}

/** On graphs that are not fused, neighbours in a run change the last bit of a logit (measured): nobody may depend on who else asks. */
function mayShareRuns({ batching = true, graphOptimization = 'all' }: OnnxEngineOptions): boolean {
  return batching && graphOptimization === 'all';
}

function providersOf({ executionProviders }: OnnxEngineOptions): readonly string[] {
  return executionProviders ?? ['cpu'];
}

/** On other devices every run would carry the whole cache there: they keep to one sequence a run. */
async function exposedModel(
  file: string,
  { engine }: OnnxRuntime,
  executionProviders: readonly string[],
): Promise<ExposedModel | null> {
  if (engine === 'onnxruntime' && executionProviders[0] !== 'cpu') return null;
  const { size } = await stat(file);
  return size > EXPOSED_BYTES_MAX ? null : exposeAddedCache(await readFile(file));
}

/** The first part of a class tells the build and all that was chosen and changes bits; what is not named is the default. */
function classOf(weightsFile: string, runtime: OnnxRuntime, layout: GraphLayout, options: OnnxEngineOptions): string {
  const { graphOptimization = 'all', batching = true, chunkTokens } = options;
  const choices = [
    ...(graphOptimization === 'all' ? [] : [`opt-${graphOptimization}`]),
    ...(batching ? [] : ['alone']),
    ...(chunkTokens === undefined ? [] : [`prefill-${chunkTokens}`]),
  ];
  const engine = [`${runtime.className}-${runtime.version}`, ...choices].join('+');
  const device = providersOf(options)[0] ?? 'cpu';
  return `${engine}/${device}/${arithmeticName(weightsFile)}/kv-${cacheTypeName(layout)}/${weightsFile}`;
}

/** Arithmetic or quantisation by the suffixes that Hugging Face's exporters give to files. */
export function arithmeticName(weightsFile: string): string {
  const suffix = /^[^_]*_(.+)\.onnx$/.exec(weightsFile)?.[1];
  const names: Readonly<Record<string, string>> = { quantized: 'int8', q4: 'int4', q4f16: 'int4-fp16' };
  return suffix === undefined ? 'fp32' : (names[suffix] ?? suffix);
}
