/** A network of the committed contracts on an anvil of its own, with a token that everybody has some of. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Hex } from 'viem';
import { generatePrivateKey, privateKeyToAddress } from 'viem/accounts';
import { fromHex } from '#protocol/hash';
import { type ChainAccess, openChain } from '../../contracts/chain/access.ts';
import { type Artifact, DEMO_TOKEN, deployContracts, type Sender } from '../../contracts/chain/deploy.ts';
import { type Network, parseNetwork } from '../../contracts/chain/network.ts';
import { readArtifacts, senderOf } from '../../gateway/cli/deploy.ts';
import { type Anvil, startAnvil } from './anvil.ts';
import { ABI_FOLDER } from './write-abi.ts';

/** The first key of anvil's own mnemonic, which it prints at every start. */
const RICH_KEY: Hex = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80';
export const DEMO = 10n ** 9n;

/** A running chain with a deployed network. */
export interface TestNetwork {
  readonly network: Network;
  /** The network as a file of `assay deploy`. */
  readonly file: string;
  readonly folder: string;
  readonly rpcUrl: string;
  /** A key with coin for gas and `demo` whole tokens: a fresh one where none is named. */
  party(demo: bigint, key?: Hex): Promise<{ key: Hex; keyFile: string; chain: ChainAccess }>;
  /** Lets time pass, and a block with it. */
  pass(seconds: number): Promise<void>;
  rpc(method: string, params: readonly unknown[]): Promise<unknown>;
  stop(): Promise<void>;
}

const referees = (first: number, count: number): Hex[] =>
  Array.from({ length: count }, (_, i) => `0x${String(first + i).padStart(40, '0')}` as Hex);

/** @param refereeSets members of both sets; nobody's addresses by default */
export async function startNetwork(refereeSets?: { first: Hex[]; appeal: Hex[] }): Promise<TestNetwork> {
  const anvil = await startAnvil();
  const folder = mkdtempSync(path.join(os.tmpdir(), 'assay-chain-'));
  const sender = await senderOf({ rpcUrl: anvil.url, key: RICH_KEY });
  const artifacts = readArtifacts(ABI_FOLDER);
  const tokenArtifact = JSON.parse(readFileSync(path.join(ABI_FOLDER, `${DEMO_TOKEN}.json`), 'utf8')) as Artifact;
  const token = await sender.deploy(tokenArtifact, [10n ** 30n]);
  const deployment = await deployContracts(sender, artifacts, {
    token,
    bond: DEMO,
    referees: { members: refereeSets?.first ?? referees(1, 3), threshold: 2 },
    appealReferees: { members: refereeSets?.appeal ?? referees(11, 5), threshold: 3 },
  });
  const abis = Object.fromEntries(Object.entries(artifacts).map(([name, { abi }]) => [name, abi]));
  const text = JSON.stringify({ ...deployment, abis });
  const file = path.join(folder, 'network.json');
  writeFileSync(file, text);
  const network = parseNetwork(text)!;
  let parties = 0;
  return {
    network,
    file,
    folder,
    rpcUrl: anvil.url,
    async party(demo, key = generatePrivateKey()) {
      const keyFile = path.join(folder, `key-${parties++}`);
      writeFileSync(keyFile, key);
      await anvil.client.request({
        method: 'anvil_setBalance' as never,
        params: [privateKeyToAddress(key), '0x8ac7230489e80000'] as never,
      });
      if (demo > 0n) await give(sender, tokenArtifact, token, privateKeyToAddress(key), demo);
      const chain = await openChain({ network, rpcUrl: anvil.url, privateKey: fromHex(key), pollingMs: 20 });
      return { key, keyFile, chain };
    },
    async pass(seconds) {
      await rpc(anvil, 'evm_increaseTime', [seconds]);
      await rpc(anvil, 'evm_mine', []);
    },
    rpc: (method, params) => rpc(anvil, method, params),
    async stop() {
      await anvil.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function give(sender: Sender, { abi }: Artifact, token: Hex, to: Hex, demo: bigint): Promise<void> {
  return sender.call(token, abi, 'transfer', [to, demo * DEMO]);
}

function rpc(anvil: Anvil, method: string, params: readonly unknown[]): Promise<unknown> {
  return anvil.client.request({ method: method as never, params: params as never });
}
