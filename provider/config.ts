/** The provider's configuration: defaults, file, environment, flags, in rising order; all problems at once (DESIGN §14). */
import type { Address } from '#protocol/hash';
import { safeParse, zAddress } from '#protocol/schema';
import {
  baseUrl,
  flagOf,
  integer,
  listOf,
  oneOf,
  type Parsed,
  parseSettings,
  path,
  type SettingSources,
  type Settings,
  type SettingsResult,
  word,
} from '#protocol/settings';
import { DEFAULT_LIMITS } from './deps.ts';
import { DIALECTS, type DialectName } from './engine/upstream/dialect.ts';
import { LOG_LEVELS, type LogLevel } from './log.ts';

export const ENV_PREFIX = 'ASSAY_PROVIDER_';

export interface ProviderConfig {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** Folder that is claimed and hashed into the model's digest. */
  readonly modelFolder: string;
  readonly modelId: string;
  /** Weights that are loaded, relative to the model folder; the digest always covers `onnx/model.onnx`. */
  readonly weights: string;
  readonly executionProviders: readonly string[];
  /** Threads of one engine; 0 leaves the choice to the engine. */
  readonly threads: number;
  readonly dataFolder: string;
  /** 32 bytes as hex; made with mode 0600 when missing. */
  readonly keyFile: string;
  readonly operator: string;
  readonly region: string;
  readonly role: 'member' | 'referee';
  readonly gatewayAddresses: readonly Address[];
  readonly concurrency: number;
  readonly queue: number;
  readonly drainMs: number;
  readonly logLevel: LogLevel;
  /** File that `assay deploy` wrote; null where there is no chain. All signatures are of its domain. */
  readonly network: string | null;
  /** JSON-RPC of a node of its chain, for `assay stake` and the like. */
  readonly rpcUrl: string | null;
  /** Private key of the account that stakes; null stakes under the signing key. */
  readonly accountKeyFile: string | null;
  /** OTLP/HTTP receiver of traces; null records none. */
  readonly otlpEndpoint: string | null;
  /** Inference server to serve from; null runs the model folder's weights here. */
  readonly upstreamUrl: string | null;
  readonly upstreamDialect: DialectName | null;
  readonly upstreamModel: string | null;
  readonly upstreamApiKey: string | null;
  /** Parts of the numeric class that no server tells: what it computes on, with, and caches in. */
  readonly upstreamDevice: string | null;
  readonly upstreamDtype: string | null;
  readonly upstreamKvDtype: string | null;
  /**
   * The cheat switch of `npm run demo:cheat`: this folder's model is run while `modelFolder` is claimed. Exactly what the
   * network exists to catch; environment only, never a flag or in a file.
   */
  readonly actualModelFolder: string | null;
}

function name(text: string): Parsed<string> {
  return /^[a-z0-9_-]{1,32}$/.test(text) ? { value: text } : { problem: 'must be names, by commas' };
}

/** What a header can carry. */
function secret(text: string): Parsed<string> {
  return /^[!-~]{1,512}$/.test(text) ? { value: text } : { problem: 'must have 1 to 512 printable characters' };
}

function address(text: string): Parsed<Address> {
  const parsed = safeParse(zAddress, text.toLowerCase());
  return parsed.success ? { value: parsed.data } : { problem: 'must be addresses (0x and 40 hex digits), by commas' };
}

/** A path inside the model folder: no way out of it. */
function weightsPath(text: string): Parsed<string> {
  const inside = /^[A-Za-z0-9_.-]+(\/[A-Za-z0-9_.-]+)*$/.test(text) && !text.split('/').includes('..');
  return inside ? { value: text } : { problem: 'must be a path inside the model folder' };
}

