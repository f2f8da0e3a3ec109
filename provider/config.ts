/** The provider's configuration: defaults, file, environment, flags, in rising order; all problems at once (DESIGN §14). */
import type { Address } from '#protocol/hash';
import { safeParse, zAddress } from '#protocol/schema';
import {
  baseUrl,
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
import { type EngineConfig, engineProblems, LOCAL_ENGINE_SETTINGS, UPSTREAM_SETTINGS } from './config-engine.ts';
import { DEFAULT_LIMITS } from './deps.ts';
import { LOG_LEVELS, type LogLevel } from './log.ts';

export const ENV_PREFIX = 'ASSAY_PROVIDER_';

export interface ProviderConfig extends EngineConfig {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** Folder that is claimed and hashed into the model's digest. */
  readonly modelFolder: string;
  readonly modelId: string;
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
  /**
   * The cheat switch of `npm run demo:cheat`: this folder's model is run while `modelFolder` is claimed. Exactly what the
   * network exists to catch; environment only, never a flag or in a file.
   */
  readonly actualModelFolder: string | null;
}

function address(text: string): Parsed<Address> {
  const parsed = safeParse(zAddress, text.toLowerCase());
  return parsed.success ? { value: parsed.data } : { problem: 'must be addresses (0x and 40 hex digits), by commas' };
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
  ...LOCAL_ENGINE_SETTINGS,
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
  ...UPSTREAM_SETTINGS,
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
  const problems = engineProblems(result.config);
  return problems.length === 0 ? result : { ok: false, problems };
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
