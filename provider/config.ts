/** The provider's configuration: defaults, file, environment, flags, in rising order; all problems at once (DESIGN §14). */
import type { Address } from '#protocol/hash';
import { zAddress } from '#protocol/schema';
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

/** Text values by setting name, as flags and files give them. */
export type RawSettings = Readonly<Record<string, unknown>>;

export type ConfigResult =
  | { readonly ok: true; readonly config: ProviderConfig }
  | { readonly ok: false; readonly problems: readonly string[] };

type Parsed<T> = { readonly value: T } | { readonly problem: string };

interface Setting<T> {
  /** Without the prefix; the flag is the same in kebab case, the file's member in camel case. */
  readonly env: string;
  readonly help: string;
  /** Absent: the setting must be given. */
  readonly fallback?: T;
  readonly parse: (text: string) => Parsed<T>;
  readonly envOnly?: true;
}

const word =
  (max: number) =>
  (text: string): Parsed<string> =>
    text.length > 0 && text.length <= max ? { value: text } : { problem: `must have 1 to ${max} characters` };

const integer =
  (min: number, max: number) =>
  (text: string): Parsed<number> => {
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    return value >= min && value <= max ? { value } : { problem: `must be an integer from ${min} to ${max}` };
  };

const oneOf =
  <T extends string>(values: readonly T[]) =>
  (text: string): Parsed<T> => {
    const value = values.find((candidate) => candidate === text);
    return value === undefined ? { problem: `must be one of ${values.join(', ')}` } : { value };
  };

const items = (text: string): string[] => text.split(',').map((item) => item.trim());

function names(text: string): Parsed<readonly string[]> {
  const list = items(text);
  return list.every((name) => /^[a-z0-9_-]{1,32}$/.test(name))
    ? { value: list }
    : { problem: 'must be names, by commas' };
}

function addresses(text: string): Parsed<readonly Address[]> {
  const list = items(text).map((item) => zAddress.safeParse(item.toLowerCase()));
  return list.every((item) => item.success)
    ? { value: list.map((item) => item.data) }
    : { problem: 'must be addresses (0x and 40 hex digits), by commas' };
}

/** A path inside the model folder: no way out of it. */
function weightsPath(text: string): Parsed<string> {
  const inside = /^[A-Za-z0-9_.-]+(\/[A-Za-z0-9_.-]+)*$/.test(text) && !text.split('/').includes('..');
  return inside ? { value: text } : { problem: 'must be a path inside the model folder' };
}

const optionalPath = (text: string): Parsed<string | null> => word(4096)(text);

type Settings = { readonly [K in keyof ProviderConfig]: Setting<ProviderConfig[K]> };

const path = word(4096);

const SETTINGS: Settings = {
  host: { env: 'HOST', help: 'address to listen on', fallback: '127.0.0.1', parse: word(255) },
  port: { env: 'PORT', help: 'port; 0 lets the system choose', fallback: 8181, parse: integer(0, 65_535) },
  modelFolder: { env: 'MODEL_FOLDER', help: 'folder of the served model', parse: path },
  modelId: { env: 'MODEL_ID', help: 'name of the served model', parse: word(256) },
  weights: { env: 'WEIGHTS', help: 'weights file in that folder', fallback: 'onnx/model.onnx', parse: weightsPath },
  executionProviders: {
    env: 'EXECUTION_PROVIDERS',
    help: 'of onnxruntime, by commas, best first',
    fallback: ['cpu'],
    parse: names,
  },
  threads: { env: 'THREADS', help: 'threads of the engine; 0 = its own choice', fallback: 1, parse: integer(0, 1024) },
  dataFolder: { env: 'DATA_FOLDER', help: 'folder of the job store', fallback: './data/provider', parse: path },
  keyFile: { env: 'KEY_FILE', help: 'private key, made when missing', fallback: './data/provider/key', parse: path },
  operator: { env: 'OPERATOR', help: 'who runs this provider', parse: word(128) },
  region: { env: 'REGION', help: 'where it runs', fallback: 'local', parse: word(64) },
  role: { env: 'ROLE', help: 'member or referee', fallback: 'member', parse: oneOf(['member', 'referee']) },
  gatewayAddresses: { env: 'GATEWAY_ADDRESSES', help: 'trusted gateways, by commas', parse: addresses },
  concurrency: {
    env: 'CONCURRENCY',
    help: 'jobs that run at one time',
    fallback: DEFAULT_LIMITS.runningMax,
    parse: integer(1, 4096),
  },
  queue: { env: 'QUEUE', help: 'jobs that wait', fallback: DEFAULT_LIMITS.waitingMax, parse: integer(0, 4096) },
  logLevel: { env: 'LOG_LEVEL', help: LOG_LEVELS.join(', '), fallback: 'info', parse: oneOf(LOG_LEVELS) },
  actualModelFolder: {
    env: 'ACTUAL_MODEL_FOLDER',
    help: 'cheat switch of the demo: run this model, claim the other',
    fallback: null,
    parse: optionalPath,
    envOnly: true,
  },
};

