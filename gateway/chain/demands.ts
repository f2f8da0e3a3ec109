/** Demands for the gateway's draw keys, answered in time out of its own store (spec-chain.md C6, C9.6). */
import type { Clock } from '#protocol/env';
import type { Hash } from '#protocol/hash';
import { openDemands } from '../store/chain-demands-repo.ts';
import { enqueueIntent, type IntentRow, intentByKey, mayRetry } from '../store/chain-outbox-repo.ts';
import type { Store } from '../store/handle.ts';
import { answerKey, type Contracts, demandIntent } from './calls.ts';
import type { ChainClient } from './chain-client.ts';

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
  const { store, client, clock, contracts, openedKey } = deps;
  const { isOpen, answerBy, isKey, index, expected } = await client.demand(id, blockNumber);
  // One that was dropped has no event of its own.
  if (!isOpen) return null;
  const known = await store.read((handle) => intentByKey(handle, demandIntent(id)));
  // One that was refused before it was sent may do now.
  if (known !== null && !mayRetry(known, clock.nowMs())) return { id, answerBy, answer: known.state };
  if ((await client.head()).atSeconds >= answerBy) return { id, answerBy, answer: 'late' };
  // Chunks are providers': what they have sealed, they open.
  const opened = isKey ? await openedKey(expected, index) : null;
  if (opened === null) return { id, answerBy, answer: 'unanswerable' };
  const call = answerKey(contracts, id, opened);
  await store.withTx((tx) => enqueueIntent(tx, call, clock.nowMs()));
  return { id, answerBy, answer: 'queued' };
}
