/**
 * The part of node-llama-cpp that the engine uses, as its version 3.22 declares it. The package is not installed with ours, so
 * its own types cannot be imported.
 */
import { EngineError } from '../engine.ts';
import { importOptional } from '../optional-package.ts';

/** A token, with what is wanted of the position after it. */
export type LlamaInput =
  | number
  | readonly [token: number, options: { readonly generateNext: { readonly logits: true } }];

/** One sequence of tokens and its cells in the key-value cache. */
export interface LlamaSequence {
  /** Reads tokens. Where logits are wanted the result holds them for the whole vocabulary, as the model gave them. */
  controlledEvaluate(
    input: readonly LlamaInput[],
  ): Promise<readonly ({ readonly next: { readonly logits?: ReadonlyMap<number, number> } } | undefined)[]>;
  clearHistory(): Promise<void>;
}

export interface LlamaContext {
  readonly contextSize: number;
  getSequence(): LlamaSequence;
  dispose(): Promise<void>;
}

export interface LlamaModel {
  readonly fileInfo: { readonly metadata: { readonly general?: { readonly file_type?: number } } };
  createContext(options: {
    readonly sequences: number;
    readonly contextSize: number;
    readonly batchSize: number;
    readonly flashAttention: false;
    readonly threads: number;
  }): Promise<LlamaContext>;
  dispose(): Promise<void>;
}

export interface Llama {
  /** The llama.cpp that the binding was built from. */
  readonly llamaCppRelease: { readonly repo: string; readonly release: string };
  loadModel(options: { readonly modelPath: string; readonly gpuLayers: 0 }): Promise<LlamaModel>;
  dispose(): Promise<void>;
}

interface LlamaModule {
  readonly getLlama: (options: object) => Promise<Llama>;
}

/**
 * Loads llama.cpp for the CPU from the binary that the package brought; nothing is downloaded or compiled, ever.
 * @throws EngineError `engine_missing` where the package, or its binary for this machine, is not installed
 */
export async function loadLlama(): Promise<Llama> {
  // A name in a variable: the compiler must not look for a package that need not be there.
  const name: string = 'node-llama-cpp';
  const { getLlama } = await importOptional('node-llama-cpp', () => import(name) as Promise<LlamaModule>);
  try {
    return await getLlama({
      gpu: false,
      build: 'never',
      skipDownload: true,
      progressLogs: false,
      // The number of threads is the context's to say.
      maxThreads: 0,
      logLevel: 'error',
      logger: () => undefined,
    });
  } catch (cause) {
    throw new EngineError('engine_missing', 'node-llama-cpp has no binary for this machine', { cause });
  }
}
