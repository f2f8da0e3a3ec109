/**
 * Earnings of the ledger become roots on the chain (spec-chain.md C9.5). A root is decided in one transaction, with the checkpoint that it
 * settles, and is the same from then on; the outbox posts it.
 */

import { earningsTree } from '#protocol/earnings';
import type { Domain } from '#protocol/eip712';
import type { Clock } from '#protocol/env';
import type { Address, Hash, Hex } from '#protocol/hash';
import type { RecordedCheckpoint } from '../attest/log-keeper.ts';
import { enqueueIntent, intentByKey } from '../store/chain-outbox-repo.ts';
import {
  earningsBalances,
  insertRoot,
  leavesOf,
  moveRoot,
  newestRoot,
  type RootRow,
  rootsIn,
  standingRoot,
} from '../store/chain-roots-repo.ts';
import { allClaims, totalBase } from '../store/chain-state-repo.ts';
import type { Handle, Store, Tx } from '../store/handle.ts';
import { retainedNano } from '../store/retained-pay.ts';
import { type Contracts, postRoot, ROOT_INTENT } from './calls.ts';
import { type Payee, planRoot, type RootPlan } from './root-plan.ts';

/** What a gateway's log does for a root. */
export interface RootLog {
  readonly keys: { readonly origin: string };
  record(tx: Tx): Promise<RecordedCheckpoint>;
  /** The signature over a durable checkpoint that contracts read. */
  chainSignature(recorded: RecordedCheckpoint): Hex;
}

export interface SettlementDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: RootLog;
  readonly domain: Domain;
  readonly contracts: Contracts;
  readonly account: Address;
  readonly decimals: number;
  /** Least time between two roots, in milliseconds. */
  readonly rootMs: number;
  /** A root could not be posted; its earnings are in the next one. */
  readonly onFailed: (sequence: number) => void;
  /** What the pool does not cover, in base units. */
  readonly onShort: (short: bigint) => void;
}

export class Settlement {
  readonly #deps: SettlementDeps;

  constructor(deps: SettlementDeps) {
    this.#deps = deps;
  }

  /** Whether it is time for a root, and there is something new to promise. */
  async isDue(): Promise<boolean> {
    return this.#deps.store.read(async (handle) => (await this.#plan(handle)) !== null);
  }

  /** Decides the next root, where somebody has earned something since. @returns whether it did */
  async decide(): Promise<boolean> {
    const { store, clock, log, onShort } = this.#deps;
    const plan = await store.withTx(async (tx) => {
      const planned = await this.#plan(tx);
      if (planned === null) return null;
      const head = await log.record(tx);
      const { root } = earningsTree(planned.leaves);
      const decided = { root, totalBase: planned.total.toString(), logSize: head.size, logRoot: head.root };
      await insertRoot(tx, { ...decided, decidedAtMs: clock.nowMs() }, planned.leaves);
      return planned;
    });
    onShort(plan?.short ?? 0n);
    return plan !== null;
  }

  /** Puts decided roots into the outbox, and gives up those that it could not post. */
  async post(): Promise<void> {
    const { store, clock, onFailed } = this.#deps;
    for (const row of await store.read((handle) => rootsIn(handle, 'decided', 1))) {
      const intent = await store.read((handle) => intentByKey(handle, `${ROOT_INTENT}${row.sequence}`));
      if (intent === null) {
        const call = this.#call(row);
        await store.withTx((tx) => enqueueIntent(tx, call, clock.nowMs()));
      } else if (intent.state === 'failed') {
        await store.withTx((tx) => moveRoot(tx, row.sequence, { state: 'failed' }));
        onFailed(row.sequence);
      }
    }
  }

  #call(row: RootRow) {
    const { log, contracts, account } = this.#deps;
    const head = { size: row.logSize, root: row.logRoot as Hash };
    const root = {
      sequence: row.sequence,
      root: row.root as Hash,
      leafCount: row.leafCount,
      total: BigInt(row.totalBase),
    };
    return postRoot(contracts, account, root, { origin: log.keys.origin, ...head }, log.chainSignature(head));
  }

  /** One root after another: the next is planned on what the one before it has promised for sure. */
  async #plan(handle: Handle): Promise<RootPlan | null> {
    const { clock, rootMs, decimals } = this.#deps;
    const newest = await newestRoot(handle);
    if (newest?.state === 'decided') return null;
    if (newest !== null && clock.nowMs() - newest.decidedAtMs < rootMs) return null;
    const capacity = (await totalBase(handle, 'funded')) - (await totalBase(handle, 'withdrawn'));
    return planRoot(await payeesOf(handle, clock.nowMs()), capacity, decimals);
  }
}

/**
 * Everybody who has earned, claimed or been promised something.
 * @param nowMs leaves out what is retained at this time; null leaves in all that is owed
 */
export async function payeesOf(handle: Handle, nowMs: number | null = null): Promise<Payee[]> {
  const standing = await standingRoot(handle);
  const leaves = standing === null ? [] : await leavesOf(handle, standing.sequence);
  const promised = new Map(leaves.map(({ payee, cumulative }) => [payee, cumulative]));
  const earnings = await earningsBalances(handle);
  const claims = await allClaims(handle);
  const payees: Payee[] = [];
  for (const payee of new Set([...promised.keys(), ...earnings.keys(), ...claims.keys()])) {
    const retained = nowMs === null ? 0n : await retainedNano(handle, payee, nowMs);
    payees.push({
      payee,
      earningsNano: (earnings.get(payee) ?? 0n) - retained,
      claimed: claims.get(payee) ?? 0n,
      promised: promised.get(payee) ?? 0n,
    });
  }
  return payees;
}
