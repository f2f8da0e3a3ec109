/** `assay deploy`: the contracts onto a chain, their addresses and ABIs into a file. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createPublicClient, createWalletClient, defineChain, type Hex, http, isAddress } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { EXIT_FAILED, EXIT_MISUSED, EXIT_OK, parseCommandLine } from '#protocol/command-line';
import {
  type Artifact,
  CONTRACTS,
  type ContractName,
  deployContracts,
  type NetworkTerms,
  type Sender,
} from '../../contracts/chain/deploy.ts';
import { receiptOf } from '../../contracts/chain/receipt.ts';
import { type CliIo, reasonOf } from './cli-io.ts';

const USAGE = `assay deploy --rpc-url <url> --key <file> --token <address> --referees <list> --appeal-referees <list> --out <file>

Deploys stake, settlement, evidence and rulings, and writes their addresses and ABIs. Gateways and providers are given the file with --network.

  --rpc-url <url>            JSON-RPC of a node of the chain
  --key <file>               private key that pays and owns registry and rulings at first (0x and 64 hex digits)
  --token <address>          the ERC-20 token of stake and settlement; one that takes no fee and does not rebase
  --referees <list>          addresses with commas; more than half of them must agree
  --appeal-referees <list>   the larger set that rules on appeal
  --bond <amount>            what a case or a demand costs its maker, in base units of the token (default 1000000)
  --out <file>               addresses and ABIs, as JSON; a file that exists is never replaced
  --help                     print this text`;

const VALUED = ['rpc-url', 'key', 'token', 'referees', 'appeal-referees', 'bond', 'out'] as const;
const REQUIRED = VALUED.filter((name) => name !== 'bond');
/** One unit of a token with six decimals. */
const BOND_DEFAULT = '1000000';

interface DeployOrder {
  readonly rpcUrl: string;
  readonly key: Hex;
  readonly out: string;
  readonly terms: NetworkTerms;
}

/** @param abiFolder where the package keeps `<contract>.json`. @returns the exit code */
export async function runDeploy(argv: readonly string[], io: CliIo, abiFolder: string): Promise<number> {
  const line = parseCommandLine(argv, { valued: VALUED, switches: ['help'] });
  if (line.switches.has('help')) {
    io.print(USAGE);
    return EXIT_OK;
  }
  const problems = [...line.problems];
  const order = orderOf(line.values, problems);
  if (order === null || problems.length > 0) {
    for (const problem of problems) io.fail(`assay deploy: ${problem}`);
    return EXIT_MISUSED;
  }
  try {
    const artifacts = readArtifacts(abiFolder);
    const deployment = await deployContracts(await senderOf(order), artifacts, order.terms);
    const abis = Object.fromEntries(CONTRACTS.map((name) => [name, artifacts[name].abi]));
    writeFileSync(order.out, `${JSON.stringify({ ...deployment, abis }, null, 2)}\n`, { flag: 'wx' });
    for (const name of CONTRACTS) io.print(`${name.padEnd(14)} ${deployment.addresses[name]}`);
    io.print(`chain ${deployment.chainId}, owner ${deployment.owner}; written to ${order.out}`);
    return EXIT_OK;
  } catch (error) {
    io.fail(`assay deploy: ${reasonOf(error)}`);
    return EXIT_FAILED;
  }
}

function orderOf(values: ReadonlyMap<string, string>, problems: string[]): DeployOrder | null {
  for (const name of REQUIRED) if (!values.has(name)) problems.push(`--${name} is missing`);
  if (problems.length > 0) return null;
  const value = (name: (typeof VALUED)[number]): string => values.get(name) ?? BOND_DEFAULT;
  const referees = addresses(value('referees'), '--referees', problems);
  const appealReferees = addresses(value('appeal-referees'), '--appeal-referees', problems);
  const [token = '0x'] = addresses(value('token'), '--token', problems);
  if (appealReferees.length <= referees.length) problems.push('--appeal-referees must be more than --referees');
  if (!/^(0|[1-9][0-9]{0,37})$/.test(value('bond'))) problems.push('--bond must be a whole number');
  const key = keyIn(value('key'));
  if (key === null) problems.push('--key must name a file with 0x and 64 hex digits');
  if (!URL.canParse(value('rpc-url'))) problems.push('--rpc-url must be a URL');
  if (existsSync(value('out'))) problems.push('--out exists');
  if (problems.length > 0 || key === null) return null;
  const first = majority(referees.length);
  return {
    rpcUrl: value('rpc-url'),
    key,
    out: value('out'),
    terms: {
      token,
      bond: BigInt(value('bond')),
      referees: { members: referees, threshold: first },
      // More voices than the first set needs, however small the larger set is.
      appealReferees: { members: appealReferees, threshold: Math.max(majority(appealReferees.length), first + 1) },
    },
  };
}

function majority(members: number): number {
  return Math.floor(members / 2) + 1;
}

function addresses(text: string, flag: string, problems: string[]): Hex[] {
  const parts = text.split(',').map((part) => part.trim());
  const good = parts.filter((part): part is Hex => isAddress(part, { strict: false }));
  if (good.length !== parts.length) problems.push(`${flag} must be addresses: 0x and 40 hex digits`);
  return good;
}

function keyIn(file: string): Hex | null {
  try {
    const text = readFileSync(file, 'utf8').trim();
    return /^0x[0-9a-f]{64}$/.test(text) ? (text as Hex) : null;
  } catch {
    return null;
  }
}

/** @throws {Error} where a file is missing */
export function readArtifacts(folder: string): Record<ContractName, Artifact> {
  const entries = CONTRACTS.map((name) => [
    name,
    JSON.parse(readFileSync(path.join(folder, `${name}.json`), 'utf8')) as Artifact,
  ]);
  return Object.fromEntries(entries) as Record<ContractName, Artifact>;
}

/** Sends from a key, one transaction after the other. @throws {Error} where the node does not answer */
export async function senderOf({ rpcUrl, key }: Pick<DeployOrder, 'rpcUrl' | 'key'>): Promise<Sender> {
  const transport = http(rpcUrl);
  const chainId = await createPublicClient({ transport }).getChainId();
  const chain = defineChain({
    id: chainId,
    name: `chain ${chainId}`,
    nativeCurrency: { name: 'coin', symbol: 'COIN', decimals: 18 },
    rpcUrls: { default: { http: [rpcUrl] } },
  });
  const account = privateKeyToAccount(key);
  const client = createPublicClient({ chain, transport });
  const wallet = createWalletClient({ chain, transport, account });
  const mined = async (hash: Hex) => {
    const receipt = await receiptOf(client, hash);
    if (receipt.status !== 'success') throw new Error(`transaction ${hash} failed`);
    return receipt;
  };
  return {
    chainId,
    address: account.address,
    height: async () => Number(await client.getBlockNumber({ cacheTime: 0 })),
    async deploy({ abi, bytecode }, args) {
      const { contractAddress } = await mined(await wallet.deployContract({ abi, bytecode, args }));
      if (!contractAddress) throw new Error('nothing was deployed');
      return contractAddress;
    },
    async call(address, abi, functionName, args) {
      await mined(await wallet.writeContract({ address, abi, functionName, args }));
    },
  };
}
