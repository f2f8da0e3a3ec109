/** `assay audit-proof`: whether the audits that answers promised were done, offline, once their epochs are over (SPEC.md §8.2). */
import { readFile, writeFile } from 'node:fs/promises';
import { AUDIT_STATUSES, type ProvenAudit } from '#protocol/audit-proof';
import { EXIT_FAILED, EXIT_MISUSED, EXIT_OK, parseCommandLine } from '#protocol/command-line';
import type { Address, Hash } from '#protocol/hash';
import { PPM } from '#protocol/log';
import { type LogCopy, zLogCopy } from '#protocol/log-copy';
import { safeParse } from '#protocol/schema';
import { recoverNative } from '#protocol/signer-native';
import type { ProvenTrial } from '#protocol/trial-proof';
import { verifyResponse } from '#protocol/verify';
import { type CliIo, reasonOf } from './cli-io.ts';

const USAGE = `assay audit-proof <saved response>… --log <file> [options]

Checks offline that the audits which these answers promised were done: each answer is verified as by assay verify, and every choice that the
draw of its epoch picked must have its entry in the log, made as it was drawn, by whom it was drawn. Scorers may have been tried over these answers
only where the draw says so, and paid only for errors that it planted, what the spec says. Exits 0 when all of it holds, 1 when an
answer is not genuine or a promise was broken.

  --log <file>              copy of the whole log; --fetch makes one
  --fetch <url>             base URL of a gateway: saves its log to the file of --log first
  --gateway-key <address>   who must have signed; without it each answer's own word is taken
  --log-key <key>           Ed25519 key of the log (0x and 64 hex digits), to be given with --log-origin and --gateway-key
  --log-origin <name>       name of the log
  --require                 count audits that are pending, or that nobody could be had for, as broken
  --json                    print what was found as JSON
  --help                    print this text`;

const VALUED = ['log', 'fetch', 'gateway-key', 'log-key', 'log-origin'] as const;
/** Answers of one call. */
const ANSWERS_MAX = 10_000;
/** Entries that a gateway gives in one page. */
const PAGE = 1000;

export interface AuditProofIo extends CliIo {
  readonly fetch: (url: string) => Promise<Response>;
}

interface Proven {
  readonly file: string;
  /** Items of the verification that failed, the audits apart. */
  readonly failed: readonly string[];
  readonly audits: readonly ProvenAudit[];
  readonly trials: readonly ProvenTrial[];
}

/** @returns the exit code: 0 all holds, 1 something does not or the gateway does not answer, 2 the command was used wrongly or a file cannot be read */
export async function runAuditProof(argv: readonly string[], io: AuditProofIo): Promise<number> {
  const line = parseCommandLine(argv, { valued: VALUED, switches: ['help', 'require', 'json'], wordsMax: ANSWERS_MAX });
  if (line.switches.has('help')) {
    io.print(USAGE);
    return EXIT_OK;
  }
  const problems = [...line.problems, ...missing(line.values)];
  if (line.words.length === 0) problems.push('needs saved responses');
  if (problems.length > 0) {
    for (const problem of problems) io.fail(`assay audit-proof: ${problem}`);
    return EXIT_MISUSED;
  }
  const from = line.values.get('fetch');
  try {
    if (from !== undefined) await writeFile(line.values.get('log')!, JSON.stringify(await copyLog(from, io.fetch)));
  } catch (error) {
    io.fail(`assay audit-proof: ${reasonOf(error)}`);
    return EXIT_FAILED;
  }
  try {
    const log = await logOf(line.values.get('log')!);
    const proven: Proven[] = [];
    for (const file of line.words) proven.push(await prove(file, log, line.values));
    return report(proven, { required: line.switches.has('require'), json: line.switches.has('json') }, io);
  } catch (error) {
    io.fail(`assay audit-proof: ${reasonOf(error)}`);
    return EXIT_MISUSED;
  }
}

function missing(values: ReadonlyMap<string, string>): string[] {
  const problems = values.has('log') ? [] : ['needs --log <file>'];
  const pins = ['log-key', 'log-origin'].filter((name) => values.has(name)).length;
  if (pins === 1 || (pins === 2 && !values.has('gateway-key'))) {
    problems.push('--log-key, --log-origin and --gateway-key pin the log together');
  }
  return problems;
}

