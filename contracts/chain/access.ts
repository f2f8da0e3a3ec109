/** Calls of a network's contracts over JSON-RPC: read, try, send, and say in plain words why not. */
import {
  type Account,
  BaseError,
  type Chain,
  ContractFunctionRevertedError,
  createPublicClient,
  createWalletClient,
  defineChain,
  erc20Abi,
  http,
  type PublicClient,
  parseAbi,
  type TransactionReceipt,
  type Transport,
  type WalletClient,
} from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { type Address, type Hash, type Hex, toHex } from '#protocol/hash';
import type { ContractName } from './deploy.ts';
import type { Network } from './network.ts';
import { receiptOf } from './receipt.ts';

/** What can be called: the network's contracts, and its token. */
export type Callee = ContractName | 'token';

export interface Call {
  readonly callee: Callee;
  readonly functionName: string;
  readonly args: readonly unknown[];
}

/** Events of one contract within blocks. */
export interface EventQuery {
  readonly callee: ContractName;
  readonly eventName: string;
  /** By the names of indexed parameters. */
  readonly args: Readonly<Record<string, unknown>>;
  readonly fromBlock: bigint;
  readonly toBlock: bigint;
}

/** A transaction that is in a block and did what it was meant to. */
export interface Mined {
  readonly hash: Hash;
  readonly gasUsed: bigint;
  /** In the chain's own coin, 1e-18. */
  readonly costWei: bigint;
  readonly blockNumber: bigint;
}

/** Something about the chain that a person must know; never holds a key or an RPC URL. */
export class ChainError extends Error {
  override readonly name = 'ChainError';
  /** Name of the contract's error, where it was one. */
  readonly errorName: string | null;

  constructor(message: string, errorName: string | null = null) {
    super(message);
    this.errorName = errorName;
  }
}

export interface ChainAccess {
  readonly network: Network;
  /** Who pays for transactions and sends them. */
  readonly sender: Address;
  readonly client: PublicClient<Transport, Chain>;
  /** Result of a view, as the contract's ABI says. @throws {ChainError} */
  read(call: Call): Promise<unknown>;
  /** Gas that a call would take now. @throws {ChainError} where it would revert, saying why */
  estimate(call: Call): Promise<bigint>;
  /** Sends and waits until it is mined. @throws {ChainError} where it would revert or reverted */
  send(call: Call): Promise<Mined>;
  /** Decoded logs, each with `args`. @throws {ChainError} */
  events(query: EventQuery): Promise<readonly unknown[]>;
  /** Time of the newest block, in seconds. */
  nowSeconds(): Promise<number>;
}

export interface ChainOptions {
  readonly network: Network;
  readonly rpcUrl: string;
  readonly privateKey: Uint8Array;
  /** How often the node is asked for a receipt, in milliseconds. */
  readonly pollingMs?: number;
}

/** @throws {ChainError} where the node does not answer, or is of another chain */
export async function openChain({ network, rpcUrl, privateKey, pollingMs }: ChainOptions): Promise<ChainAccess> {
  const account = privateKeyToAccount(toHex(privateKey));
  const chain = defineChain({
    id: network.chainId,
    name: `chain ${network.chainId}`,
    nativeCurrency: { name: 'coin', symbol: 'COIN', decimals: 18 },
    rpcUrls: { default: { http: [rpcUrl] } },
  });
  const transport = http(rpcUrl);
  const polling = pollingMs === undefined ? {} : { pollingInterval: pollingMs };
  const client = createPublicClient({ chain, transport, ...polling });
  const wallet: WalletClient<Transport, Chain, Account> = createWalletClient({ chain, transport, account });
  const chainId = await explained(() => client.getChainId());
  if (chainId !== network.chainId) {
    throw new ChainError(`the node is of chain ${chainId}, the network of chain ${network.chainId}`);
  }
  // What a contract passes on from another one is told by that one's ABI.
  const errors = [...Object.values(network.abis).flat(), ...erc6093Errors].filter(({ type }) => type === 'error');
  const target = ({ callee, functionName, args }: Call) => ({
    address: callee === 'token' ? network.token : network.addresses[callee],
    abi: [...(callee === 'token' ? erc20Abi : network.abis[callee]).filter(({ type }) => type !== 'error'), ...errors],
    functionName,
    args,
  });
  return {
    network,
    sender: account.address.toLowerCase() as Address,
    client,
    read: (call) => explained(() => client.readContract(target(call) as Parameters<typeof client.readContract>[0])),
    estimate: (call) => explained(() => client.estimateContractGas({ ...target(call), account } as never)),
    send: (call) =>
      explained(async () => {
        // Tried first: what would revert is explained and costs nothing.
        await client.simulateContract({ ...target(call), account } as never);
        const hash = await wallet.writeContract(target(call) as never);
        return minedOf(await receiptOf(client, hash));
      }),
    events: ({ callee, ...query }) =>
      explained(() =>
        client.getContractEvents({
          address: network.addresses[callee],
          abi: network.abis[callee],
          ...query,
        } as Parameters<typeof client.getContractEvents>[0]),
      ),
    nowSeconds: async () => Number((await explained(() => client.getBlock())).timestamp),
  };
}

