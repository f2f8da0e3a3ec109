/** All that a gateway asks of a chain; viem answers it over JSON-RPC, and tests answer it with a chain of their own. */
import type { Address, Hash, Hex } from '#protocol/hash';
import type { Header } from './follow-core.ts';
import type { Fees, MinedAt } from './outbox-core.ts';

/** One event of the network's contracts. */
export interface ChainEvent {
  readonly blockNumber: number;
  readonly logIndex: number;
  readonly txHash: Hash;
  readonly name: string;
  /** Arguments by name: addresses and hashes in lower case, integers as bigint, structs as objects of those. */
  readonly args: Readonly<Record<string, unknown>>;
}

/** What is signed: the nonce is ours, never the node's. */
export interface TxOrder extends Fees {
  readonly nonce: number;
  readonly to: Address;
  readonly data: Hex;
  readonly gas: bigint;
}

export interface SignedTx {
  readonly txHash: Hash;
  readonly raw: Hex;
}

/** A registry account as the contract has it. */
export interface AccountState {
  readonly operator: Address;
  readonly isOpen: boolean;
  readonly active: bigint;
  readonly queued: bigint;
  readonly logOriginHash: Hash;
}

export interface PoolState {
  readonly funded: bigint;
  readonly withdrawn: bigint;
  readonly committed: bigint;
}

/** A demand as the contract has it (spec-chain.md C6). */
export interface DemandState {
  readonly isOpen: boolean;
  /** Until when an answer counts, in seconds. */
  readonly answerBy: number;
  /** A draw key, the secret of an epoch's audits, or a sealed chunk. */
  readonly asks: 'key' | 'audit' | 'opening';
  /** Of the key or the chunk; the audits' epoch. */
  readonly index: number;
  /** Root of the epoch's keys, or the commitment. */
  readonly expected: Hash;
}

/** A case as the contract has it (spec-chain.md C7). */
export interface CaseState {
  readonly state: 'none' | 'opened' | 'ruled' | 'appealed' | 'settled';
  readonly outcome: 'none' | 'upheld' | 'rejected';
  /** End of the step that it is in, in seconds. */
  readonly deadline: number;
  /** Of the referee sets that judge it. */
  readonly version: number;
  readonly opener: Address;
}

/** Every method but `sign` may fail with whatever the connection fails with; nothing is taken from a failed call. */
export interface ChainClient {
  readonly sender: Address;
  chainId(): Promise<number>;
  head(): Promise<Header>;
  /** The canonical block of a number; null beyond the head. */
  header(number: number): Promise<Header | null>;
  eventsOf(blockHash: Hash): Promise<readonly ChainEvent[]>;
  eventsBetween(from: number, to: number): Promise<readonly ChainEvent[]>;
  /** Where a transaction stands in the canonical chain, or null. */
  minedAt(txHash: Hash): Promise<MinedAt | null>;
  /** Transactions of the sender up to a block; the newest one where none is named. */
  noncesUsed(blockNumber: number | null): Promise<number>;
  suggestedFees(): Promise<Fees>;
  /** @returns gas that the call takes now, or that it would be reverted */
  estimate(to: Address, data: Hex): Promise<{ readonly gas: bigint } | { readonly reverts: string }>;
  sign(order: TxOrder): Promise<SignedTx>;
  /** Hands a transaction to the node; one that it has already is no failure. */
  send(raw: Hex): Promise<void>;
  tokenDecimals(): Promise<number>;
  account(account: Address, blockNumber: number): Promise<AccountState>;
  /** The account that a key belongs to, or null; whether it was retired. */
  keyOwner(
    key: Address,
    blockNumber: number,
  ): Promise<{ readonly account: Address; readonly isRetired: boolean } | null>;
  pool(gateway: Address, blockNumber: number): Promise<PoolState>;
  claimed(gateway: Address, payee: Address, blockNumber: number): Promise<bigint>;
  demand(id: Hash, blockNumber: number): Promise<DemandState>;
  case(caseId: Hash, blockNumber: number): Promise<CaseState>;
  /** @param instance 0 who rules first, 1 who rules on appeal */
  isReferee(version: number, instance: number, member: Address): Promise<boolean>;
  /** What a case costs its opener until it is upheld, in base units. */
  caseBond(): Promise<bigint>;
  tokenBalance(owner: Address): Promise<bigint>;
}
