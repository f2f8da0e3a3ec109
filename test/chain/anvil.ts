/** A chain of its own for a test: anvil on a free port of this machine, and forge's artifacts to deploy on it. */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  type Abi,
  type Account,
  type Chain,
  createPublicClient,
  createWalletClient,
  defineChain,
  type Hex,
  http,
  type PublicClient,
  type Transport,
  type WalletClient,
} from 'viem';
import { mnemonicToAccount } from 'viem/accounts';
import { receiptOf } from '../../contracts/chain/receipt.ts';
import { freePort, listening } from '../../gateway/demo/anvil.ts';
import { foundryBinary } from './forge.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** anvil's own, printed by it at every start: money of no chain. */
const MNEMONIC = 'test test test test test test test test test test test junk';

/** ABI and creation code of a contract, as `forge build` left them. @throws where it was not built */
export function artifact(name: string): { abi: Abi; bytecode: Hex } {
  const out = path.join(ROOT, '.forge', 'out');
  const folder = readdirSync(out).find((file) => readdirSync(path.join(out, file)).includes(`${name}.json`));
  if (folder === undefined) throw new Error(`${name} was not built`);
  const { abi, bytecode } = JSON.parse(readFileSync(path.join(out, folder, `${name}.json`), 'utf8')) as {
    abi: Abi;
    bytecode: { object: Hex };
  };
  return { abi, bytecode: bytecode.object };
}

/** A running chain. */
export interface Anvil {
  readonly url: string;
  readonly account: Hex;
  readonly client: PublicClient;
  readonly wallet: WalletClient<Transport, Chain, Account>;
  /** Deploys one of forge's artifacts. */
  deploy(name: string, args: readonly unknown[]): Promise<Hex>;
  /** Changes what CHAINID answers in calls. */
  setChainId(chainId: bigint): Promise<void>;
  /** The domain of any verifying contract, as a contract. */
  domainOf(verifyingContract: Hex): Promise<Hex>;
  stop(): Promise<void>;
}

const CHAIN_ID = 31_337;

/** Sends one call as text: JSON numbers of 64 bits do not survive JavaScript's. */
async function sendRaw(url: string, method: string, params: string): Promise<void> {
  const body = `{"jsonrpc":"2.0","id":1,"method":"${method}","params":[${params}]}`;
  const reply = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  const { error } = (await reply.json()) as { error?: { message: string } };
  if (error) throw new Error(error.message);
}

/** Starts anvil on a free port; `stop` ends it. */
export async function startAnvil(): Promise<Anvil> {
  const port = await freePort();
  const child = spawn(foundryBinary('anvil'), ['--port', String(port), '--host', '127.0.0.1'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await listening(child);
  const url = `http://127.0.0.1:${port}`;
  const chain = defineChain({
    id: CHAIN_ID,
    name: 'anvil',
    nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
    rpcUrls: { default: { http: [url] } },
  });
  const transport = http(url);
  const account = mnemonicToAccount(MNEMONIC);
  const client: PublicClient = createPublicClient({ chain, transport, pollingInterval: 20 });
  const wallet = createWalletClient({ chain, transport, account });
  let chainId = BigInt(CHAIN_ID);
  const setChainId = async (id: bigint): Promise<void> => {
    if (id !== chainId) await sendRaw(url, 'anvil_setChainId', String(id));
    chainId = id;
  };

  async function deploy(name: string, args: readonly unknown[]): Promise<Hex> {
    const hash = await wallet.deployContract({ ...artifact(name), args });
    const { contractAddress } = await receiptOf(client, hash);
    if (!contractAddress) throw new Error(`${name} was not deployed`);
    return contractAddress;
  }

  const domains = new Map<string, Hex>();
  return {
    url,
    account: account.address,
    client,
    wallet,
    deploy,
    setChainId,
    async domainOf(verifyingContract) {
      const known = domains.get(verifyingContract);
      if (known) return known;
      const before = chainId;
      await setChainId(BigInt(CHAIN_ID));
      const address = await deploy('DomainHarness', [verifyingContract]);
      await setChainId(before);
      domains.set(verifyingContract, address);
      return address;
    },
    async stop() {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill();
      await ended;
    },
  };
}
