/** From the configuration to what is claimed and what runs. */
import type { Clock } from '#protocol/env';
import type { Hash } from '#protocol/hash';
import { createTextModel } from '#protocol/text';
import type { ProviderConfig } from './config.ts';
import type { Engine } from './engine/engine.ts';
import { readModelFolder } from './engine/model-folder.ts';
import { createOnnxEngine } from './engine/onnx/onnx-engine.ts';
import { createUpstreamEngine, type UpstreamOptions } from './engine/upstream/upstream-engine.ts';

/** The digest of what is claimed, and the engine of what is run: the same folder, but for the demo's cheat switch. */
export async function loadModel(config: ProviderConfig, clock: Clock): Promise<{ digest: Hash; engine: Engine }> {
  const { modelFolder, actualModelFolder, weights } = config;
  const claimed = await readModelFolder(modelFolder, weights);
  const run = actualModelFolder === null ? claimed : await readModelFolder(actualModelFolder, weights);
  const { executionProviders, threads, upstreamUrl } = config;
  if (upstreamUrl !== null) {
    const engine = await createUpstreamEngine(
      createTextModel(claimed.textFiles),
      upstreamOf(config, upstreamUrl),
      clock,
    );
    return { digest: claimed.modelDigest, engine };
  }
  return {
    digest: claimed.modelDigest,
    engine: await createOnnxEngine(run, { executionProviders, intraOpThreads: threads }),
  };
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
