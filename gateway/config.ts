/** The gateway's configuration (DESIGN §14). Pure. */

import type { Address } from '#protocol/hash';
import { type Policy, policyOfText, policyText } from '#protocol/policy';
import {
  baseUrl,
  integer,
  listOf,
  nano,
  oneOf,
  type Parsed,
  parseSettings,
  path,
  type SettingSources,
  type Settings,
  type SettingsResult,
  word,
} from '#protocol/settings';
import { AUDIT_SETTINGS, type AuditConfig, auditProblems } from './config-audits.ts';
import { address, CHAIN_SETTINGS, type ChainConfig, chainProblems } from './config-chain.ts';
import { KEY_RATES_DEFAULT } from './limits/key-limiter.ts';
import { RATE_MAX } from './limits/token-bucket.ts';
import { LOG_LEVELS, type LogLevel } from './log.ts';

export const ENV_PREFIX = 'ASSAY_GATEWAY_';

export interface GatewayConfig extends AuditConfig, ChainConfig {
  readonly host: string;
  readonly port: number;
  readonly dataFolder: string;
  /** 32 bytes as hex; made with mode 0600 when missing. */
  readonly keyFile: string;
  /** Base URLs of member providers, and of the referee. */
  readonly providers: readonly string[];
  readonly referee: string;
  /** Folders with tokenizer and template of the served models; the folder's name is the model's. */
  readonly modelFolders: readonly string[];
  readonly inputNanoPerMtok: bigint;
  readonly outputNanoPerMtok: bigint;
  readonly defaultPolicy: Policy;
  readonly logOrigin: string;
  readonly reserveNano: bigint;
  readonly stakeNano: bigint;
  readonly clientNano: bigint;
  readonly appealMs: number;
  readonly retentionMs: number;
  readonly roundTimeoutMs: number;
  readonly sealLeastMs: number;
  readonly extraSeatsMax: number;
  readonly scorerTrialPpm: number;
  readonly jobTimeoutMs: number;
  readonly requestTimeoutMs: number;
  /** Of API keys whose row names no limits of their own. */
  readonly keyRequestsPerMinute: number;
  readonly keyTokensPerMinute: number;
  readonly keyConcurrentRequests: number;
  readonly drainMs: number;
  readonly logLevel: LogLevel;
  /** A key to accept besides those in the database; from the environment only. */
  readonly apiKey: string | null;
  /** The operator's key, from the environment, or the file that holds it; without either there is no admin API. */
  readonly adminKey: string | null;
  readonly adminKeyFile: string | null;
  /** Providers that are admitted as soon as they apply, by address; all others wait for an operator. */
  readonly allowedProviders: readonly Address[];
  /** OTLP/HTTP receiver of traces; null records none. */
  readonly otlpEndpoint: string | null;
}

const DAY_MS = 24 * 3600 * 1000;

function policy(text: string): Parsed<Policy> {
  try {
    return { value: policyOfText(text) };
  } catch {
    return { problem: 'must be a policy such as "quorum; n=3"' };
  }
}

function apiKey(text: string): Parsed<string | null> {
  return /^[\x21-\x7e]{8,512}$/.test(text)
    ? { value: text }
    : { problem: 'must have 8 to 512 visible ASCII characters' };
}

/** A key that opens everything has no business being short: 32 characters of base64url are 192 bits. */
export function adminKey(text: string): Parsed<string | null> {
  return /^[\x21-\x7e]{32,512}$/.test(text)
    ? { value: text }
    : { problem: 'must have 32 to 512 visible ASCII characters' };
}