export const PROVIDER_SETTINGS: Settings<ProviderConfig> = {
  host: { env: 'ASSAY_PROVIDER_HOST', help: 'address to listen on', fallback: '127.0.0.1', parse: word(255) },
  port: {
    env: 'ASSAY_PROVIDER_PORT',
    help: 'port; 0 lets the system choose',
    fallback: 8181,
    parse: integer(0, 65_535),
  },
  modelFolder: { env: 'ASSAY_PROVIDER_MODEL_FOLDER', help: 'folder of the served model', parse: path },
  modelId: { env: 'ASSAY_PROVIDER_MODEL_ID', help: 'name of the served model', parse: word(256) },
  weights: {
    env: 'ASSAY_PROVIDER_WEIGHTS',
    help: 'weights file in that folder',
    fallback: 'onnx/model.onnx',
    parse: weightsPath,
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
  dataFolder: {
    env: 'ASSAY_PROVIDER_DATA_FOLDER',
    help: 'folder of the job store',
    fallback: './data/provider',
    parse: path,
  },
  keyFile: {
    env: 'ASSAY_PROVIDER_KEY_FILE',
    help: 'private key, made when missing',
    fallback: './data/provider/key',
    parse: path,
  },
  operator: { env: 'ASSAY_PROVIDER_OPERATOR', help: 'who runs this provider', parse: word(128) },
  region: { env: 'ASSAY_PROVIDER_REGION', help: 'where it runs', fallback: 'local', parse: word(64) },
  role: {
    env: 'ASSAY_PROVIDER_ROLE',
    help: 'member or referee',
    fallback: 'member',
    parse: oneOf(['member', 'referee']),
  },
  gatewayAddresses: {
    env: 'ASSAY_PROVIDER_GATEWAY_ADDRESSES',
    help: 'trusted gateways, by commas',
    parse: listOf(address),
  },
  concurrency: {
    env: 'ASSAY_PROVIDER_CONCURRENCY',
    help: 'jobs that run at one time',
    fallback: DEFAULT_LIMITS.runningMax,
    parse: integer(1, 4096),
  },
  queue: {
    env: 'ASSAY_PROVIDER_QUEUE',
    help: 'jobs that wait',
    fallback: DEFAULT_LIMITS.waitingMax,
    parse: integer(0, 4096),
  },
  // Docker kills 10 s after its first signal.
  drainMs: {
    env: 'ASSAY_PROVIDER_DRAIN_MS',
    help: 'for open jobs after a signal, in milliseconds',
    fallback: 8_000,
    parse: integer(0, 3_600_000),
  },
  logLevel: {
    env: 'ASSAY_PROVIDER_LOG_LEVEL',
    help: LOG_LEVELS.join(', '),
    fallback: 'info',
    parse: oneOf(LOG_LEVELS),
  },
  network: {
    env: 'ASSAY_PROVIDER_NETWORK',
    help: 'file of `assay deploy`: the chain that this provider signs for',
    fallback: null,
    shown: 'none',
    parse: path,
  },
  rpcUrl: {
    env: 'ASSAY_PROVIDER_RPC_URL',
    help: 'JSON-RPC of a node of that chain',
    fallback: null,
    shown: 'none',
    parse: baseUrl,
  },
  accountKeyFile: {
    env: 'ASSAY_PROVIDER_ACCOUNT_KEY_FILE',
    help: 'private key of the account that stakes',
    fallback: null,
    shown: 'the signing key',
    parse: path,
  },
  otlpEndpoint: {
    env: 'ASSAY_PROVIDER_OTLP_ENDPOINT',
    help: 'base URL of an OTLP/HTTP receiver for traces',
    fallback: null,
    shown: 'none',
    parse: baseUrl,
  },
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
  actualModelFolder: {
    env: 'ASSAY_PROVIDER_ACTUAL_MODEL_FOLDER',
    help: 'cheat switch of the demo: run this model, claim the other',
    fallback: null,
    parse: path,
    envOnly: true,
  },
};

/** The configuration, or everything that is wrong with it. Pure. */
export function parseProviderConfig(sources: SettingSources): SettingsResult<ProviderConfig> {
  const result = parseSettings(PROVIDER_SETTINGS, ENV_PREFIX, sources);
  if (!result.ok) return result;
  const problems = upstreamProblems(result.config);
  return problems.length === 0 ? result : { ok: false, problems };
}

/** Nobody but the operator knows these, and an upstream without them would claim a class that is not its own. */
const UPSTREAM_NEEDS = [
  'upstreamDialect',
  'upstreamModel',
  'upstreamDevice',
  'upstreamDtype',
  'upstreamKvDtype',
] as const;

function upstreamProblems(config: ProviderConfig): string[] {
  if (config.upstreamUrl === null) {
    const given = [...UPSTREAM_NEEDS, 'upstreamApiKey' as const].filter((key) => config[key] !== null);
    return given.map((key) => `${PROVIDER_SETTINGS[key].env} needs --upstream-url`);
  }
  const missing = UPSTREAM_NEEDS.filter((key) => config[key] === null);
  return missing.map((key) => `${flagOf(key)} (or ${PROVIDER_SETTINGS[key].env}) is required with --upstream-url`);
}

/** The effective configuration for printing; where the key lies is nobody else's business. */
export function redactedConfig(config: ProviderConfig): Record<string, unknown> {
  return {
    ...config,
    keyFile: '[redacted]',
    accountKeyFile: config.accountKeyFile === null ? null : '[redacted]',
    // Often holds an API key.
    rpcUrl: config.rpcUrl === null ? null : '[redacted]',
    upstreamApiKey: config.upstreamApiKey === null ? null : '[redacted]',
  };
}
