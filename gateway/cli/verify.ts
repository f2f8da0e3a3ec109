/** `assay verify`: checks a saved answer offline, item by item (SPEC.md §10.4). */
import { readFile } from 'node:fs/promises';
import { readRequest } from '#protocol/asked';
import type { KnownCalibration } from '#protocol/calibration';
import { EXIT_FAILED, EXIT_MISUSED, EXIT_OK, parseCommandLine } from '#protocol/command-line';
import { ProtocolError } from '#protocol/errors';
import type { Address, Hash } from '#protocol/hash';
import { type LogCopy, zLogCopy } from '#protocol/log-copy';
import { readModel } from '#protocol/model-folder';
import { safeParse } from '#protocol/schema';
import { recoverNative } from '#protocol/signer-native';
import { createTextModel, type TextModel } from '#protocol/text';
import { type VerifyInput, type VerifyItem, type VerifyResult, verifyResponse } from '#protocol/verify';
import { witnessJudge } from '../judge/witness-judge.ts';
import { folderReader, readCalibrations } from '../model-reader.ts';
import { type CliIo, reasonOf } from './cli-io.ts';

const USAGE = `assay verify <saved response> [options]

Checks a saved answer without any network: a JSON body, the output of curl -i, or a captured event stream. Prints one line an
item and exits 0 when nothing failed, 1 when something did. It tells what was signed; whether a later dispute has overturned the
answer stands in the log alone: give a copy of it with --log, or see GET /v1/attestations/<id>.

  --request <file>          the JSON body that you sent: shows an injected prompt, other sampling, another policy
  --nonce <text>            the Assay-Nonce header that you sent; none without it
  --model <folder>          the model's folder: shows swapped text and another model
  --receipt <file>          a receipt or attestation saved apart (GET /v1/attestations/<id>)
  --log <file>              copy of the whole log (assay audit-proof --fetch): shows whether promised audits were done, and whether
                            the answer was overturned since
  --gateway-key <address>   who must have signed; without it the answer's own word is taken and reported as not checked
  --log-key <key>           Ed25519 key of the log (0x and 64 hex digits), to be given with --log-origin and --gateway-key
  --log-origin <name>       name of the log
  --require                 count what could not be checked, or is pending, as failed
  --json                    print the items as JSON
  --help                    print this text`;

const VALUED = ['request', 'nonce', 'model', 'receipt', 'log', 'gateway-key', 'log-key', 'log-origin'] as const;
/** Exit code where an item failed. */
const EXIT_NOT_VERIFIED = EXIT_FAILED;
const COLUMN = 22;

interface VerifyOrder {
  readonly response: string;
  readonly values: ReadonlyMap<string, string>;
}

/** @returns the exit code: 0 nothing failed, 1 an item failed, 2 the command was used wrongly or a file cannot be read */
export async function runVerify(argv: readonly string[], io: CliIo): Promise<number> {
  const line = parseCommandLine(argv, { valued: VALUED, switches: ['help', 'require', 'json'], wordsMax: 1 });
  if (line.switches.has('help')) {
    io.print(USAGE);
    return EXIT_OK;
  }
  const problems = [...line.problems, ...keyProblems(line.values)];
  if (line.words.length === 0) problems.push('needs a saved response');
  if (problems.length > 0) {
    for (const problem of problems) io.fail(`assay verify: ${problem}`);
    return EXIT_MISUSED;
  }
  let input: VerifyInput;
  try {
    input = await readInput({ response: line.words[0]!, values: line.values });
  } catch (error) {
    io.fail(`assay verify: ${reasonOf(error)}`);
    return EXIT_MISUSED;
  }
  return report(verifyResponse(input), { required: line.switches.has('require'), json: line.switches.has('json') }, io);
}

