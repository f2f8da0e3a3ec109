/** `assay stake|unstake|claim`, also as `assay provider …`: a provider's money on a chain. */
import { readFileSync } from 'node:fs';
import { EXIT_FAILED, EXIT_MISUSED, EXIT_OK, parseCommandLine } from '#protocol/command-line';
import { type EarningsProof, zEarningsProof } from '#protocol/earnings';
import type { Address, Hash } from '#protocol/hash';
import { manifestHash } from '#protocol/manifest';
import { zManifestReply } from '#protocol/messages';
import { parsePrivateKey } from '#protocol/private-key';
import { safeParse } from '#protocol/schema';
import { baseUrl } from '#protocol/settings';
import type { Signer } from '#protocol/signer';
import { type ChainAccess, ChainError, openChain } from '../../contracts/chain/access.ts';
import { NO_MANIFEST } from '../chain/account.ts';
import { claim } from '../chain/claim.ts';
import { stake } from '../chain/stake.ts';
import { unstake } from '../chain/unstake.ts';
import type { ProviderConfig } from '../config.ts';
import { readNetwork } from '../network-file.ts';
import { CONFIG_FILE, CommandError, type CommandIo, callJson, messageOf, readConfig } from './command-io.ts';
import { readSigner } from './gateway-call.ts';

export const CHAIN_COMMANDS = ['stake', 'unstake', 'claim'] as const;
export type ChainCommand = (typeof CHAIN_COMMANDS)[number];

const USAGE = `assay stake      opens an account, adds the provider's key to it, puts stake in: --amount
assay unstake    begins to take stake out: --amount <amount or all>; takes out what has waited: --withdraw; else shows it
assay claim      takes earnings (--gateway), rewards of slashes and bonds that came back

  --config <file>       configuration of the provider (default ${CONFIG_FILE})
  --network <file>      what \`assay deploy\` wrote (or \`network\` of the configuration)
  --rpc-url <url>       JSON-RPC of a node of its chain (or \`rpcUrl\`)
  --key <file>          private key of the account that stakes (or \`accountKeyFile\`; default the provider's own)
  --amount <amount>     of the token, such as 1000 or 12.5
  --gateway <url>       whose earnings are claimed
  --dry-run             say what would be sent, and send nothing
  --help                print this text
Each says what it will send and what that costs before it sends it. Exit codes: 0 done, 1 failed, 2 used wrongly.`;

/** @returns the exit code */
export async function runChainCommand(command: ChainCommand, argv: readonly string[], io: CommandIo): Promise<number> {
  const line = parseCommandLine(argv, {
    valued: ['config', 'network', 'rpc-url', 'key', 'amount', 'gateway'],
    switches: ['help', 'dry-run', 'withdraw'],
  });
  if (line.switches.has('help')) {
    io.print(USAGE);
    return EXIT_OK;
  }
  const { values, switches } = line;
  const problems = [...line.problems];
  if (command === 'stake' && !values.has('amount')) problems.push('needs --amount');
  if (command === 'claim' && values.has('amount')) problems.push('takes all: it has no --amount');
  if (command !== 'claim' && values.has('gateway')) problems.push('--gateway belongs to claim');
  if (command !== 'unstake' && switches.has('withdraw')) problems.push('--withdraw belongs to unstake');
  const gateway = values.get('gateway') ?? null;
  if (gateway !== null && 'problem' in baseUrl(gateway)) problems.push('--gateway must be a base URL');
  if (problems.length > 0) {
    for (const problem of problems) io.fail(`assay ${command}: ${problem}`);
    return EXIT_MISUSED;
  }
  try {
    const config = readConfig(values.get('config') ?? CONFIG_FILE, io.env);
    const signer = readSigner(config);
    const chain = await openWallet(values, config);
    const dryRun = switches.has('dry-run');
    const amount = values.get('amount') ?? null;
    if (command === 'stake') {
      await stake(
        chain,
        { amount: amount!, signer, manifestHash: await ownManifestHash(config, signer, io), dryRun },
        io,
      );
    } else if (command === 'unstake') {
      await unstake(chain, { amount, withdraw: switches.has('withdraw'), dryRun }, io);
    } else {
      const proof = gateway === null ? null : await earningsProof(io, gateway, signer.address);
      await claim(chain, { proof, provider: signer.address, dryRun }, io);
    }
    return EXIT_OK;
  } catch (error) {
    if (!(error instanceof CommandError || error instanceof ChainError)) throw error;
    io.fail(`assay ${command}: ${error.message}`);
    return EXIT_FAILED;
  }
}

/** The chain, as flags or else the configuration say. @throws {CommandError | ChainError} */
export async function openWallet(
  values: ReadonlyMap<string, string>,
  config: Pick<ProviderConfig, 'network' | 'rpcUrl' | 'accountKeyFile' | 'keyFile'>,
): Promise<ChainAccess> {
  const file = values.get('network') ?? config.network;
  const rpcUrl = values.get('rpc-url') ?? config.rpcUrl;
  if (file === null) throw new CommandError('needs --network, or `network` in the configuration');
  if (rpcUrl === null) throw new CommandError('needs --rpc-url, or `rpcUrl` in the configuration');
  if (!URL.canParse(rpcUrl)) throw new CommandError('--rpc-url must be a URL');
  const keyFile = values.get('key') ?? config.accountKeyFile ?? config.keyFile;
  return openChain({ network: networkOf(file), rpcUrl, privateKey: privateKeyIn(keyFile) });
}

function networkOf(file: string) {
  try {
    return readNetwork(file);
  } catch (error) {
    throw new CommandError(error instanceof Error ? error.message : 'the network file cannot be read');
  }
}

function privateKeyIn(file: string): Uint8Array {
  try {
    return parsePrivateKey(readFileSync(file, 'utf8'));
  } catch {
    throw new CommandError(`${file} is no key file: 0x and 64 hex digits`);
  }
}

/** Of the manifest that the running provider shows; none where it does not run. */
async function ownManifestHash({ host, port }: ProviderConfig, { address }: Signer, io: CommandIo): Promise<Hash> {
  try {
    const { body } = await callJson(io, `http://${host.includes(':') ? `[${host}]` : host}:${port}/v1/provider`);
    const reply = safeParse(zManifestReply, body);
    return reply.success && reply.data.manifest.address === address ? manifestHash(reply.data.manifest) : NO_MANIFEST;
  } catch (error) {
    if (error instanceof CommandError) return NO_MANIFEST;
    throw error;
  }
}

/** What the gateway says about a payee's earnings; checked by whoever uses it. @throws {CommandError} */
export async function earningsProof(io: CommandIo, gateway: string, payee: Address): Promise<EarningsProof> {
  const { status, body } = await callJson(io, `${gateway}/v1/earnings/${payee}`);
  if (status !== 200) throw new CommandError(`${gateway} gives no proof of earnings: ${messageOf(body)}`);
  const parsed = safeParse(zEarningsProof, body);
  if (!parsed.success) throw new CommandError(`${gateway} gives a proof in a form that this version does not know`);
  return parsed.data;
}
