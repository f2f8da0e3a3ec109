/** Settings of what runs the model: an engine in this process, or an inference server behind it (DESIGN §14). */
import { baseUrl, flagOf, integer, listOf, oneOf, type Parsed, path, type Settings, word } from '#protocol/settings';
import { ENGINE_KINDS, type EngineKind } from './engine/engine-kinds.ts';
import { GRAPH_OPTIMIZATIONS, type GraphOptimization } from './engine/onnx/runtime.ts';
import { DIALECTS, type DialectName } from './engine/upstream/dialect.ts';

/** Engines in this process. */
export interface LocalEngineConfig {
  readonly engine: EngineKind;
  /** Weights that are loaded, relative to the model folder; the digest always covers `onnx/model.onnx`. */
  readonly weights: string;
  /** What `llama-cpp` loads in place of the weights; null makes it from those, for the embedded model. */
  readonly gguf: string | null;
  readonly executionProviders: readonly string[];
  /** Threads of one engine; 0 leaves the choice to the engine. */
  readonly threads: number;
  readonly graphOptimization: GraphOptimization;
  /** Whether answers share runs of the model, where they can. */
  readonly batching: 'on' | 'off';
  /** Tokens of a prompt that are read in one run; 0 leaves the choice to the engine. */
  readonly prefillTokens: number;
}

/** An inference server. */
export interface UpstreamConfig {
  /** Inference server to serve from; null runs the model folder's weights here. */
  readonly upstreamUrl: string | null;
  readonly upstreamDialect: DialectName | null;
  readonly upstreamModel: string | null;
  readonly upstreamApiKey: string | null;
  /** Parts of the numeric class that no server tells: what it computes on, with, and caches in. */
  readonly upstreamDevice: string | null;
  readonly upstreamDtype: string | null;
  readonly upstreamKvDtype: string | null;
}

export interface EngineConfig extends LocalEngineConfig, UpstreamConfig {}

function name(text: string): Parsed<string> {
  return /^[a-z0-9_-]{1,32}$/.test(text) ? { value: text } : { problem: 'must be names, by commas' };
}

/** What a header can carry. */
function secret(text: string): Parsed<string> {
  return /^[!-~]{1,512}$/.test(text) ? { value: text } : { problem: 'must have 1 to 512 printable characters' };
}

/** A path inside the model folder: no way out of it. */
function weightsPath(text: string): Parsed<string> {
  const inside = /^[A-Za-z0-9_.-]+(\/[A-Za-z0-9_.-]+)*$/.test(text) && !text.split('/').includes('..');
  return inside ? { value: text } : { problem: 'must be a path inside the model folder' };
}

export const LOCAL_ENGINE_SETTINGS: Settings<LocalEngineConfig> = {
  engine: {
    env: 'ASSAY_PROVIDER_ENGINE',
    help: ENGINE_KINDS.join(', '),
    fallback: 'onnxruntime',
    parse: oneOf(ENGINE_KINDS),
  },
  weights: {
    env: 'ASSAY_PROVIDER_WEIGHTS',
    help: 'weights file in that folder',
    fallback: 'onnx/model.onnx',
    parse: weightsPath,
  },
  gguf: {
    env: 'ASSAY_PROVIDER_GGUF',
    help: 'the same model as a GGUF file, for llama-cpp',
    fallback: null,
    shown: 'made in the data folder, for the embedded model',
    parse: path,
  },
  executionProviders: {
    env: 'ASSAY_PROVIDER_EXECUTION_PROVIDERS',
    help: 'of onnxruntime, by commas, best first',
    fallback: ['cpu'],
    parse: listOf(name),
  },
  threads: {
    env: 'ASSAY_PROVIDER_THREADS',
    help: 'threads of the engine; 0 = its own choice',
    fallback: 1,
    parse: integer(0, 1024),
  },
  graphOptimization: {
    env: 'ASSAY_PROVIDER_GRAPH_OPTIMIZATION',
    help: `of the onnxruntimes: ${GRAPH_OPTIMIZATIONS.join(', ')}`,
    fallback: 'all',
    parse: oneOf(GRAPH_OPTIMIZATIONS),
  },
  batching: {
    env: 'ASSAY_PROVIDER_BATCHING',
    help: 'on or off: answers share runs of the onnxruntimes where they can',
    fallback: 'on',
    parse: oneOf(['on', 'off']),
  },
  prefillTokens: {
    env: 'ASSAY_PROVIDER_PREFILL_TOKENS',
    help: 'tokens of a prompt in one run of the onnxruntimes; 0 = their own choice',
    fallback: 0,
    parse: integer(0, 4096),
  },
};

