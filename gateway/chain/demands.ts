/** Demands for the gateway's draw keys and audits, answered in time out of its own store (spec-chain.md C6, C9.6). */
import type { Clock } from '#protocol/env';
import type { Hash } from '#protocol/hash';
import { openDemands } from '../store/chain-demands-repo.ts';
import { enqueueIntent, type Intent, type IntentRow, intentByKey, mayRetry } from '../store/chain-outbox-repo.ts';
import type { Store } from '../store/handle.ts';
import { answerAudit, answerKey, type Contracts, demandIntent } from './calls.ts';
import type { ChainClient, DemandState } from './chain-client.ts';

/** A draw key under its epoch's root, as the contract takes it. */
export interface OpenedKey {
  readonly key: Hash;
  readonly path: readonly Hash[];
}

export interface DemandDeps {
  readonly store: Store;
  readonly client: Pick<ChainClient, 'demand' | 'head'>;
  readonly clock: Clock;
  readonly contracts: Contracts;
  /** A key of an epoch that is over; null where there is none, or its epoch runs. */
  readonly openedKey: (drawRoot: Hash, index: number) => Promise<OpenedKey | null>;
  /** The secret of the audits of an epoch that is over; null where the commitment is not its own, or it runs. */
  readonly openedAudits: (commitment: Hash, epoch: number) => Promise<Hash | null>;
}

/** An open demand, and what is done about it. */
export interface DemandView {
  readonly id: Hash;
  /** In seconds. */
  readonly answerBy: number;
  /** `unanswerable`: nothing in the store opens it; else the state of its transaction. */
  readonly answer: IntentRow['state'] | 'unanswerable' | 'late';
}

/**
 * Enters an answer for every open demand, once; a share of the stake goes where one stays without.
 * @param blockNumber newest applied block: a demand that a reorganisation may take back is not answered yet
 */
export async function answerDemands(deps: DemandDeps, blockNumber: number): Promise<readonly DemandView[]> {
  const views: DemandView[] = [];
  for (const id of await deps.store.read((handle) => openDemands(handle, blockNumber))) {
    const view = await answerOne(deps, id, blockNumber);
    if (view !== null) views.push(view);
  }
  return views;
}

async function answerOne(deps: DemandDeps, id: Hash, blockNumber: number): Promise<DemandView | null> {
  const { store, client, clock } = deps;
  const demand = await client.demand(id, blockNumber);
  const { isOpen, answerBy } = demand;
  // One that was dropped has no event of its own.
  if (!isOpen) return null;
  const known = await store.read((handle) => intentByKey(handle, demandIntent(id)));
  // One that was refused before it was sent may do now.
  if (known !== null && !mayRetry(known, clock.nowMs())) return { id, answerBy, answer: known.state };
  if ((await client.head()).atSeconds >= answerBy) return { id, answerBy, answer: 'late' };
  const call = await answerTo(deps, id, demand);
  if (call === null) return { id, answerBy, answer: 'unanswerable' };
  await store.withTx((tx) => enqueueIntent(tx, call, clock.nowMs()));
  return { id, answerBy, answer: 'queued' };
}

/** Chunks are providers': what they have sealed, they open. */
async function answerTo(deps: DemandDeps, id: Hash, { asks, index, expected }: DemandState): Promise<Intent | null> {
  const { contracts, openedKey, openedAudits } = deps;
  if (asks === 'opening') return null;
  if (asks === 'audit') {
    const secret = await openedAudits(expected, index);
    return secret && answerAudit(contracts, id, secret);
  }
  const opened = await openedKey(expected, index);
  return opened && answerKey(contracts, id, opened);
}
