/** The chain over JSON-RPC, through viem; the key signs here and is known nowhere else. */
import {
  BaseError,
  BlockNotFoundError,
  type Log as ChainLog,
  createPublicClient,
  ExecutionRevertedError,
  http,
  keccak256,
  parseEventLogs,
  TransactionReceiptNotFoundError,
} from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { type Address, type Hex, toHex } from '#protocol/hash';
import type { Network } from '../../contracts/chain/network.ts';
import type { ChainClient, ChainEvent } from './chain-client.ts';
import { EVIDENCE_ABI, REGISTRY_ABI, SETTLEMENT_ABI, TOKEN_ABI } from './contracts.ts';
import { disputeReadings } from './dispute-readings.ts';
import type { Header } from './follow-core.ts';

const TIMEOUT_MS = 10_000;
const NO_ADDRESS: Address = `0x${'00'.repeat(20)}`;
const EVENTS_ABI = [...REGISTRY_ABI, ...SETTLEMENT_ABI, ...EVIDENCE_ABI];
/** What nodes say of a transaction that they have, or that is mined already: no failure of ours. */
const KNOWN = /already (known|imported)|nonce too low|transaction underpriced/i;

type PublicClient = ReturnType<typeof createPublicClient>;

/** @param key private key of the one sender, 32 bytes */
export function viemChainClient(rpcUrl: string, network: Network, key: Uint8Array): ChainClient {
  const client = createPublicClient({ transport: http(rpcUrl, { timeout: TIMEOUT_MS, retryCount: 1 }) });
  const sender = privateKeyToAccount(toHex(key));
  const { chainId, addresses } = network;
  const address = [addresses.StakeRegistry, addresses.Settlement, addresses.Evidence];
  return {
    sender: sender.address.toLowerCase() as Address,
    chainId: () => client.getChainId(),
    head: async () => headerOf(await client.getBlock({ blockTag: 'latest' })),
    header: (number) => client.getBlock({ blockNumber: BigInt(number) }).then(headerOf, notFound),
    eventsOf: async (blockHash) => eventsIn(await client.getLogs({ address, blockHash })),
    eventsBetween: async (from, to) =>
      eventsIn(await client.getLogs({ address, fromBlock: BigInt(from), toBlock: BigInt(to) })),
    async minedAt(txHash) {
      const receipt = await client.getTransactionReceipt({ hash: txHash }).catch(notFound);
      if (receipt === null) return null;
      const { blockNumber, blockHash, status } = receipt;
      return { txHash, blockNumber: Number(blockNumber), blockHash, succeeded: status === 'success' };
    },
    noncesUsed: (number) =>
      client.getTransactionCount({
        address: sender.address,
        ...(number === null ? { blockTag: 'latest' } : { blockNumber: BigInt(number) }),
      }),
    async suggestedFees() {
      const { maxFeePerGas, maxPriorityFeePerGas } = await client.estimateFeesPerGas();
      return { maxFeePerGas, maxPriorityFeePerGas };
    },
    async estimate(to, data) {
      try {
        return { gas: await client.estimateGas({ account: sender.address, to, data }) };
      } catch (error) {
        const reason = revertOf(error);
        if (reason === null) throw error;
        return { reverts: reason };
      }
    },
    async sign(order) {
      const raw = await sender.signTransaction({ ...order, chainId, type: 'eip1559', value: 0n });
      return { raw, txHash: keccak256(raw) };
    },
    async send(raw) {
      try {
        await client.sendRawTransaction({ serializedTransaction: raw });
      } catch (error) {
        if (!(error instanceof BaseError) || !KNOWN.test(`${error.details} ${error.shortMessage}`)) throw error;
      }
    },
    tokenDecimals: () => client.readContract({ address: network.token, abi: TOKEN_ABI, functionName: 'decimals' }),
    ...readings(client, network),
    ...disputeReadings(client, network),
  };
}

function readings(
  client: PublicClient,
  { addresses: { StakeRegistry: registry, Settlement: settlement } }: Network,
): Pick<ChainClient, 'account' | 'keyOwner' | 'pool' | 'claimed'> {
  return {
    async account(account, number) {
      const state = await client.readContract({
        address: registry,
        abi: REGISTRY_ABI,
        functionName: 'accountOf',
        args: [account],
        blockNumber: BigInt(number),
      });
      const { operator, openedAt, active, queued, logOriginHash } = state;
      return { operator: lower(operator), isOpen: openedAt !== 0, active, queued, logOriginHash };
    },
    async keyOwner(key, number) {
      const [account, , answersUntil] = await client.readContract({
        address: registry,
        abi: REGISTRY_ABI,
        functionName: 'keys',
        args: [key],
        blockNumber: BigInt(number),
      });
      return lower(account) === NO_ADDRESS ? null : { account: lower(account), isRetired: answersUntil !== 0 };
    },
    pool: (gateway, number) =>
      client.readContract({
        address: settlement,
        abi: SETTLEMENT_ABI,
        functionName: 'poolOf',
        args: [gateway],
        blockNumber: BigInt(number),
      }),
    claimed: (gateway, payee, number) =>
      client.readContract({
        address: settlement,
        abi: SETTLEMENT_ABI,
        functionName: 'claimed',
        args: [gateway, payee],
        blockNumber: BigInt(number),
      }),
  };
}

function headerOf(block: { number: bigint | null; hash: Hex | null; parentHash: Hex; timestamp: bigint }): Header {
  const { number, hash, parentHash, timestamp } = block;
  if (number === null || hash === null) throw new Error('the node gave a block that is not mined');
  return { number: Number(number), hash, parentHash, atSeconds: Number(timestamp) };
}

function eventsIn(logs: ChainLog[]): readonly ChainEvent[] {
  return parseEventLogs({ abi: EVENTS_ABI, logs }).map((log) => {
    const { blockNumber, logIndex, transactionHash, eventName } = log;
    if (blockNumber === null || logIndex === null || transactionHash === null) {
      throw new Error('the node gave an event that is in no block');
    }
    return {
      blockNumber: Number(blockNumber),
      logIndex,
      txHash: transactionHash,
      name: eventName,
      args: normal(log.args) as Readonly<Record<string, unknown>>,
    };
  });
}

/** Hex in lower case, at any depth. */
function normal(value: unknown): unknown {
  if (typeof value === 'string') return value.startsWith('0x') ? value.toLowerCase() : value;
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(normal);
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, normal(item)]));
}

/** Selector of the contract's error; null where the call failed for another reason. */
function revertOf(error: unknown): string | null {
  if (!(error instanceof BaseError)) return null;
  if (error.walk((cause) => cause instanceof ExecutionRevertedError) === null) return null;
  const carrier = error.walk((cause) => typeof (cause as { data?: unknown } | null)?.data === 'string');
  const data = (carrier as { data?: string } | null)?.data;
  return data === undefined || data.length < 10 ? 'reverted' : data.slice(0, 10);
}

function notFound(error: unknown): null {
  if (error instanceof BlockNotFoundError || error instanceof TransactionReceiptNotFoundError) return null;
  throw error;
}

function lower(address: string): Address {
  return address.toLowerCase() as Address;
}