const KEYS = Object.keys(SETTINGS) as (keyof ProviderConfig)[];

/** Settings that flags and files may give. */
export const SETTING_NAMES: readonly (keyof ProviderConfig)[] = KEYS.filter((key) => !SETTINGS[key].envOnly);

/** The flag of a setting, such as `--model-folder`. */
export const flagOf = (key: string): string => `--${key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** Lines for the usage text, one a setting. */
export function settingsHelp(): string {
  return SETTING_NAMES.map((key) => {
    const { env, help, fallback } = SETTINGS[key];
    const note = fallback === undefined ? 'required' : `default ${String(fallback)}`;
    return `  ${`${flagOf(key)} <value>`.padEnd(32)} ${help} (${note}; ${ENV_PREFIX}${env})`;
  }).join('\n');
}

/**
 * The configuration, or everything that is wrong with it. Pure.
 * @param sources.flags by setting name (camel case)
 * @param sources.file the parsed JSON file, or an empty object
 */
export function parseProviderConfig(sources: {
  env: Readonly<Record<string, string | undefined>>;
  flags: RawSettings;
  file: RawSettings;
}): ConfigResult {
  const { env, flags, file } = sources;
  const problems: string[] = [];
  const known = new Set(KEYS.map((key) => ENV_PREFIX + SETTINGS[key].env));
  for (const name of Object.keys(env)) {
    if (name.startsWith(ENV_PREFIX) && !known.has(name)) problems.push(`${name} is not a known variable`);
  }
  const settable = (key: string) => SETTING_NAMES.some((name) => name === key);
  for (const key of Object.keys(flags)) if (!settable(key)) problems.push(`${flagOf(key)} is not a known flag`);
  for (const key of Object.keys(file)) if (!settable(key)) problems.push(`"${key}" is not a known member of the file`);
  const config: Partial<Record<keyof ProviderConfig, unknown>> = {};
  for (const key of KEYS) {
    const { env: envName, fallback, parse, envOnly } = SETTINGS[key];
    const name = ENV_PREFIX + envName;
    const found = envOnly
      ? [[name, env[name]] as const]
      : [[flagOf(key), flags[key]] as const, [name, env[name]] as const, [`"${key}" in the file`, file[key]] as const];
    const given = found.find(([, value]) => value !== undefined);
    if (given === undefined) {
      if (fallback === undefined) problems.push(`${flagOf(key)} (or ${name}) is required`);
      config[key] = fallback;
      continue;
    }
    const parsed = parse(textOf(given[1]));
    if ('problem' in parsed) problems.push(`${given[0]} ${parsed.problem}`);
    else config[key] = parsed.value;
  }
  return problems.length > 0 ? { ok: false, problems } : { ok: true, config: config as unknown as ProviderConfig };
}

/** Numbers and lists of a JSON file, in the form that variables have. */
function textOf(value: unknown): string {
  if (Array.isArray(value)) return value.map(String).join(',');
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

/** The effective configuration for printing; where the key lies is nobody else's business. */
export function redactedConfig(config: ProviderConfig): Record<string, unknown> {
  return { ...config, keyFile: '[redacted]' };
}