function keyProblems(values: ReadonlyMap<string, string>): string[] {
  const problems: string[] = [];
  const address = values.get('gateway-key');
  const logKey = values.get('log-key');
  if (address !== undefined && !/^0x[0-9a-f]{40}$/i.test(address)) problems.push('--gateway-key must be an address');
  if (logKey !== undefined && !/^0x[0-9a-f]{64}$/i.test(logKey)) problems.push('--log-key must be 32 bytes as hex');
  const together = [logKey, values.get('log-origin')].filter((value) => value !== undefined).length;
  if (together === 1 || (together === 2 && address === undefined)) {
    problems.push('--log-key, --log-origin and --gateway-key pin the log together');
  }
  return problems;
}

async function readInput({ response, values }: VerifyOrder): Promise<VerifyInput> {
  const saved = await read(response);
  const folder = values.get('model');
  const model = folder === undefined ? null : await readTextModel(folder);
  const request = values.get('request');
  const receipt = values.get('receipt');
  const log = values.get('log');
  const gatewayAddress = values.get('gateway-key')?.toLowerCase() as Address | undefined;
  const ed25519 = values.get('log-key')?.toLowerCase() as Hash | undefined;
  return {
    response: saved,
    asked:
      request === undefined ? null : askedOf(await read(request), model?.text ?? null, values.get('nonce') ?? null),
    text: model?.text ?? null,
    modelDigest: model?.digest ?? null,
    receipt: receipt === undefined ? null : receiptOf(await read(receipt)),
    log: log === undefined ? null : logCopyOf(await read(log)),
    trusted: {
      gatewayAddress,
      logKeys:
        ed25519 && gatewayAddress ? { origin: values.get('log-origin')!, ed25519, address: gatewayAddress } : undefined,
    },
    recover: recoverNative,
    judge: witnessJudge((hash) => model?.calibrations.find((known) => known.hash === hash)?.calibration ?? null),
  };
}

/** @throws {Error} naming the file, never quoting it */
async function read(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch {
    throw new Error(`${file} cannot be read`);
  }
}

interface VerifiersModel {
  readonly text: TextModel;
  readonly digest: Hash;
  readonly calibrations: readonly KnownCalibration[];
}

async function readTextModel(folder: string): Promise<VerifiersModel> {
  const reader = folderReader(folder);
  const model = await readModel(reader);
  const calibrations = await readCalibrations(reader, model.modelDigest);
  return { text: createTextModel(model.textFiles), digest: model.modelDigest, calibrations };
}

function askedOf(body: string, text: TextModel | null, nonce: string | null) {
  try {
    return readRequest(body, text, nonce);
  } catch (error) {
    if (error instanceof ProtocolError) throw new Error(`the request is not one that a gateway accepts: ${error.code}`);
    throw error;
  }
}

function logCopyOf(text: string): LogCopy {
  const parsed = safeParse(zLogCopy, JSON.parse(text));
  if (!parsed.success) throw new Error('the file of --log is no copy of a log');
  return parsed.data;
}

/** A bare receipt, or the `assay` member that `GET /v1/attestations/<id>` answers with. */
function receiptOf(text: string): unknown {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new Error('the receipt is not JSON');
  }
  const assay = (parsed as { assay?: { attestation?: unknown; receipt?: object | null } } | null)?.assay;
  return assay?.receipt ? { ...assay.receipt, attestation: assay.attestation } : parsed;
}

function report(result: VerifyResult, how: { required: boolean; json: boolean }, io: CliIo): number {
  const failed = result.items.filter((item) => isFailure(item, how.required));
  if (how.json) io.print(JSON.stringify({ ok: failed.length === 0, items: result.items }, null, 2));
  else for (const item of result.items) io.print(lineOf(item));
  if (failed.length === 0) return EXIT_OK;
  io.fail(`assay verify: not verified: ${failed.map((item) => item.name).join(', ')}`);
  return EXIT_NOT_VERIFIED;
}

function isFailure(item: VerifyItem, required: boolean): boolean {
  return item.status === 'failed' || (required && item.status !== 'proved');
}

function lineOf({ name, status, detail }: VerifyItem): string {
  return `${status.padEnd(12)} ${name.padEnd(COLUMN)} ${detail}`.trimEnd();
}
