/** The engines that run a model in this process, and which of them this installation has. */
import { EngineError } from './engine.ts';
import { loadLlama } from './llama/binding.ts';
import { loadNodeRuntime, loadWasmRuntime } from './onnx/runtime.ts';

export const ENGINE_KINDS = ['onnxruntime', 'onnxruntime-wasm', 'llama-cpp'] as const;
export type EngineKind = (typeof ENGINE_KINDS)[number];

/** Whether an engine can be used here. */
export interface EngineState {
  readonly kind: EngineKind;
  /** null where it cannot. */
  readonly version: string | null;
  /** Why it cannot. */
  readonly problem?: string;
}

const VERSIONS: Readonly<Record<EngineKind, () => Promise<string>>> = {
  onnxruntime: async () => (await loadNodeRuntime()).version,
  'onnxruntime-wasm': async () => (await loadWasmRuntime()).version,
  async 'llama-cpp'() {
    const llama = await loadLlama();
    const { release } = llama.llamaCppRelease;
    await llama.dispose();
    return release;
  },
};

/** Loads each library, no model; never throws. */
export async function engineStates(): Promise<EngineState[]> {
  const states: EngineState[] = [];
  for (const kind of ENGINE_KINDS) {
    try {
      states.push({ kind, version: await VERSIONS[kind]() });
    } catch (error) {
      const problem = error instanceof EngineError ? error.message : 'cannot be loaded';
      states.push({ kind, version: null, problem });
    }
  }
  return states;
}