export const UPSTREAM_SETTINGS: Settings<UpstreamConfig> = {
  upstreamUrl: {
    env: 'ASSAY_PROVIDER_UPSTREAM_URL',
    help: 'inference server to serve from, instead of running the weights',
    fallback: null,
    parse: baseUrl,
  },
  upstreamDialect: {
    env: 'ASSAY_PROVIDER_UPSTREAM_DIALECT',
    help: DIALECTS.join(', '),
    fallback: null,
    parse: oneOf(DIALECTS),
  },
  upstreamModel: {
    env: 'ASSAY_PROVIDER_UPSTREAM_MODEL',
    help: 'name that the server knows the model by',
    fallback: null,
    parse: word(128),
  },
  upstreamApiKey: {
    env: 'ASSAY_PROVIDER_UPSTREAM_API_KEY',
    help: 'sent to the server as a bearer token',
    fallback: null,
    parse: secret,
    envOnly: true,
  },
  upstreamDevice: {
    env: 'ASSAY_PROVIDER_UPSTREAM_DEVICE',
    help: 'what the server computes on, such as h200',
    fallback: null,
    parse: name,
  },
  upstreamDtype: {
    env: 'ASSAY_PROVIDER_UPSTREAM_DTYPE',
    help: 'its arithmetic at kernel level, such as fp16',
    fallback: null,
    parse: name,
  },
  upstreamKvDtype: {
    env: 'ASSAY_PROVIDER_UPSTREAM_KV_DTYPE',
    help: 'type of its key-value cache, such as fp16',
    fallback: null,
    parse: name,
  },
};

/** Nobody but the operator knows these, and an upstream without them would claim a class that is not its own. */
const UPSTREAM_NEEDS = [
  'upstreamDialect',
  'upstreamModel',
  'upstreamDevice',
  'upstreamDtype',
  'upstreamKvDtype',
] as const;

/** What each engine has no use for: a setting that does nothing would be believed to do something. */
const UNUSED: Readonly<Record<EngineKind, readonly (keyof LocalEngineConfig)[]>> = {
  onnxruntime: ['gguf'],
  // One thread, until its threads are measured.
  'onnxruntime-wasm': ['gguf', 'executionProviders', 'threads'],
  'llama-cpp': ['weights', 'executionProviders', 'graphOptimization', 'batching', 'prefillTokens'],
};

/** Settings that contradict one another. */
export function engineProblems(config: EngineConfig): string[] {
  return [...upstreamProblems(config), ...localProblems(config)];
}

function upstreamProblems(config: EngineConfig): string[] {
  if (config.upstreamUrl === null) {
    const given = [...UPSTREAM_NEEDS, 'upstreamApiKey' as const].filter((key) => config[key] !== null);
    return given.map((key) => `${UPSTREAM_SETTINGS[key].env} needs --upstream-url`);
  }
  const missing = UPSTREAM_NEEDS.filter((key) => config[key] === null);
  return missing.map((key) => `${flagOf(key)} (or ${UPSTREAM_SETTINGS[key].env}) is required with --upstream-url`);
}

function localProblems(config: EngineConfig): string[] {
  const { engine, upstreamUrl } = config;
  if (upstreamUrl !== null && engine !== 'onnxruntime') return ['--engine and --upstream-url exclude each other'];
  const given = UNUSED[engine].filter((key) => String(config[key]) !== String(LOCAL_ENGINE_SETTINGS[key].fallback));
  return given.map((key) => `${flagOf(key)} (or ${LOCAL_ENGINE_SETTINGS[key].env}) is not for --engine ${engine}`);
}
