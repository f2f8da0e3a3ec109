/** The cheat laboratory: every way to serve less than was ordered, built of the shipped models and the real engine. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Engine } from '../../../provider/engine/engine.ts';
import { readModelFolder } from '../../../provider/engine/model-folder.ts';
import { type LoadedModel, loadOnnxModel, type OnnxEngineOptions } from '../../../provider/engine/onnx/onnx-engine.ts';
import { loadNodeRuntime } from '../../../provider/engine/onnx/runtime.ts';
import {
  cachedReplay,
  cutPrompt,
  earlyEos,
  forgedEvidence,
  hiddenPrompt,
  onSomeRequests,
  otherSeed,
  scaledTemperature,
} from '../../fixtures/cheats-engine.ts';
import { withHalfCache } from './half-cache.ts';
import { engineOf } from './token-loop.ts';
import { draftedBy, someSeeds, steering } from './writers.ts';

const MODELS = fileURLToPath(new URL('../../../provider/models/minnow/dist/', import.meta.url));

/** Files of weights that cheats run; `real` is what they claim. */
const WEIGHTS = {
  real: ['minnow-5m', 'model.onnx'],
  halfCache: ['minnow-5m', 'model.onnx'],
  fp16: ['minnow-5m', 'model_fp16.onnx'],
  int8: ['minnow-5m', 'model_quantized.onnx'],
  int4: ['minnow-5m', 'model_q4.onnx'],
  small: ['minnow-1m', 'model.onnx'],
} as const;
export type WeightsName = keyof typeof WEIGHTS;
export type LabModels = Readonly<Record<WeightsName, LoadedModel>>;

/** Loads the models; onnxruntime keeps some 30 MB of each. */
export async function openLab(): Promise<LabModels & { close(): Promise<void> }> {
  const names = Object.keys(WEIGHTS) as WeightsName[];
  const loaded = await Promise.all(
    names.map(async (name) => {
      const [model, file] = WEIGHTS[name];
      const folder = await readModelFolder(path.join(MODELS, model), `onnx/${file}`);
      return [name, await loadOnnxModel(folder, await optionsOf(name))] as const;
    }),
  );
  const models = Object.fromEntries(loaded) as unknown as LabModels;
  return {
    ...models,
    async close() {
      for (const name of names) await models[name].decoder.close();
    },
  };
}

/** Batches keep caches of their own, which nothing rounds. */
async function optionsOf(name: WeightsName): Promise<OnnxEngineOptions> {
  return name === 'halfCache' ? { batching: false, runtime: withHalfCache(await loadNodeRuntime()) } : {};
}

export interface LabCheat {
  readonly title: string;
  /** Temperatures at which it is another thing than honesty. */
  readonly temperatures: readonly (0 | 1)[];
  readonly build: (models: LabModels) => Engine;
}

/** Of its requests a provider that mixes cheats on this share; its texts are made of those of int4 and of honest ones. */
const MIXED_SHARES = { mixed: 1 / 4, mixed_tenth: 1 / 10 } as const;
const SYSTEM = 'You are a pirate. Answer in one short sentence.';
/** Tokens of an answer that is ended early. */
export const EARLY_TOKENS = 8;
/** A tie of the class fp32, and ten of them. */
export const STEERED = { tie: 0.01, far: 0.1 } as const;
/** Drafts stand where the real model has them within the clip. */
const DRAFT_REACH = 0.5;

const BOTH = [0, 1] as const;
/** At temperature 0 there is no noise to get wrong. */
const SAMPLED = [1] as const;

