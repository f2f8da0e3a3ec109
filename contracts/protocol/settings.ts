/** Configuration of a program: defaults, file, environment, flags, in rising order; all problems at once. Pure. */

/** Text values by setting name, as flags and files give them. */
export type RawSettings = Readonly<Record<string, unknown>>;

export type Parsed<T> = { readonly value: T } | { readonly problem: string };

/** One setting of a configuration. */
export interface Setting<T> {
  /** Name of the variable, prefix included; the flag is the member in kebab case, the file has it in camel case. */
  readonly env: string;
  readonly help: string;
  /** Absent: the setting must be given. */
  readonly fallback?: T;
  readonly parse: (text: string) => Parsed<T>;
  /** The fallback in a usage text, where it is not a plain value. */
  readonly shown?: string;
  /** Secrets and test switches: neither flags nor files may give them. */
  readonly envOnly?: true;
}

export type Settings<T> = { readonly [K in keyof T & string]: Setting<T[K]> };

export type SettingsResult<T> =
  | { readonly ok: true; readonly config: T }
  | { readonly ok: false; readonly problems: readonly string[] };

/** Where values come from; `flags` and `file` are by setting name in camel case. */
export interface SettingSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly flags: RawSettings;
  readonly file: RawSettings;
}

export const word =
  (max: number) =>
  (text: string): Parsed<string> =>
    text.length > 0 && text.length <= max ? { value: text } : { problem: `must have 1 to ${max} characters` };

export const path = word(4096);

export const integer =
  (min: number, max: number) =>
  (text: string): Parsed<number> => {
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
    return value >= min && value <= max ? { value } : { problem: `must be an integer from ${min} to ${max}` };
  };

/** Money in nano-units, 0 to 2^62. */
export const nano = (text: string): Parsed<bigint> =>
  /^\d{1,18}$/.test(text) ? { value: BigInt(text) } : { problem: 'must be an amount in nano-units' };

export const oneOf =
  <T extends string>(values: readonly T[]) =>
  (text: string): Parsed<T> => {
    const value = values.find((candidate) => candidate === text);
    return value === undefined ? { problem: `must be one of ${values.join(', ')}` } : { value };
  };

/** Items by commas, each parsed by `item`. */
export const listOf =
  <T>(item: (text: string) => Parsed<T>) =>
  (text: string): Parsed<readonly T[]> => {
    const values: T[] = [];
    for (const part of text.split(',').map((piece) => piece.trim())) {
      const parsed = item(part);
      if ('problem' in parsed) return parsed;
      values.push(parsed.value);
    }
    return { value: values };
  };

/**
 * http:// or https:// without credentials, query, fragment or trailing slash, and only where whoever reads it reads the same:
 * no host in another notation (`http://2130706433`), no dot segments, no port beyond 65535 (WHATWG URL, "URL writing").
 */
export function baseUrl(text: string): Parsed<string> {
  return /^https?:\/\/[A-Za-z0-9][A-Za-z0-9.-]*(:\d{1,5})?(\/[A-Za-z0-9._~-]+)*$/.test(text) && isReadAsWritten(text)
    ? { value: text }
    : { problem: 'must be a base URL such as http://127.0.0.1:8181' };
}

function isReadAsWritten(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { host, pathname } = new URL(text);
  const [, written, path] = /^https?:\/\/([^/]+)(.*)$/.exec(text)!;
  // The port that a scheme has anyway may be written.
  const isHost = [host, `${host}:80`, `${host}:443`].includes(written!.toLowerCase());
  return isHost && pathname === (path === '' ? '/' : path);
}

function namesOf<T>(settings: Settings<T>): (keyof T & string)[] {
  return Object.keys(settings) as (keyof T & string)[];
}

/** Settings that flags and files may give. */
export function settableNames<T>(settings: Settings<T>): string[] {
  return namesOf(settings).filter((name) => !settings[name].envOnly);
}

/** The flag of a setting, such as `--model-folder`. */
export function flagOf(name: string): string {
  return `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** Lines for a usage text, one a setting. */
export function settingsHelp<T>(settings: Settings<T>): string {
  return namesOf(settings)
    .filter((name) => !settings[name].envOnly)
    .map((name) => {
      const { env, help, fallback, shown } = settings[name];
      const note = fallback === undefined ? 'required' : `default ${shown ?? String(fallback)}`;
      return `  ${`${flagOf(name)} <value>`.padEnd(32)} ${help} (${note}; ${env})`;
    })
    .join('\n');
}

/**
 * The configuration, or everything that is wrong with it.
 * @param prefix variables that begin with it and that no setting has are mistakes
 */
export function parseSettings<T>(settings: Settings<T>, prefix: string, sources: SettingSources): SettingsResult<T> {
  const problems = unknownNames(settings, prefix, sources);
  const config: Partial<Record<string, unknown>> = {};
  for (const name of namesOf(settings)) {
    const { fallback, parse } = settings[name];
    const given = givenValue(settings[name], name, sources);
    if (given === null) {
      if (fallback === undefined) problems.push(`${flagOf(name)} (or ${settings[name].env}) is required`);
      config[name] = fallback;
      continue;
    }
    const parsed = parse(textOf(given.value));
    if ('problem' in parsed) problems.push(`${given.source} ${parsed.problem}`);
    else config[name] = parsed.value;
  }
  return problems.length > 0 ? { ok: false, problems } : { ok: true, config: config as T };
}

function unknownNames<T>(settings: Settings<T>, prefix: string, { env, flags, file }: SettingSources): string[] {
  const variables = new Set(namesOf(settings).map((name) => settings[name].env));
  const settable = new Set(settableNames(settings));
  return [
    ...Object.keys(env)
      .filter((name) => name.startsWith(prefix) && !variables.has(name))
      .map((name) => `${name} is not a known variable`),
    ...Object.keys(flags)
      .filter((name) => !settable.has(name))
      .map((name) => `${flagOf(name)} is not a known flag`),
    ...Object.keys(file)
      .filter((name) => !settable.has(name))
      .map((name) => `"${name}" is not a known member of the file`),
  ];
}

function givenValue<T>(
  setting: Setting<T>,
  name: string,
  { env, flags, file }: SettingSources,
): { source: string; value: unknown } | null {
  const places = setting.envOnly
    ? [{ source: setting.env, value: env[setting.env] }]
    : [
        { source: flagOf(name), value: flags[name] },
        { source: setting.env, value: env[setting.env] },
        { source: `"${name}" in the file`, value: file[name] },
      ];
  return places.find(({ value }) => value !== undefined) ?? null;
}

/** Numbers and lists of a JSON file, in the form that variables have. */
function textOf(value: unknown): string {
  if (Array.isArray(value)) return value.map(String).join(',');
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}
