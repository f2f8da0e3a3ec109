/** The command line of a program: flags, switches, words, configuration file. Pure: what it reads is handed in. */
import {
  flagOf,
  parseSettings,
  type RawSettings,
  type Settings,
  type SettingsResult,
  settableNames,
} from './settings.ts';

/** Exit codes of every command. */
export const EXIT_OK = 0;
export const EXIT_FAILED = 1;
export const EXIT_MISUSED = 2;

/** Which flags a command has, without their dashes. */
export interface CommandLineShape {
  /** Flags that take a value: `--port 1` or `--port=1`. */
  readonly valued: readonly string[];
  /** Flags that take none. */
  readonly switches: readonly string[];
  /** Most words beside flags; 0 when absent. */
  readonly wordsMax?: number;
}

export interface CommandLine {
  readonly values: ReadonlyMap<string, string>;
  readonly switches: ReadonlySet<string>;
  readonly words: readonly string[];
  /** What is wrong, one line each. */
  readonly problems: readonly string[];
}

/** Takes an argument list apart; a word after `--` is never a flag. Nothing is guessed: what is unknown is a problem. */
export function parseCommandLine(argv: readonly string[], shape: CommandLineShape): CommandLine {
  const values = new Map<string, string>();
  const switches = new Set<string>();
  const words: string[] = [];
  const problems: string[] = [];
  const end = argv.includes('--') ? argv.indexOf('--') : argv.length;
  for (let at = 0; at < end; at++) {
    const word = argv[at]!;
    if (!word.startsWith('-') || word === '-') {
      words.push(word);
      continue;
    }
    const equals = word.indexOf('=');
    const flag = equals < 0 ? word : word.slice(0, equals);
    const name = flag === '-h' ? 'help' : flag.slice(2);
    const attached = equals < 0 ? null : word.slice(equals + 1);
    if (shape.switches.includes(name)) {
      if (attached === null) switches.add(name);
      else problems.push(`${flag} takes no value`);
    } else if (flag.startsWith('--') && shape.valued.includes(name)) {
      const value = attached ?? (at + 1 < end && !argv[at + 1]!.startsWith('--') ? argv[++at]! : null);
      if (value === null) problems.push(`${flag} needs a value`);
      else if (values.has(name)) problems.push(`${flag} is given twice`);
      else values.set(name, value);
    } else {
      problems.push(`${flag} is not a known flag`);
    }
  }
  words.push(...argv.slice(end + 1));
  for (const word of words.slice(shape.wordsMax ?? 0)) problems.push(`"${word}" is not expected here`);
  return { values, switches, words, problems };
}

/** A program whose configuration comes from flags, environment and a file. */
export interface Program<T> {
  /** As it is called, such as `assay gateway`. */
  readonly name: string;
  readonly usage: string;
  readonly settings: Settings<T>;
  /** Variables that begin with it and that no setting has are mistakes. */
  readonly envPrefix: string;
  /** Beside `help` and `print-config`. */
  readonly switches?: readonly string[];
  /** The effective configuration without secrets. */
  readonly redact: (config: T) => Record<string, unknown>;
}

/** What a program is to do: run, or print something and exit. */
export type Start<T> =
  | { readonly kind: 'run'; readonly config: T; readonly switches: ReadonlySet<string> }
  | { readonly kind: 'exit'; readonly code: number; readonly out: string; readonly err: string };

/** How a program was called. */
export interface Call {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Text of the file of `--config`; may throw. */
  readonly readText: (file: string) => string;
}

/** Lines of a usage text that every configured program has. */
export const CONFIG_USAGE = `  --config <file>                  JSON file with the settings below, in camel case
  --print-config                   print the effective configuration and exit
  --help                           print this text`;

/** Reads flags, file and environment; every problem is reported at once. */
export function startOf<T>(program: Program<T>, { argv, env, readText }: Call): Start<T> {
  const names = new Map(settableNames(program.settings).map((name) => [flagOf(name).slice(2), name]));
  const line = parseCommandLine(argv, {
    valued: ['config', ...names.keys()],
    switches: ['help', 'print-config', ...(program.switches ?? [])],
  });
  if (line.switches.has('help')) return { kind: 'exit', code: EXIT_OK, out: program.usage, err: '' };
  const flags: Record<string, string> = {};
  for (const [flag, name] of names) {
    const value = line.values.get(flag);
    if (value !== undefined) flags[name] = value;
  }
  const file = readConfigFile(line.values.get('config'), readText);
  const result: SettingsResult<T> = file
    ? parseSettings(program.settings, program.envPrefix, { env, flags, file })
    : { ok: false, problems: ['--config cannot be read as a JSON object'] };
  if (!result.ok || line.problems.length > 0) {
    return misused(program.name, [...line.problems, ...(result.ok ? [] : result.problems)]);
  }
  if (!line.switches.has('print-config')) return { kind: 'run', config: result.config, switches: line.switches };
  const out = `${JSON.stringify(program.redact(result.config), null, 2)}\n`;
  return { kind: 'exit', code: EXIT_OK, out, err: '' };
}

/** The refusal of a wrong call, one line a problem. */
export function misused(name: string, problems: readonly string[]): Extract<Start<never>, { kind: 'exit' }> {
  const err = problems.map((problem) => `${name}: ${problem}\n`).join('');
  return { kind: 'exit', code: EXIT_MISUSED, out: '', err };
}

/** The parsed file, an empty object without one, null when it is not a JSON object. */
function readConfigFile(file: string | undefined, readText: Call['readText']): RawSettings | null {
  if (file === undefined) return {};
  try {
    const parsed: unknown = JSON.parse(readText(file));
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? (parsed as RawSettings) : null;
  } catch {
    return null;
  }
}
