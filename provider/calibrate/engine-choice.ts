/** Engines by name, for commands that run several: which engine, a file of weights, and how to run it. */
import type { Engine } from '../engine/engine.ts';
import { createLlamaEngine } from '../engine/llama/llama-engine.ts';
import { ensureMinnowGguf } from '../engine/llama/minnow-gguf.ts';
import { readModelFolder } from '../engine/model-folder.ts';
import { createOnnxEngine, type OnnxEngineOptions } from '../engine/onnx/onnx-engine.ts';
import { GRAPH_OPTIMIZATIONS, loadNodeRuntime, loadWasmRuntime } from '../engine/onnx/runtime.ts';

/** An engine that has not been loaded. */
export interface EngineChoice {
  /** As it was written, such as `wasm:model.onnx` or `model_fp16.onnx+threads=2`. */
  readonly name: string;
  readonly kind: 'onnx' | 'wasm' | 'llama';
  /** Inside the model folder; llama.cpp reads a GGUF file instead, made from `onnx/model.onnx` unless one is named. */
  readonly weightsFile: string;
  readonly ggufPath: string | null;
  readonly options: Omit<OnnxEngineOptions, 'runtime'>;
}

/** Responses that llama.cpp keeps in its cache at one time: as many as one part has under way. */
const LLAMA_SEQUENCES = 32;
const REFERENCE = 'onnx/model.onnx';

type Options = EngineChoice['options'];

/** Reads `[wasm:]file.onnx` (in the folder's `onnx/`) or `llama[:file.gguf]`, each with settings after `+`. */
export function parseEngineChoice(text: string): EngineChoice | { problem: string } {
  const [what, ...settings] = text.split('+');
  let options: Options = {};
  for (const setting of settings) {
    const set = readSetting(setting);
    if (set === null) {
      return {
        problem: `"${setting}" is not threads=<n>, device=<name>, optimization=<level>, prefill=<n> or batching=off`,
      };
    }
    options = { ...options, ...set };
  }
  const gguf = /^llama(?::(.+\.gguf))?$/.exec(what!);
  if (gguf) return { name: text, kind: 'llama', weightsFile: REFERENCE, ggufPath: gguf[1] ?? null, options };
  const onnx = /^(wasm:)?([\w-][\w.-]*\.onnx)$/.exec(what!);
  if (!onnx) return { problem: `"${what}" is not [wasm:]<file>.onnx or llama[:<file>.gguf]` };
  return { name: text, kind: onnx[1] ? 'wasm' : 'onnx', weightsFile: `onnx/${onnx[2]}`, ggufPath: null, options };
}

function readSetting(setting: string): Options | null {
  const [, name, value] = /^(\w+)=(\w+)$/.exec(setting) ?? [];
  const count = /^[1-9]\d{0,2}$/.test(value ?? '') ? Number(value) : null;
  if (name === 'threads' && count !== null) return { intraOpThreads: count };
  if (name === 'prefill' && count !== null) return { chunkTokens: count };
  if (name === 'device' && value !== undefined) return { executionProviders: [value, 'cpu'] };
  const level = GRAPH_OPTIMIZATIONS.find((known) => known === value);
  if (name === 'optimization' && level !== undefined) return { graphOptimization: level };
  return setting === 'batching=off' ? { batching: false } : null;
}

/** Loads it. @param workFolder for files made from the model's. @throws EngineError, or Error where a file is missing */
export async function openEngine(modelFolder: string, choice: EngineChoice, workFolder: string): Promise<Engine> {
  const { kind, weightsFile, options } = choice;
  const folder = await readModelFolder(modelFolder, weightsFile);
  if (kind === 'llama') {
    const ggufPath = choice.ggufPath ?? (await ensureMinnowGguf(folder, workFolder));
    return createLlamaEngine(folder, { ggufPath, threads: options.intraOpThreads ?? 1, sequences: LLAMA_SEQUENCES });
  }
  const runtime = kind === 'wasm' ? await loadWasmRuntime() : await loadNodeRuntime();
  return createOnnxEngine(folder, { ...options, runtime });
}