function minedOf(receipt: TransactionReceipt): Mined {
  const { transactionHash, gasUsed, effectiveGasPrice, blockNumber, status } = receipt;
  if (status !== 'success') throw new ChainError(`transaction ${transactionHash} was mined and reverted`);
  return { hash: transactionHash as Hex, gasUsed, costWei: gasUsed * effectiveGasPrice, blockNumber };
}

/** Errors of the usual tokens (ERC-6093). */
const erc6093Errors = parseAbi([
  'error ERC20InsufficientBalance(address sender, uint256 balance, uint256 needed)',
  'error ERC20InsufficientAllowance(address spender, uint256 allowance, uint256 needed)',
]);

/** What the contracts' errors mean; `readyAt` and the like are added where there is one. */
const MEANINGS: Readonly<Record<string, string>> = {
  AccountExists: 'the account is open already',
  AlreadyOpen: 'accounts are open already: slashers must be announced now',
  BadDivision: 'the division names a judge, is out of order, or is not the one that was ruled',
  CaseKnown: 'the case is known, or the dispute was upheld before',
  Convicted: 'the account was convicted: its stake is gone',
  DemandKnown: 'this was demanded before',
  ERC20InsufficientAllowance: 'the contract may not take that much of the token',
  ERC20InsufficientBalance: 'there is not that much of the token',
  ForeignCheckpoint: 'the checkpoint is not of the log that the account has named, or not signed by its key',
  IdUsed: 'this share was frozen before',
  InvalidSignature: 'a signature is not by whom it should be',
  KeyNotLive: 'the key is not one of the account, or was retired',
  KeyTaken: 'the key answers for another account already, for ever',
  LogOriginSet: 'the account has named its log already',
  NoDemand: 'there is no such open demand',
  NobodyAnswers: 'no account answers for the key',
  NotAnnounced: 'the evidence was not announced before',
  NotController: 'the sending key does not control the account',
  NotEnoughStake: 'there is not that much active stake',
  NotEnoughVoices: 'too few referees have signed, or not in ascending order',
  NotInTree: 'the leaf is not under the root',
  NotProven: 'what is shown proves nothing',
  NothingToMove: 'there is nothing to move',
  Paused: 'the owner has stopped money from coming in for a while',
  PoolTooSmall: 'the pool does not hold that much',
  RootGoesBack: 'the root promises less than one before it, or settles an older log',
  RootNotActive: 'the root is not the latest active one',
  StakeFrozen: 'open cases have frozen what is left',
  TokenTookFee: 'the token takes a fee: it cannot be used',
  TooEarly: 'it is too early',
  TooLate: 'it is too late',
  TooManyUnbondings: 'eight unbondings are queued already: withdraw one that is ready',
  UnknownAccount: 'there is no such account',
  WrongAnswer: 'the answer does not open what was demanded',
  WrongState: 'the case is not in a state for this',
};

async function explained<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw chainErrorOf(error);
  }
}

/** A failure in plain words. Never viem's own text: it quotes the URL, which may hold an API key. */
function chainErrorOf(error: unknown): ChainError {
  if (error instanceof ChainError) return error;
  if (!(error instanceof BaseError)) return new ChainError('the chain could not be asked');
  const reverted = error.walk((cause) => cause instanceof ContractFunctionRevertedError);
  if (reverted instanceof ContractFunctionRevertedError) {
    const name = reverted.data?.errorName ?? null;
    const meaning = (name !== null && MEANINGS[name]) || name || 'the contract refuses it';
    const [at] = name === 'TooEarly' ? ((reverted.data?.args ?? []) as readonly unknown[]) : [];
    const until = at === undefined ? '' : `: not before ${new Date(Number(at) * 1000).toISOString()}`;
    return new ChainError(`${meaning}${until}`, name);
  }
  if (error.walk((cause) => (cause as Error).name === 'InsufficientFundsError')) {
    return new ChainError('the sending key has too little of the chain’s coin to pay for gas');
  }
  if (error.walk((cause) => ['HttpRequestError', 'TimeoutError'].includes((cause as Error).name))) {
    return new ChainError('the chain’s node does not answer');
  }
  return new ChainError('the chain’s node refused the call');
}
