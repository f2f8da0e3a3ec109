/**
 * Sends what the database says shall happen, once (spec-chain.md C9.3). Whatever a crash cuts short is taken up from there: a try is
 * stored before it is sent, and every later try has the same nonce.
 */
import type { Clock } from '#protocol/env';
import type { Address, Hash, Hex } from '#protocol/hash';
import {
  giveNonce,
  highestNonce,
  type IntentRow,
  insertTry,
  intentsIn,
  moveIntent,
  type TryRow,
  triesOf,
} from '../store/chain-outbox-repo.ts';
import type { Store } from '../store/handle.ts';
import type { ChainClient } from './chain-client.ts';
import {
  confirmedHeight,
  type Fees,
  firstFees,
  laneOf,
  type MinedAt,
  nextNonce,
  nextStep,
  type OutboxTerms,
} from './outbox-core.ts';

/** Transactions without a final block at one time: nodes keep about as many of one sender. */
const IN_FLIGHT_MAX = 16;
/** State may change between the estimate and the block: a quarter more than was estimated. */
const GAS_NUMERATOR = 5n;
const GAS_DENOMINATOR = 4n;

/** One change in the life of an intent, for logs and those who watch. */
export interface ChainMove {
  readonly key: string;
  readonly kind: 'sent' | 'replaced' | 'mined' | 'unmined' | 'confirmed' | 'failed';
  readonly txHash: Hash | null;
  readonly blockNumber: number | null;
  readonly reason: string | null;
}

export interface OutboxDeps {
  readonly store: Store;
  readonly client: ChainClient;
  readonly clock: Clock;
  readonly terms: OutboxTerms;
  readonly onMove: (move: ChainMove) => void;
  /** A node refused or was not reached; the try is sent again. */
  readonly onSendFailed: (key: string, error: unknown) => void;
}

export class Outbox {
  readonly #deps: OutboxDeps;
  #taken: readonly string[] = [];

  constructor(deps: OutboxDeps) {
    this.#deps = deps;
  }

  /** Intents whose nonce somebody else has used, as of the last step. */
  get takenNonces(): readonly string[] {
    return this.#taken;
  }

  /** Looks at everything that is on its way, then sends what waits. @param maySend whether an intent that has no nonce may get one */
  async step(maySend: (key: string) => boolean = () => true): Promise<void> {
    await this.#watch();
    await this.#sendQueued(maySend);
  }

