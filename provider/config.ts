/** The provider's configuration: defaults, file, environment, flags, in rising order; all problems at once (DESIGN §14). */
import type { Address } from '#protocol/hash';
import { zAddress } from '#protocol/schema';
import {
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
  readonly logLevel: LogLevel;
  /**
   * The cheat switch of `npm run demo:cheat`: this folder's model is run while `modelFolder` is claimed. Exactly what the
   * network exists to catch; environment only, never a flag or in a file.
   */
  readonly actualModelFolder: string | null;
}

function name(text: string): Parsed<string> {
  return /^[a-z0-9_-]{1,32}$/.test(text) ? { value: text } : { problem: 'must be names, by commas' };
}

function address(text: string): Parsed<Address> {
  const parsed = zAddress.safeParse(text.toLowerCase());
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
  logLevel: {
    env: 'ASSAY_PROVIDER_LOG_LEVEL',
    help: LOG_LEVELS.join(', '),
    fallback: 'info',
    parse: oneOf(LOG_LEVELS),
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
  return parseSettings(PROVIDER_SETTINGS, ENV_PREFIX, sources);
}

/** The effective configuration for printing; where the key lies is nobody else's business. */
export function redactedConfig(config: ProviderConfig): Record<string, unknown> {
  return { ...config, keyFile: '[redacted]' };
}