const SETTINGS: Settings<GatewayConfig> = {
  host: { env: 'ASSAY_GATEWAY_HOST', help: 'address to listen on', fallback: '127.0.0.1', parse: word(255) },
  port: {
    env: 'ASSAY_GATEWAY_PORT',
    help: 'port; 0 lets the system choose',
    fallback: 8080,
    parse: integer(0, 65_535),
  },
  dataFolder: {
    env: 'ASSAY_GATEWAY_DATA_FOLDER',
    help: 'folder of the database',
    fallback: './data/gateway',
    parse: path,
  },
  keyFile: {
    env: 'ASSAY_GATEWAY_KEY_FILE',
    help: 'private key, made when missing',
    fallback: './data/gateway/key',
    parse: path,
  },
  providers: { env: 'ASSAY_GATEWAY_PROVIDERS', help: 'base URLs of providers, by commas', parse: listOf(baseUrl) },
  referee: { env: 'ASSAY_GATEWAY_REFEREE', help: 'base URL of the referee', parse: baseUrl },
  modelFolders: {
    env: 'ASSAY_GATEWAY_MODEL_FOLDERS',
    help: 'folders of served models, by commas',
    parse: listOf(path),
  },
  // Nano-units of the settlement token for a million tokens: 0.05 and 0.20, what small open models cost.
  inputNanoPerMtok: {
    env: 'ASSAY_GATEWAY_INPUT_NANO_PER_MTOK',
    help: 'price of a million prompt tokens',
    fallback: 50_000_000n,
    parse: nano,
  },
  outputNanoPerMtok: {
    env: 'ASSAY_GATEWAY_OUTPUT_NANO_PER_MTOK',
    help: 'price of a million output tokens',
    fallback: 200_000_000n,
    parse: nano,
  },
  defaultPolicy: {
    env: 'ASSAY_GATEWAY_DEFAULT_POLICY',
    help: 'of requests that name none',
    fallback: policyOfText('quorum; n=3'),
    shown: 'quorum; n=3',
    parse: policy,
  },
  logOrigin: {
    env: 'ASSAY_GATEWAY_LOG_ORIGIN',
    help: 'name of the log',
    fallback: 'assay.local/log',
    parse: word(200),
  },
  // 1,000 units: covers 10,000 concurrent worst cases of a 1,000-token quorum of 3 at the default prices.
  reserveNano: {
    env: 'ASSAY_GATEWAY_RESERVE_NANO',
    help: 'first deposit of the reserve',
    fallback: 10n ** 12n,
    parse: nano,
  },
  stakeNano: {
    env: 'ASSAY_GATEWAY_STAKE_NANO',
    help: 'first stake of each provider',
    fallback: 10n ** 11n,
    parse: nano,
  },
  clientNano: {
    env: 'ASSAY_GATEWAY_CLIENT_NANO',
    help: 'first funds of the given key',
    fallback: 10n ** 11n,
    parse: nano,
  },
  appealMs: {
    env: 'ASSAY_GATEWAY_APPEAL_MS',
    help: 'from a ruling until its money moves',
    fallback: DAY_MS,
    parse: integer(0, 90 * DAY_MS),
  },
  retentionMs: {
    env: 'ASSAY_GATEWAY_RETENTION_MS',
    help: 'how long statements and evidence are kept',
    fallback: 7 * DAY_MS,
    parse: integer(60_000, 90 * DAY_MS),
  },
  roundTimeoutMs: {
    env: 'ASSAY_GATEWAY_ROUND_TIMEOUT_MS',
    help: 'for one sealed chunk or its opening',
    fallback: 60_000,
    parse: integer(100, 3_600_000),
  },
  // A machine that is busy with something else for 10 s is no cheat, whatever the others of its class need.
  sealLeastMs: {
    env: 'ASSAY_GATEWAY_SEAL_LEAST_MS',
    help: 'least time for one sealed chunk, however fast its class',
    fallback: 10_000,
    parse: integer(100, 3_600_000),
  },
  extraSeatsMax: {
    env: 'ASSAY_GATEWAY_EXTRA_SEATS_MAX',
    help: 'members beyond the seats of a quorum, paid by the reserve',
    fallback: 0,
    parse: integer(0, 8),
  },
  // 1% of answers: two or four scores of a third of a generation's price each, so at most 0.5% of what a quorum of 3 costs.
  scorerTrialPpm: {
    env: 'ASSAY_GATEWAY_SCORER_TRIAL_PPM',
    help: 'answers in a million after which a scorer is tried, paid by the reserve',
    fallback: 10_000,
    parse: integer(0, 1_000_000),
  },
  jobTimeoutMs: {
    env: 'ASSAY_GATEWAY_JOB_TIMEOUT_MS',
    help: 'for a whole job',
    fallback: 480_000,
    parse: integer(1000, 86_400_000),
  },
  // OpenAI's SDKs give up after 10 minutes; a fifth of it is left for scorers when all members use up theirs.
  requestTimeoutMs: {
    env: 'ASSAY_GATEWAY_REQUEST_TIMEOUT_MS',
    help: 'for a whole request',
    fallback: 600_000,
    parse: integer(1000, 86_400_000),
  },
  keyRequestsPerMinute: {
    env: 'ASSAY_GATEWAY_KEY_REQUESTS_PER_MINUTE',
    help: 'of an API key that has no limit of its own',
    fallback: KEY_RATES_DEFAULT.requestsPerMinute,
    parse: integer(0, RATE_MAX),
  },
  keyTokensPerMinute: {
    env: 'ASSAY_GATEWAY_KEY_TOKENS_PER_MINUTE',
    help: 'prompt and output together, of such a key',
    fallback: KEY_RATES_DEFAULT.tokensPerMinute,
    parse: integer(0, RATE_MAX),
  },
  keyConcurrentRequests: {
    env: 'ASSAY_GATEWAY_KEY_CONCURRENT_REQUESTS',
    help: 'requests at once, of such a key',
    fallback: KEY_RATES_DEFAULT.concurrentRequests,
    parse: integer(0, 1_000_000),
  },
  // Docker kills 10 s after its first signal; what is left is for telling clients and closing the database.
  drainMs: {
    env: 'ASSAY_GATEWAY_DRAIN_MS',
    help: 'for running requests after a signal',
    fallback: 8_000,
    parse: integer(0, 3_600_000),
  },
  logLevel: { env: 'ASSAY_GATEWAY_LOG_LEVEL', help: LOG_LEVELS.join(', '), fallback: 'info', parse: oneOf(LOG_LEVELS) },
  apiKey: { env: 'ASSAY_GATEWAY_API_KEY', help: 'preset API key', fallback: null, parse: apiKey, envOnly: true },
  adminKey: {
    env: 'ASSAY_GATEWAY_ADMIN_KEY',
    help: 'key of the admin API',
    fallback: null,
    parse: adminKey,
    envOnly: true,
  },
  adminKeyFile: {
    env: 'ASSAY_GATEWAY_ADMIN_KEY_FILE',
    help: 'file that holds the key of the admin API; no such API without one',
    fallback: null,
    shown: 'none',
    parse: path,
  },
  allowedProviders: {
    env: 'ASSAY_GATEWAY_ALLOWED_PROVIDERS',
    help: 'addresses admitted as soon as they apply, by commas',
    fallback: [],
    shown: 'none',
    parse: listOf(address),
  },
  otlpEndpoint: {
    env: 'ASSAY_GATEWAY_OTLP_ENDPOINT',
    help: 'base URL of an OTLP/HTTP receiver for traces',
    fallback: null,
    shown: 'none',
    parse: baseUrl,
  },
  ...AUDIT_SETTINGS,
  ...CHAIN_SETTINGS,
};

export const GATEWAY_SETTINGS = SETTINGS;

export function parseGatewayConfig(sources: SettingSources): SettingsResult<GatewayConfig> {
  const parsed = parseSettings(SETTINGS, ENV_PREFIX, sources);
  const problems = parsed.ok ? [...chainProblems(parsed.config), ...auditProblems(parsed.config)] : [];
  return problems.length > 0 ? { ok: false, problems } : parsed;
}

/** The effective configuration for printing: no key, and not where it lies. */
export function redactedConfig(config: GatewayConfig): Record<string, unknown> {
  const plain = Object.entries(config).map(([name, value]) => [
    name,
    typeof value === 'bigint' ? value.toString() : value,
  ]);
  return {
    ...Object.fromEntries(plain),
    keyFile: '[redacted]',
    apiKey: config.apiKey === null ? null : '[redacted]',
    adminKey: config.adminKey === null ? null : '[redacted]',
    adminKeyFile: config.adminKeyFile === null ? null : '[redacted]',
    accountKeyFile: config.accountKeyFile === null ? null : '[redacted]',
    // Often holds an API key.
    rpcUrl: config.rpcUrl === null ? null : '[redacted]',
    defaultPolicy: policyText(config.defaultPolicy),
  };
}