  async #watch(): Promise<void> {
    const { store, client, terms } = this.#deps;
    const open = await store.read((handle) => intentsIn(handle, ['sent', 'mined'], IN_FLIGHT_MAX));
    if (open.length === 0) {
      this.#taken = [];
      return;
    }
    const headNumber = (await client.head()).number;
    const height = confirmedHeight(headNumber, terms.confirmations);
    // Asked for before the receipts: a nonce that is used by then has its receipt by then.
    const noncesUsed = height < 0 ? 0 : await client.noncesUsed(height);
    const fees = await client.suggestedFees();
    const taken: string[] = [];
    for (const intent of open) {
      if ((await this.#advance(intent, { headNumber, noncesUsed }, fees)) === 'nonce_taken')
        taken.push(intent.intentKey);
    }
    this.#taken = taken;
  }

  async #advance(
    intent: IntentRow,
    seen: { readonly headNumber: number; readonly noncesUsed: number },
    fees: Fees,
  ): Promise<'nonce_taken' | null> {
    const { store, clock, terms } = this.#deps;
    const tries = await store.read((handle) => triesOf(handle, intent.intentKey));
    const last = tries.at(-1)!;
    const step = nextStep(
      { nonce: intent.nonce!, mined: minedOf(intent), lastTry: { ...feesOf(last), signedAtMs: last.signedAtMs } },
      { ...seen, mined: await this.#minedTry(tries) },
      fees,
      clock.nowMs(),
      terms,
    );
    switch (step.kind) {
      case 'wait':
        return null;
      case 'nonce_taken':
        return 'nonce_taken';
      case 'resend':
        await this.#send(intent.intentKey, last.rawTx as Hex);
        return null;
      case 'replace':
        await this.#replace(intent, tries.length, step.fees);
        return null;
      case 'unmined':
        await this.#move(intent.intentKey, {
          state: 'sent',
          minedTxHash: null,
          minedBlock: null,
          minedBlockHash: null,
        });
        this.#tell(intent.intentKey, 'unmined', null);
        await this.#send(intent.intentKey, last.rawTx as Hex);
        return null;
      case 'mined':
        await this.#move(intent.intentKey, { state: 'mined', ...minedColumns(step.at) });
        this.#tell(intent.intentKey, 'mined', step.at);
        return null;
      case 'confirmed':
      case 'failed': {
        const failure = step.kind === 'failed' ? 'reverted' : null;
        const ended = { state: step.kind, failure, endedAtMs: clock.nowMs() };
        await this.#move(intent.intentKey, { ...ended, ...minedColumns(step.at) });
        this.#tell(intent.intentKey, step.kind, step.at, failure);
        return null;
      }
    }
  }

  /** Any try may have been mined, also one that was replaced. */
  async #minedTry(tries: readonly TryRow[]): Promise<MinedAt | null> {
    for (const { txHash } of tries.toReversed()) {
      const at = await this.#deps.client.minedAt(txHash as Hash);
      if (at !== null) return at;
    }
    return null;
  }

  async #sendQueued(maySend: (key: string) => boolean): Promise<void> {
    const { store, client } = this.#deps;
    const [queued, open] = await store.read(async (handle) => [
      await intentsIn(handle, ['queued'], IN_FLIGHT_MAX),
      await intentsIn(handle, ['sent', 'mined'], IN_FLIGHT_MAX),
    ]);
    let inFlight = open.length;
    const waiting = new Set<string>();
    for (const intent of queued) {
      if (inFlight >= IN_FLIGHT_MAX) return;
      const lane = laneOf(intent.intentKey);
      if (!maySend(intent.intentKey) || waiting.has(lane)) continue;
      const estimated = await client.estimate(intent.toAddress as Address, intent.callData as Hex);
      if ('reverts' in estimated) {
        // It may follow from one that is on its way; alone, it would only burn gas.
        if (inFlight === 0) await this.#refuse(intent, estimated.reverts);
        else waiting.add(lane);
        continue;
      }
      await this.#sign(intent, (estimated.gas * GAS_NUMERATOR) / GAS_DENOMINATOR);
      inFlight++;
    }
  }

  async #sign(intent: IntentRow, gas: bigint): Promise<void> {
    const { store, client, clock, terms } = this.#deps;
    const key = intent.intentKey;
    const fees = firstFees(await client.suggestedFees(), terms.feeMaxWei);
    const nonce = nextNonce(await store.read(highestNonce), await client.noncesUsed(null));
    const signed = await client.sign({ ...fees, ...callOf(intent), nonce, gas });
    await store.withTx(async (tx) => {
      await giveNonce(tx, key, { nonce, gasLimit: gas });
      await insertTry(tx, tryRow(key, 0, signed, fees, clock.nowMs()));
    });
    this.#tell(key, 'sent', { txHash: signed.txHash, blockNumber: null });
    await this.#send(key, signed.raw);
  }

  async #replace(intent: IntentRow, tryIndex: number, fees: Fees): Promise<void> {
    const { store, client, clock } = this.#deps;
    const key = intent.intentKey;
    const order = { ...fees, ...callOf(intent), nonce: intent.nonce!, gas: BigInt(intent.gasLimit!) };
    const signed = await client.sign(order);
    await store.withTx((tx) => insertTry(tx, tryRow(key, tryIndex, signed, fees, clock.nowMs())));
    this.#tell(key, 'replaced', { txHash: signed.txHash, blockNumber: null });
    await this.#send(key, signed.raw);
  }

  async #refuse(intent: IntentRow, failure: string): Promise<void> {
    await this.#move(intent.intentKey, { state: 'failed', failure, endedAtMs: this.#deps.clock.nowMs() });
    this.#tell(intent.intentKey, 'failed', null, failure);
  }

  /** What a node does not take now is sent again with the next step. */
  async #send(key: string, raw: Hex): Promise<void> {
    await this.#deps.client.send(raw).catch((error: unknown) => this.#deps.onSendFailed(key, error));
  }

  async #move(key: string, change: Parameters<typeof moveIntent>[2]): Promise<void> {
    await this.#deps.store.withTx((tx) => moveIntent(tx, key, change));
  }

  #tell(
    key: string,
    kind: ChainMove['kind'],
    at: { readonly txHash: Hash; readonly blockNumber: number | null } | null,
    reason: string | null = null,
  ): void {
    this.#deps.onMove({ key, kind, txHash: at?.txHash ?? null, blockNumber: at?.blockNumber ?? null, reason });
  }
}

function callOf({ toAddress, callData }: IntentRow): { to: Address; data: Hex } {
  return { to: toAddress as Address, data: callData as Hex };
}

function minedOf({ minedTxHash, minedBlock, minedBlockHash }: IntentRow): Omit<MinedAt, 'succeeded'> | null {
  if (minedTxHash === null || minedBlock === null || minedBlockHash === null) return null;
  return { txHash: minedTxHash as Hash, blockNumber: minedBlock, blockHash: minedBlockHash as Hash };
}

function minedColumns({ txHash, blockNumber, blockHash }: MinedAt) {
  return { minedTxHash: txHash, minedBlock: blockNumber, minedBlockHash: blockHash };
}

function feesOf({ maxFeePerGas, maxPriorityFeePerGas }: TryRow): Fees {
  return { maxFeePerGas: BigInt(maxFeePerGas), maxPriorityFeePerGas: BigInt(maxPriorityFeePerGas) };
}

function tryRow(
  key: string,
  tryIndex: number,
  { txHash, raw }: { readonly txHash: Hash; readonly raw: Hex },
  fees: Fees,
  nowMs: number,
): TryRow {
  return {
    intentKey: key,
    tryIndex,
    txHash,
    rawTx: raw,
    maxFeePerGas: fees.maxFeePerGas.toString(),
    maxPriorityFeePerGas: fees.maxPriorityFeePerGas.toString(),
    signedAtMs: nowMs,
  };
}