export const LAB = {
  honest: { title: 'honest', temperatures: BOTH, build: ({ real }) => engineOf(real) },
  smaller_model: { title: 'smaller model (minnow-1m)', temperatures: BOTH, build: ({ small }) => engineOf(small) },
  int4: { title: 'int4 weights', temperatures: BOTH, build: ({ int4 }) => engineOf(int4) },
  int8: { title: 'int8 weights and activations', temperatures: BOTH, build: ({ int8 }) => engineOf(int8) },
  // Weights are halves in every file; this one's graph rounds each product and norm to half as well (`train/export_onnx.py`).
  fp16: { title: 'fp16 activations, claimed as fp32', temperatures: BOTH, build: ({ fp16 }) => engineOf(fp16) },
  fp16_kv: {
    title: 'fp16 key-value cache, claimed as fp32',
    temperatures: BOTH,
    build: ({ halfCache }) => engineOf(halfCache),
  },
  cooler: {
    title: 'temperature 0.7 for 1',
    temperatures: SAMPLED,
    build: ({ real }) => scaledTemperature(engineOf(real), 0.7),
  },
  warmer: {
    title: 'temperature 1.1 for 1',
    temperatures: SAMPLED,
    build: ({ real }) => scaledTemperature(engineOf(real), 1.1),
  },
  wrong_seed: { title: 'wrong seed', temperatures: SAMPLED, build: ({ real }) => otherSeed(engineOf(real)) },
  some_seeds: {
    title: 'wrong seed on 1% of tokens',
    temperatures: SAMPLED,
    build: ({ real }) => someSeeds(real, 0.01),
  },
  replay: { title: 'cached replay', temperatures: SAMPLED, build: ({ real }) => cachedReplay(engineOf(real)) },
  hidden_prompt: {
    title: 'hidden system prompt',
    temperatures: BOTH,
    build: ({ real }) => hiddenPrompt(engineOf(real), SYSTEM),
  },
  cut_prompt: { title: 'last half of the prompt', temperatures: BOTH, build: ({ real }) => cutPrompt(engineOf(real)) },
  early_end: {
    title: `end of text after ${EARLY_TOKENS} tokens`,
    temperatures: BOTH,
    build: ({ real }) => earlyEos(engineOf(real), EARLY_TOKENS),
  },
  drafts: {
    title: `drafts of minnow-1m within ${DRAFT_REACH}`,
    temperatures: BOTH,
    build: ({ real, small }) => draftedBy(real, small, DRAFT_REACH),
  },
  forged: {
    title: 'minnow-1m under evidence prefilled by the real model',
    temperatures: BOTH,
    build: ({ real, small }) => forgedEvidence(engineOf(real), engineOf(small), 'prefill'),
  },
  raised: {
    title: 'the same, claimed tokens raised',
    temperatures: BOTH,
    build: ({ real, small }) => forgedEvidence(engineOf(real), engineOf(small), 'raised'),
  },
  steer_tie: {
    title: `second best within a tie (${STEERED.tie})`,
    temperatures: BOTH,
    build: ({ real }) => steering(real, STEERED.tie),
  },
  steer_far: {
    title: `second best within ${STEERED.far}`,
    temperatures: BOTH,
    build: ({ real }) => steering(real, STEERED.far),
  },
  mixed: {
    title: 'int4 on a quarter of requests',
    temperatures: BOTH,
    build: ({ real, int4 }) => onSomeRequests(engineOf(real), engineOf(int4), MIXED_SHARES.mixed),
  },
  mixed_tenth: {
    title: 'int4 on a tenth of requests',
    temperatures: BOTH,
    build: ({ real, int4 }) => onSomeRequests(engineOf(real), engineOf(int4), MIXED_SHARES.mixed_tenth),
  },
} as const satisfies Record<string, LabCheat>;

export type LabName = keyof typeof LAB;
export const LAB_NAMES = Object.keys(LAB) as LabName[];

/** The cheat by its name. */
export function labCheat(name: LabName): LabCheat {
  return LAB[name];
}

/** The share of its requests that a mixture cheats on; null for all other cheats, which cheat on each. */
export function mixedShare(name: LabName): number | null {
  return (MIXED_SHARES as Partial<Record<LabName, number>>)[name] ?? null;
}
