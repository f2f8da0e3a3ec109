/** From the configuration to what is claimed and what runs. */
import type { Clock } from '#protocol/env';
import type { Hash } from '#protocol/hash';
import { createTextModel } from '#protocol/text';
import type { ProviderConfig } from './config.ts';
import type { Engine } from './engine/engine.ts';
import { createLlamaEngine } from './engine/llama/llama-engine.ts';
import { ensureMinnowGguf } from './engine/llama/minnow-gguf.ts';
import { type ModelFolder, readModelFolder } from './engine/model-folder.ts';
import { createOnnxEngine } from './engine/onnx/onnx-engine.ts';
import { loadNodeRuntime, loadWasmRuntime } from './engine/onnx/runtime.ts';
import { createUpstreamEngine, type UpstreamOptions } from './engine/upstream/upstream-engine.ts';

/** Scores beside the answers that may run at one time: each holds a place in the cache for one prefill. */
const SCORE_SEQUENCES = 4;

/** The digest of what is claimed, and the engine of what is run: the same folder, but for the demo's cheat switch. */
export async function loadModel(config: ProviderConfig, clock: Clock): Promise<{ digest: Hash; engine: Engine }> {
  const { modelFolder, actualModelFolder, weights, upstreamUrl } = config;
  const claimed = await readModelFolder(modelFolder, weights);
  const digest = claimed.modelDigest;
  if (upstreamUrl !== null) {
    const text = createTextModel(claimed.textFiles);
    return { digest, engine: await createUpstreamEngine(text, upstreamOf(config, upstreamUrl), clock) };
  }
  const run = actualModelFolder === null ? claimed : await readModelFolder(actualModelFolder, weights);
  return { digest, engine: await createLocalEngine(run, config) };
}

async function createLocalEngine(folder: ModelFolder, config: ProviderConfig): Promise<Engine> {
  const { engine, executionProviders, threads, graphOptimization, prefillTokens } = config;
  if (engine === 'llama-cpp') {
    const ggufPath = config.gguf ?? (await ensureMinnowGguf(folder, config.dataFolder));
    return createLlamaEngine(folder, { ggufPath, threads, sequences: config.concurrency + SCORE_SEQUENCES });
  }
  return createOnnxEngine(folder, {
    runtime: engine === 'onnxruntime' ? await loadNodeRuntime() : await loadWasmRuntime(),
    executionProviders,
    intraOpThreads: threads,
    graphOptimization,
    batching: config.batching === 'on',
    ...(prefillTokens === 0 ? {} : { chunkTokens: prefillTokens }),
  });
}

/** INVARIANT: the configuration has the rest wherever it has a URL (`parseProviderConfig`). */
function upstreamOf(config: ProviderConfig, url: string): UpstreamOptions {
  return {
    url,
    dialect: config.upstreamDialect!,
    model: config.upstreamModel!,
    apiKey: config.upstreamApiKey,
    device: config.upstreamDevice!,
    dtype: config.upstreamDtype!,
    kvDtype: config.upstreamKvDtype!,
  };
}
