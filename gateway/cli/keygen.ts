/** `assay keygen`: private keys for gateways and providers, API keys for clients. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { EXIT_FAILED, EXIT_MISUSED, EXIT_OK, parseCommandLine } from '#protocol/command-line';
import { type Policy, policyOfText } from '#protocol/policy';
import { newPrivateKey, privateKeyText } from '#protocol/private-key';
import { nano, word } from '#protocol/settings';
import { nativeSigner } from '#protocol/signer-native';
import { hashApiKey, keyIdOf, newApiKey } from '../keys.ts';
import { grantKey } from '../store/grants.ts';
import { openStore } from '../store/open-store.ts';
import { type CliIo, reasonOf } from './cli-io.ts';

const USAGE = `assay keygen <file>
assay keygen --api-key [--data-folder <folder> [options]]

Makes a private key in a file that only its owner can read, and prints the address it signs as. A file that exists is never
replaced. With --api-key: makes an API key, and prints it (this once) with its hash, the only form that is stored.

  --data-folder <folder>   data folder of a gateway: its database takes the key from now on, also while the gateway runs
  --funds-nano <amount>    first funds of the key in nano-units (default 100000000000)
  --policy <policy>        policy of requests that name none, such as "quorum; n=5" (default: the gateway's)
  --label <text>           a name for people (default "keygen")
  --help                   print this text`;

/** 100 units, what the gateway gives its first key. */
const FUNDS_NANO = 10n ** 11n;
const OPTIONS = ['data-folder', 'funds-nano', 'policy', 'label'] as const;

interface KeyOrder {
  readonly dataFolder: string | null;
  readonly fundsNano: bigint;
  readonly policy: Policy | null;
  readonly label: string;
}

/** @returns the exit code */
export async function runKeygen(argv: readonly string[], io: CliIo): Promise<number> {
  const line = parseCommandLine(argv, { valued: OPTIONS, switches: ['help', 'api-key'], wordsMax: 1 });
  if (line.switches.has('help')) {
    io.print(USAGE);
    return EXIT_OK;
  }
  const problems = [...line.problems];
  const order = keyOrder(line.values, problems);
  const apiKey = line.switches.has('api-key');
  const file = line.words[0] ?? null;
  if (apiKey && file !== null) problems.push(`"${file}" is not expected beside --api-key`);
  if (!apiKey && file === null) problems.push('needs a file for the private key, or --api-key');
  if (!apiKey && line.values.size > 0) problems.push(`--${[...line.values.keys()][0]} needs --api-key`);
  if (apiKey && order.dataFolder === null && line.values.size > 0) {
    problems.push(`--${[...line.values.keys()][0]} needs --data-folder`);
  }
  if (problems.length > 0) {
    for (const problem of problems) io.fail(`assay keygen: ${problem}`);
    return EXIT_MISUSED;
  }
  try {
    if (apiKey) await makeApiKey(order, io);
    else makePrivateKey(file!, io);
    return EXIT_OK;
  } catch (error) {
    io.fail(`assay keygen: ${reasonOf(error)}`);
    return EXIT_FAILED;
  }
}

function keyOrder(values: ReadonlyMap<string, string>, problems: string[]): KeyOrder {
  const funds = nano(values.get('funds-nano') ?? String(FUNDS_NANO));
  if ('problem' in funds) problems.push(`--funds-nano ${funds.problem}`);
  const label = word(64)(values.get('label') ?? 'keygen');
  if ('problem' in label) problems.push(`--label ${label.problem}`);
  const text = values.get('policy');
  let policy: Policy | null = null;
  try {
    if (text !== undefined) policy = policyOfText(text);
  } catch {
    problems.push('--policy must be a policy such as "quorum; n=3"');
  }
  return {
    dataFolder: values.get('data-folder') ?? null,
    fundsNano: 'value' in funds ? funds.value : 0n,
    policy,
    label: 'value' in label ? label.value : '',
  };
}

function makePrivateKey(file: string, io: CliIo): void {
  const key = newPrivateKey(io.rng);
  mkdirSync(path.dirname(path.resolve(file)), { recursive: true });
  try {
    writeFileSync(file, privateKeyText(key), { mode: 0o600, flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw new Error(`${file} exists and is not replaced`);
    throw error;
  }
  io.print(nativeSigner(key).address);
}

async function makeApiKey({ dataFolder, fundsNano, policy, label }: KeyOrder, io: CliIo): Promise<void> {
  const apiKey = newApiKey(io.rng);
  const keyHash = hashApiKey(apiKey);
  const keyId = keyIdOf(keyHash);
  if (dataFolder !== null) {
    const database = path.join(dataFolder, 'assay.sqlite');
    // A mistyped folder must not become a fresh database.
    if (!existsSync(database)) throw new Error(`${dataFolder} holds no gateway database; start the gateway once`);
    const store = openStore({ file: database });
    try {
      await store.withTx((tx) => grantKey(tx, { keyId, keyHash, label, fundsNano, policy }, io.clock.nowMs()));
    } finally {
      await store.close();
    }
  }
  io.print(`API key (shown once): ${apiKey}`);
  io.print(`hash: ${keyHash}`);
  if (dataFolder !== null) io.print(`${keyId} has ${fundsNano} nano to spend`);
}
