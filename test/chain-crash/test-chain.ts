/** One anvil with the network's contracts, blocks made by hand, taken back by hand, and everybody who uses them. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { type Abi, encodeFunctionData, type Hex } from 'viem';
import { mnemonicToAccount } from 'viem/accounts';
import { chainDigests } from '#protocol/chain-messages';
import { earningInTree, zEarningsProof } from '#protocol/earnings';
import type { Address } from '#protocol/hash';
import { nativeSigner } from '#protocol/signer-native';
import { type Artifact, CONTRACTS, type ContractName, deployContracts } from '../../contracts/chain/deploy.ts';
import { type Network, parseNetwork } from '../../contracts/chain/network.ts';
import { receiptOf } from '../../contracts/chain/receipt.ts';
import { type Anvil, startAnvil } from '../chain/anvil.ts';
import { ABI_FOLDER } from '../chain/write-abi.ts';

/** anvil's own accounts, in the order in which it prints them: the first deploys. */
const MNEMONIC = 'test test test test test test test test test test test junk';
export const PROVIDERS = 3;
const SUPPLY = 10n ** 24n;
const SHARE = 10n ** 18n;
/** Enough for any call of a party. */
const GAS = 2_000_000n;

export interface Party {
  readonly address: Address;
  readonly key: Uint8Array;
}

type Callee = ContractName | 'token';

function artifact(name: string): Artifact {
  return JSON.parse(readFileSync(path.join(ABI_FOLDER, `${name}.json`), 'utf8')) as Artifact;
}

function party(index: number): Party {
  const account = mnemonicToAccount(MNEMONIC, { addressIndex: index });
  return { address: account.address.toLowerCase() as Address, key: account.getHdKey().privateKey! };
}

export class TestChain {
  readonly gateway = party(1);
  readonly client = party(2);
  readonly funder = party(3);
  readonly providers = Array.from({ length: PROVIDERS }, (_, at) => party(4 + at));
  readonly #anvil: Anvil;
  readonly #abis: Readonly<Record<Callee, Abi>>;
  readonly network: Network;
  /** The file of `assay deploy`. */
  readonly networkText: string;
  /** What the chain is taken back to between two worlds. */
  #begin: string;
  /** State before each block that can still be taken back, oldest first. */
  #before: { readonly id: string; readonly height: number }[] = [];
  #highest = 0;

  private constructor(anvil: Anvil, networkText: string, abis: Readonly<Record<Callee, Abi>>, begin: string) {
    this.#anvil = anvil;
    this.networkText = networkText;
    this.network = parseNetwork(networkText)!;
    this.#abis = abis;
    this.#begin = begin;
  }

  static async start(): Promise<TestChain> {
    const anvil = await startAnvil();
    const { client, wallet } = anvil;
    const mined = async (hash: Hex) => receiptOf(client, hash);
    const deploy = async ({ abi, bytecode }: Artifact, args: readonly unknown[]) =>
      (await mined(await wallet.deployContract({ abi, bytecode, args }))).contractAddress!;
    const demo = artifact('DemoToken');
    const token = await deploy(demo, [SUPPLY]);
    const entries = CONTRACTS.map((name) => [name, artifact(name)]);
    const artifacts = Object.fromEntries(entries) as Record<ContractName, Artifact>;
    const sender = {
      chainId: await client.getChainId(),
      address: anvil.account,
      height: async () => Number(await client.getBlockNumber({ cacheTime: 0 })),
      deploy,
      call: async (address: Hex, abi: Abi, functionName: string, args: readonly unknown[]) => {
        await mined(await wallet.writeContract({ address, abi, functionName, args }));
      },
    };
    const set = (first: number, members: number) => ({
      members: Array.from({ length: members }, (_, at) => `0x${String(first + at).padStart(40, '0')}` as Hex),
      threshold: Math.floor(members / 2) + 1,
    });
    const deployment = await deployContracts(sender, artifacts, {
      token,
      bond: 1_000_000n,
      referees: set(1, 3),
      appealReferees: set(11, 5),
    });
    const abis = Object.fromEntries(CONTRACTS.map((name) => [name, artifacts[name].abi])) as Record<ContractName, Abi>;
    const text = JSON.stringify({ ...deployment, abis });
    const chain = new TestChain(anvil, text, { ...abis, token: demo.abi }, '');
    for (const { address } of [chain.client, chain.funder, ...chain.providers]) {
      await sender.call(token, demo.abi, 'transfer', [address, SHARE]);
    }
    await chain.rpc('evm_setAutomine', [false]);
    chain.#begin = await chain.rpc('evm_snapshot', []);
    return chain;
  }

