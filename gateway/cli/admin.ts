/** `assay admin`: the admin API from a terminal; prints the reply as JSON. */
import { readFileSync } from 'node:fs';
import { EXIT_FAILED, EXIT_MISUSED, EXIT_OK, parseCommandLine } from '#protocol/command-line';
import { baseUrl } from '#protocol/settings';
import { hashApiKey, newApiKey } from '../keys.ts';
import { ADMIN_COMMANDS, type AdminCall } from './admin-commands.ts';
import { type CliIo, reasonOf } from './cli-io.ts';

const URL_DEFAULT = 'http://127.0.0.1:8080';

const USAGE = `assay admin <command> [options]

Operates a running gateway through its admin API.

${Object.entries(ADMIN_COMMANDS)
  .map(([name, { words, help }]) => `  ${[name, ...words].join(' ').padEnd(32)} ${help}`)
  .join('\n')}

  --url <url>              base URL of the gateway (default ${URL_DEFAULT}; ASSAY_ADMIN_URL)
  --admin-key-file <file>  file with the admin key (or the key itself in ASSAY_ADMIN_KEY)
  --force                  with signing-keys activate
  --help                   print this text
Further options: ${[...new Set(Object.values(ADMIN_COMMANDS).flatMap(({ flags }) => flags))].map((flag) => `--${flag}`).join(', ')}`;

export interface AdminIo extends CliIo {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
}

/** @returns the exit code */
export async function runAdmin(argv: readonly string[], io: AdminIo): Promise<number> {
  const valued = ['url', 'admin-key-file', ...new Set(Object.values(ADMIN_COMMANDS).flatMap(({ flags }) => flags))];
  const line = parseCommandLine(argv, { valued, switches: ['help', 'force'], wordsMax: 3 });
  if (line.switches.has('help')) {
    io.print(USAGE);
    return EXIT_OK;
  }
  const problems = [...line.problems];
  const found = commandOf(line.words);
  if (found === null) problems.push(`${JSON.stringify(line.words.join(' ').slice(0, 64))} is not a known command`);
  else problems.push(...problemsOf(found, line.values));
  const url = line.values.get('url') ?? io.env.ASSAY_ADMIN_URL ?? URL_DEFAULT;
  if ('problem' in baseUrl(url)) problems.push('--url must be a base URL');
  if (found === null || problems.length > 0) {
    for (const problem of problems) io.fail(`assay admin: ${problem}`);
    return EXIT_MISUSED;
  }
  try {
    const key = readKey(line.values.get('admin-key-file'), io.env.ASSAY_ADMIN_KEY);
    const call = found.command.call(found.words, line.values, line.switches.has('force'));
    return found.name === 'keys create' ? await createKey(call, { url, key }, io) : await send(call, { url, key }, io);
  } catch (error) {
    io.fail(`assay admin: ${reasonOf(error)}`);
    return EXIT_FAILED;
  }
}

type Found = {
  readonly name: string;
  readonly command: (typeof ADMIN_COMMANDS)[string];
  readonly words: readonly string[];
};

function commandOf(words: readonly string[]): Found | null {
  for (const length of [2, 1]) {
    const name = words.slice(0, length).join(' ');
    const command = Object.hasOwn(ADMIN_COMMANDS, name) ? ADMIN_COMMANDS[name] : undefined;
    if (command !== undefined) return { name, command, words: words.slice(length) };
  }
  return null;
}

function problemsOf({ name, command, words }: Found, values: ReadonlyMap<string, string>): string[] {
  const allowed = new Set(['url', 'admin-key-file', ...command.flags]);
  return [
    ...(words.length === command.words.length ? [] : [`${name} needs ${command.words.join(' ') || 'no more words'}`]),
    ...[...values.keys()].filter((flag) => !allowed.has(flag)).map((flag) => `--${flag} does not go with ${name}`),
    ...(command.required ?? []).filter((flag) => !values.has(flag)).map((flag) => `${name} needs --${flag}`),
  ];
}

/** @throws {Error} where there is none; never quoting it */
function readKey(file: string | undefined, fromEnv: string | undefined): string {
  const key = file === undefined ? fromEnv : readFileSync(file, 'utf8').trim();
  if (key === undefined || !/^[\x21-\x7e]{1,512}$/.test(key)) {
    throw new Error('needs the admin key: --admin-key-file, or ASSAY_ADMIN_KEY');
  }
  return key;
}

interface Target {
  readonly url: string;
  readonly key: string;
}

/** The key is made here, so that it never travels; the gateway learns its hash. */
async function createKey(call: AdminCall, target: Target, io: AdminIo): Promise<number> {
  const apiKey = newApiKey(io.rng);
  const code = await send({ ...call, body: { ...call.body, key_hash: hashApiKey(apiKey) } }, target, io);
  if (code === EXIT_OK) io.print(`API key (shown once): ${apiKey}`);
  return code;
}

async function send(call: AdminCall, { url, key }: Target, io: AdminIo): Promise<number> {
  const response = await io.fetch(`${url}/admin${call.path}`, {
    method: call.method,
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
  });
  const text = await response.text();
  if (response.ok) {
    io.print(JSON.stringify(JSON.parse(text), null, 2));
    return EXIT_OK;
  }
  io.fail(`assay admin: ${response.status}: ${messageOf(text)}`);
  return EXIT_FAILED;
}

function messageOf(text: string): string {
  try {
    return String((JSON.parse(text) as { error: { message: unknown } }).error.message).slice(0, 512);
  } catch {
    return 'the gateway has no admin API, or something else answers there';
  }
}
