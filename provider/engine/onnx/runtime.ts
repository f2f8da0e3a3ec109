/** The two builds of onnxruntime behind one interface: native code for Node, and WebAssembly (both derive from onnxruntime-common). */
import { readFile } from 'node:fs/promises';
import type { InferenceSession } from 'onnxruntime-common';
import { importOptional } from '../optional-package.ts';

/** How much a graph is rewritten before it runs; fused operators round otherwise. */
export const GRAPH_OPTIMIZATIONS = ['all', 'extended', 'basic', 'disabled'] as const;
export type GraphOptimization = (typeof GRAPH_OPTIMIZATIONS)[number];

/** What a session is opened with. */
export interface SessionChoices {
  readonly executionProviders: readonly string[];
  readonly intraOpThreads: number;
  readonly graphOptimization: GraphOptimization;
}

/** One build of onnxruntime. */
export interface OnnxRuntime {
  readonly engine: 'onnxruntime' | 'onnxruntime-wasm';
  /** How numeric classes name it. */
  readonly className: 'ort' | 'ort-wasm';
  readonly version: string;
  /** @param model path of the weights, or the bytes themselves */
  open(model: string | Uint8Array, choices: SessionChoices): Promise<InferenceSession>;
}

/** onnxruntime-node: the CPU, and what else its build has. */
export async function loadNodeRuntime(): Promise<OnnxRuntime> {
  const { env, InferenceSession } = await import('onnxruntime-node');
  return {
    engine: 'onnxruntime',
    className: 'ort',
    version: env.versions.node ?? env.versions.common,
    open: (model, choices) => {
      const options = {
        executionProviders: [...choices.executionProviders],
        intraOpNumThreads: choices.intraOpThreads,
        interOpNumThreads: 1,
        executionMode: 'sequential',
        graphOptimizationLevel: choices.graphOptimization,
      } as const;
      return typeof model === 'string'
        ? InferenceSession.create(model, options)
        : InferenceSession.create(model, options);
    },
  };
}

/**
 * onnxruntime-web's WebAssembly, on one thread: no native code, and the same arithmetic on every CPU, since its binary has no
 * relaxed SIMD.
 * @throws EngineError `engine_missing`
 */
export async function loadWasmRuntime(): Promise<OnnxRuntime> {
  const { env, InferenceSession } = await importOptional('onnxruntime-web', () => import('onnxruntime-web'));
  env.wasm.numThreads = 1;
  return {
    engine: 'onnxruntime-wasm',
    className: 'ort-wasm',
    version: env.versions.web ?? env.versions.common,
    open: async (model, { graphOptimization }) =>
      InferenceSession.create(typeof model === 'string' ? await readFile(model) : model, {
        executionProviders: ['wasm'],
        executionMode: 'sequential',
        graphOptimizationLevel: graphOptimization,
      }),
  };
}
