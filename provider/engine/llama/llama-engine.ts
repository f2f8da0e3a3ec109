/** Runs a GGUF file with llama.cpp in this process, through the optional package node-llama-cpp. */
import path from 'node:path';
import { TOP_LOGPROBS_MAX } from '#protocol/logprobs';
import { createTextModel } from '#protocol/text';
import type { Engine, EngineInfo } from '../engine.ts';
import { EngineError } from '../engine.ts';
import { LogitEngine } from '../logit-engine.ts';
import type { ModelFolder } from '../model-folder.ts';
import { type LlamaModel, loadLlama } from './binding.ts';
import { LlamaDecoder, RUN_TOKENS_MAX } from './llama-decoder.ts';

/** The binding keeps a cell free, and a run that does not fit would drop the beginning of its sequence without a word. */
const SPARE_CELLS = 8;

/** GGUF's `general.file_type` (ggml's llama_ftype) in the words of numeric classes. */
const DTYPES: Readonly<Record<number, string>> = {
  0: 'fp32',
  1: 'fp16',
  2: 'q4_0',
  7: 'q8_0',
  15: 'q4_k_m',
  32: 'bf16',
};

/** How to run a GGUF file. */
export interface LlamaEngineOptions {
  /** The same model as the folder's, as GGUF. */
  readonly ggufPath: string;
  /** 1 by default; 0 leaves the choice to llama.cpp. */
  readonly threads?: number;
  /** Answers and scores that hold a place in the cache at one time; others wait. 8 by default. */
  readonly sequences?: number;
}

/**
 * Loads a model. The folder gives text side, limits and digest, the GGUF file the weights alone.
 * @throws EngineError `engine_missing`, `unsupported_model`
 */
export async function createLlamaEngine(folder: ModelFolder, options: LlamaEngineOptions): Promise<Engine> {
  const { threads = 1, sequences = 8 } = options;
  const text = createTextModel(folder.textFiles);
  const { vocabSize, contextMax, eosIds } = text;
  const llama = await loadLlama();
  const file = path.basename(options.ggufPath);
  let model: LlamaModel | undefined;
  try {
    model = await llama.loadModel({ modelPath: options.ggufPath, gpuLayers: 0 });
    const { release } = llama.llamaCppRelease;
    const dtype = dtypeOf(model);
    const context = await model.createContext({
      sequences,
      contextSize: contextMax + SPARE_CELLS,
      batchSize: RUN_TOKENS_MAX,
      flashAttention: false,
      threads,
    });
    const info: EngineInfo = {
      engine: 'llama-cpp',
      engineVersion: release,
      numericClass: `llamacpp-${release}/cpu/${dtype}/kv-fp16/${file}`,
      vocabSize,
      contextMax,
      eosIds,
      executionProviders: ['cpu'],
      logprobsMax: TOP_LOGPROBS_MAX,
    };
    const loaded = model;
    const free = async () => {
      await loaded.dispose();
      await llama.dispose();
    };
    return new LogitEngine(info, text, new LlamaDecoder({ context, sequences, vocabSize, release: free }));
  } catch (cause) {
    await model?.dispose();
    await llama.dispose();
    throw new EngineError('unsupported_model', `llama.cpp cannot load ${file}`, { cause });
  }
}

function dtypeOf({ fileInfo }: LlamaModel): string {
  const type = fileInfo.metadata.general?.file_type;
  return type === undefined ? 'unknown' : (DTYPES[type] ?? `ftype-${type}`);
}