  get url(): string {
    return this.#anvil.url;
  }

  stop(): Promise<void> {
    return this.#anvil.stop();
  }

  /** As it was when the contracts had just been deployed. */
  async reset(): Promise<void> {
    await this.rpc('evm_revert', [this.#begin]);
    await this.rpc('anvil_dropAllTransactions', []);
    this.#begin = await this.rpc('evm_snapshot', []);
    this.#before = [];
    this.#highest = await this.height();
  }

  async height(): Promise<number> {
    return Number(await this.#anvil.client.getBlockNumber({ cacheTime: 0 }));
  }

  /** One block with everything that waits, so many seconds after the last one. */
  async mine(seconds: number): Promise<void> {
    const { timestamp, number } = await this.#anvil.client.getBlock({ blockTag: 'latest' });
    this.#before.push({ id: await this.rpc('evm_snapshot', []), height: Number(number) });
    await this.rpc('evm_setNextBlockTimestamp', [Number(timestamp) + seconds]);
    await this.rpc('evm_mine', []);
    this.#highest = Math.max(this.#highest, Number(number) + 1);
  }

  /** Takes blocks away, at most so many as have ever stood on what stays. @returns how many */
  async takeBack(depth: number): Promise<number> {
    const height = await this.height();
    const allowed = this.#before.filter((state) => this.#highest - state.height <= depth && state.height < height);
    const target = allowed[0];
    if (target === undefined) return 0;
    await this.rpc('evm_revert', [target.id]);
    this.#before = this.#before.filter((state) => state.height < target.height);
    return height - target.height;
  }

  /** A party sends a call; it waits for a block. What a node does not take is lost, as for anybody. */
  async send(from: Party, callee: Callee, functionName: string, args: readonly unknown[]): Promise<void> {
    const data = encodeFunctionData({ abi: this.#abis[callee], functionName, args });
    const to = callee === 'token' ? this.network.token : this.network.addresses[callee];
    const order = { from: from.address, to, data, gas: `0x${GAS.toString(16)}` };
    await this.rpc('eth_sendTransaction', [order]).catch(() => undefined);
  }

  async read<T>(callee: Callee, functionName: string, args: readonly unknown[]): Promise<T> {
    const address = callee === 'token' ? this.network.token : this.network.addresses[callee];
    return (await this.#anvil.client.readContract({ address, abi: this.#abis[callee], functionName, args })) as T;
  }

  balance(of: Party): Promise<bigint> {
    return this.read('token', 'balanceOf', [of.address]);
  }

  /** Transactions of an account in the chain as it is. */
  noncesOf(of: Party): Promise<number> {
    return this.#anvil.client.getTransactionCount({ address: of.address });
  }

  async statusOf(hash: Hex): Promise<'success' | 'reverted' | null> {
    const receipt = await this.#anvil.client.getTransactionReceipt({ hash }).catch(() => null);
    return receipt?.status ?? null;
  }

  /** A voucher of the client, signed. */
  voucher(cumulative: bigint, epoch = 0n) {
    const { client, gateway } = this;
    const settlement = this.network.addresses.Settlement;
    const value = { settlement, client: client.address, gateway: gateway.address, epoch, cumulative };
    const signature = nativeSigner(client.key).sign(chainDigests.voucher(this.network.domain, value));
    return { client: client.address, epoch: String(epoch), cumulative: String(cumulative), signature };
  }

  /** Claims by what a gateway gave; checked first, as whoever claims must. @returns what is wrong with it, or null */
  async claim(payee: Party, wire: unknown): Promise<string | null> {
    const proof = zEarningsProof.parse(wire);
    const { gateway, rootIndex, earnings, cumulative, leafIndex, path: hashes } = proof;
    if (!earningInTree({ payee: payee.address, cumulative }, { leafIndex, path: hashes }, earnings)) {
      return 'a proof does not lead to its root';
    }
    const given = { rootIndex: BigInt(rootIndex), earnings, cumulative, leafIndex: BigInt(leafIndex), path: hashes };
    await this.send(payee, 'Settlement', 'claim', [gateway, payee.address, given]);
    return null;
  }

  async rpc<T = string>(method: string, params: readonly unknown[]): Promise<T> {
    return (await this.#anvil.client.request({ method, params } as never)) as T;
  }
}
