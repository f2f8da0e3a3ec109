/** The demonstration's chain with its contracts, parties with money, and one line for each transaction. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Rng } from '#protocol/env';
import { type Address, fromHex } from '#protocol/hash';
import { newPrivateKey } from '#protocol/private-key';
import { nativeSigner } from '#protocol/signer-native';
import { type Call, type ChainAccess, type Mined, openChain } from '../../contracts/chain/access.ts';
import { type Artifact, CONTRACTS, DEMO_TOKEN, deployContracts } from '../../contracts/chain/deploy.ts';
import { type Network, parseNetwork } from '../../contracts/chain/network.ts';
import { readArtifacts, senderOf } from '../cli/deploy.ts';
import { type DemoChain, RICH_KEY, startDemoChain } from './anvil.ts';

/** 1 DEMO, 10^9 base units: as many as a token of the ledger has nano-units. */
export const DEMO = 10n ** 9n;
/** Coin for gas of each party: 10 of the chain's own. */
const COIN_WEI = 10n ** 19n;
const SUPPLY = 10n ** 9n * DEMO;
const REFEREES = 3;
const APPEAL_REFEREES = 5;

export interface ChainStage {
  readonly chain: DemoChain;
  readonly network: Network;
  /** What `assay deploy` would have written. */
  readonly networkFile: string;
  /** Deployer: owns the contracts and all DEMO at first. */
  readonly rich: ChainAccess;
  /** Private keys of the first referee set. */
  readonly refereeKeys: readonly Uint8Array[];
  /** Coin for gas, and DEMO. */
  give(to: Address, demo: bigint, who: string): Promise<void>;
  /** Sends from a key and shows it. */
  send(access: ChainAccess, what: string, call: Call): Promise<Mined>;
  access(privateKey: Uint8Array): Promise<ChainAccess>;
  /** Lets days pass on the chain. */
  pass(seconds: number, why: string): Promise<void>;
  stop(): Promise<void>;
}

export interface StageDeps {
  readonly rng: Rng;
  readonly print: (line: string) => void;
  /** Folder of ABIs. */
  readonly abis: string;
  readonly dataFolder: string;
}

/** One transaction in one line: what, hash, gas. */
export function transactionLine(what: string, hash: string, gasUsed: bigint): string {
  return `  tx  ${what.padEnd(46)} ${hash}  ${gasUsed} gas`;
}

/** Starts anvil and deploys. @throws {Error} where anvil is missing */
export async function startStage({ rng, print, abis, dataFolder }: StageDeps): Promise<ChainStage> {
  const chain = await startDemoChain();
  try {
    const sender = await senderOf({ rpcUrl: chain.url, key: RICH_KEY });
    print('');
    print(`A chain of its own: anvil, chain ${sender.chainId}, ${chain.url}`);
    const artifacts = readArtifacts(abis);
    const tokenFile = path.join(abis, `${DEMO_TOKEN}.json`);
    const token = await sender.deploy(JSON.parse(readFileSync(tokenFile, 'utf8')) as Artifact, [SUPPLY]);
    const keys = Array.from({ length: REFEREES + APPEAL_REFEREES }, () => newPrivateKey(rng));
    const [refereeKeys, appeal] = [keys.slice(0, REFEREES), keys.slice(REFEREES)];
    const members = (set: readonly Uint8Array[]) => set.map((key) => nativeSigner(key).address);
    const deployment = await deployContracts(sender, artifacts, {
      token,
      bond: DEMO,
      referees: { members: members(refereeKeys), threshold: 2 },
      appealReferees: { members: members(appeal), threshold: 3 },
    });
    const text = JSON.stringify({
      ...deployment,
      abis: Object.fromEntries(CONTRACTS.map((name) => [name, artifacts[name].abi])),
    });
    const networkFile = path.join(dataFolder, 'network.json');
    writeFileSync(networkFile, text);
    const network = parseNetwork(text);
    if (network === null) throw new Error('the deployment is not readable');
    for (const name of CONTRACTS) print(`  ${name.padEnd(14)} ${network.addresses[name]}`);
    const access = (privateKey: Uint8Array) => openChain({ network, rpcUrl: chain.url, privateKey, pollingMs: 50 });
    const rich = await access(fromHex(RICH_KEY));
    return { chain, network, networkFile, rich, refereeKeys, access, ...acts(chain, rich, print) };
  } catch (error) {
    await chain.stop();
    throw error;
  }
}

function acts(
  chain: DemoChain,
  rich: ChainAccess,
  print: (line: string) => void,
): Pick<ChainStage, 'give' | 'send' | 'pass' | 'stop'> {
  const send = async (access: ChainAccess, what: string, call: Call): Promise<Mined> => {
    const mined = await access.send(call);
    print(transactionLine(what, mined.hash, mined.gasUsed));
    return mined;
  };
  return {
    send,
    async give(to, demo, who) {
      await chain.control('anvil_setBalance', [to, `0x${COIN_WEI.toString(16)}`]);
      const call = { callee: 'token' as const, functionName: 'transfer', args: [to, demo * DEMO] };
      await send(rich, `${demo} DEMO to ${who}`, call);
    },
    async pass(seconds, why) {
      await chain.control('evm_increaseTime', [seconds]);
      await chain.control('evm_mine', []);
      print(`  … ${seconds / 86_400} days pass on the chain: ${why}`);
    },
    stop: () => chain.stop(),
  };
}
