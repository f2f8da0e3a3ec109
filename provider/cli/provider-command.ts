/** `assay provider init|join|doctor|status|disputes|answer`. */
import { EXIT_FAILED, EXIT_MISUSED, EXIT_OK, parseCommandLine } from '#protocol/command-line';
import { baseUrl } from '#protocol/settings';
import { type Affair, answer, disputes, join, status } from './account.ts';
import { CONFIG_FILE, CommandError, type CommandIo, readConfig } from './command-io.ts';
import { examine } from './doctor.ts';
import { INIT_FLAGS, initProvider } from './init.ts';

export const PROVIDER_COMMANDS = ['init', 'join', 'doctor', 'status', 'disputes', 'answer'] as const;
export type ProviderCommand = (typeof PROVIDER_COMMANDS)[number];

const USAGE = `assay provider init      makes a key and a configuration
assay provider doctor    checks everything that a provider needs
assay provider join      asks a gateway to admit this provider: --gateway, --url
assay provider status    what it is owed: --gateway [--since <ISO date>]
assay provider disputes  what it is accused of: --gateway [<dispute id>]
assay provider answer    opens evidence that is still asked for: --gateway <dispute id>
assay stake, unstake, claim, watch    its money on a chain; each has its own --help

  --config <file>          configuration (default ${CONFIG_FILE})
  --gateway <url>          base URL of the gateway
  --url <url>              where the gateway reaches this provider
  --help                   print this text
init takes ${[...INIT_FLAGS.keys()].map((flag) => `--${flag}`).join(', ')} too.
Exit codes: 0 done (doctor: nothing failed), 1 failed, 2 used wrongly.`;

interface Parsed {
  readonly configFile: string;
  readonly gateway: string | null;
  readonly url: string | null;
  readonly sinceMs: number;
  readonly word: string | null;
  readonly settings: Readonly<Record<string, string>>;
}

/** @returns the exit code */
export async function runProviderCommand(
  command: ProviderCommand,
  argv: readonly string[],
  io: CommandIo,
  nodeVersion: string,
): Promise<number> {
  const initFlags = command === 'init' ? [...INIT_FLAGS.keys()] : [];
  const line = parseCommandLine(argv, {
    valued: ['config', 'gateway', 'url', 'since', ...initFlags],
    switches: ['help'],
    wordsMax: command === 'disputes' || command === 'answer' ? 1 : 0,
  });
  if (line.switches.has('help')) {
    io.print(USAGE);
    return EXIT_OK;
  }
  const { parsed, problems } = read(command, line.values, line.words);
  if (line.problems.length + problems.length > 0) {
    for (const problem of [...line.problems, ...problems]) io.fail(`assay provider ${command}: ${problem}`);
    return EXIT_MISUSED;
  }
  try {
    return await run(command, parsed, io, nodeVersion);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    io.fail(`assay provider ${command}: ${error.message}`);
    return EXIT_FAILED;
  }
}

function read(
  command: ProviderCommand,
  values: ReadonlyMap<string, string>,
  words: readonly string[],
): { parsed: Parsed; problems: string[] } {
  const problems: string[] = [];
  const urlOf = (flag: string): string | null => {
    const text = values.get(flag) ?? null;
    if (text !== null && 'problem' in baseUrl(text)) problems.push(`--${flag} must be a base URL`);
    return text;
  };
  const parsed: Parsed = {
    configFile: values.get('config') ?? CONFIG_FILE,
    gateway: urlOf('gateway'),
    url: urlOf('url'),
    sinceMs: values.has('since') ? Date.parse(values.get('since')!) : 0,
    word: words[0] ?? null,
    settings: Object.fromEntries(
      [...INIT_FLAGS].flatMap(([flag, name]) => (values.has(flag) ? [[name, values.get(flag)!]] : [])),
    ),
  };
  if (!Number.isSafeInteger(parsed.sinceMs) || parsed.sinceMs < 0) problems.push('--since must be a date');
  if (command !== 'init' && command !== 'doctor' && parsed.gateway === null) problems.push('needs --gateway');
  if (command === 'join' && parsed.url === null) problems.push('needs --url');
  if (command === 'answer' && parsed.word === null) problems.push('needs the id of a dispute');
  return { parsed, problems };
}

async function run(command: ProviderCommand, parsed: Parsed, io: CommandIo, nodeVersion: string): Promise<number> {
  const { configFile, gateway, url, sinceMs, word } = parsed;
  if (command === 'init') {
    await initProvider(parsed, io);
    return EXIT_OK;
  }
  const config = readConfig(configFile, io.env);
  if (command === 'doctor') {
    const findings = await examine({ config, gateway, url, nodeVersion }, io);
    for (const { state, name, text } of findings) io.print(`${state.padEnd(5)}${name.padEnd(20)} ${text}`);
    return findings.some(({ state }) => state === 'fail') ? EXIT_FAILED : EXIT_OK;
  }
  const affair: Affair = { config, gateway: gateway! };
  if (command === 'join') await join(affair, url!, io);
  else if (command === 'status') await status(affair, sinceMs, io);
  else if (command === 'disputes') await disputes(affair, word, io);
  else await answer(affair, word!, io);
  return EXIT_OK;
}