async function logOf(file: string): Promise<LogCopy> {
  const parsed = safeParse(zLogCopy, JSON.parse(await read(file)));
  if (!parsed.success) throw new Error(`${file} is no copy of a log`);
  return parsed.data;
}

/** The log as far as its newest checkpoint covers it. @throws {Error} where the gateway does not answer */
export async function copyLog(url: string, fetch: AuditProofIo['fetch']): Promise<unknown> {
  const get = async (path: string) => {
    const response = await fetch(`${url.replace(/\/$/, '')}/v1/log/${path}`);
    if (!response.ok) throw new Error(`the gateway answers ${response.status}`);
    return response;
  };
  const checkpoint = await (await get('checkpoint')).text();
  const size = Number(checkpoint.split('\n')[1]);
  const entries: unknown[] = [];
  while (entries.length < size) {
    const end = Math.min(size, entries.length + PAGE);
    const { data } = (await (await get(`entries?start=${entries.length}&end=${end}`)).json()) as {
      data: readonly { readonly entry: unknown }[];
    };
    if (data.length === 0) throw new Error('the gateway does not show its whole log');
    entries.push(...data.map(({ entry }) => entry));
  }
  return { checkpoint, entries };
}

async function prove(file: string, log: LogCopy, values: ReadonlyMap<string, string>): Promise<Proven> {
  const gatewayAddress = values.get('gateway-key')?.toLowerCase() as Address | undefined;
  const ed25519 = values.get('log-key')?.toLowerCase() as Hash | undefined;
  const logKeys =
    ed25519 && gatewayAddress ? { origin: values.get('log-origin')!, ed25519, address: gatewayAddress } : undefined;
  const { items, audits, trials } = verifyResponse({
    response: await read(file),
    log,
    trusted: { gatewayAddress, logKeys },
    recover: recoverNative,
  });
  // Whether the answer still stands is another question than whether its audits were done.
  const broken = items.filter(({ name, status }) => status === 'failed' && name !== 'standing');
  const failed = broken.map(({ name, detail }) => `${name}: ${detail}`);
  return { file, failed, audits, trials };
}

/** @throws {Error} naming the file, never quoting it */
async function read(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch {
    throw new Error(`${file} cannot be read`);
  }
}

function report(proven: readonly Proven[], how: { required: boolean; json: boolean }, io: CliIo): number {
  const audits = proven.flatMap((one) => one.audits);
  const counts = Object.fromEntries(
    AUDIT_STATUSES.map((status) => [status, audits.filter((audit) => audit.status === status).length]),
  );
  const expected = audits.reduce((sum, { ppm }) => sum + ppm, 0) / PPM;
  const isOpen = (counts.pending ?? 0) + (counts.undone ?? 0) > 0;
  const ok = proven.every(({ failed }) => failed.length === 0) && !(how.required && isOpen);
  const tried = proven.flatMap(({ trials }) => trials.filter(({ status }) => status === 'tried'));
  const jackpots = tried.filter(({ jackpotNano }) => jackpotNano > 0n);
  const paid = jackpots.reduce((sum, { jackpotNano }) => sum + jackpotNano, 0n);
  if (how.json) {
    const trials = { tried: tried.length, jackpots: jackpots.length, jackpotNano: paid.toString() };
    const found = { ok, answers: proven.length, choices: audits.length, expected, counts, trials, proven };
    io.print(JSON.stringify(found, (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value), 2));
  } else {
    for (const { file, failed } of proven) for (const problem of failed) io.print(`broken       ${file} ${problem}`);
    for (const { requestId, choice, status, detail } of audits) {
      if (status !== 'not drawn') io.print(`${status.padEnd(12)} ${requestId} choice ${choice} ${detail}`.trimEnd());
    }
    if (tried.length > 0) {
      io.print(`${tried.length} scorers tried as drawn, ${jackpots.length} paid for a planted error: ${paid} nano`);
    }
    const drawn = audits.length - (counts['not drawn'] ?? 0) - (counts.pending ?? 0);
    io.print(
      `${proven.length} answers, ${audits.length} choices: ${drawn} drawn (${expected.toFixed(1)} expected), ${counts.done} done`,
    );
  }
  return ok ? EXIT_OK : EXIT_FAILED;
}
