/** Disputes that prove themselves go to the chain, where the stake is (spec-chain.md C9.6). */

import type { Clock } from '#protocol/env';
import type { Address, Hash } from '#protocol/hash';
import { commitmentHash } from '#protocol/round';
import { zDisputeBundle } from '../dispute/bundle.ts';
import { enqueueIntent } from '../store/chain-outbox-repo.ts';
import { provableDisputes } from '../store/disputes-repo.ts';
import type { Store } from '../store/handle.ts';
import { type Contracts, proveContradiction } from './calls.ts';

/** Faults that `Evidence` proves by signatures alone. */
const PROVABLE = ['equivocation', 'bad_opening'] as const;

/**
 * Enters a proof for every upheld dispute of these faults about a staked key, once. Not before the gateway's own judge has read the signatures; the appeal
 * is not waited for, since a contract judges again by itself.
 */
export async function raiseEvidence(store: Store, clock: Clock, contracts: Contracts): Promise<void> {
  const found = await store.read((handle) => provableDisputes(handle, PROVABLE));
  for (const { disputeId, provider, jobId, bundleJson } of found) {
    const { contradiction } = zDisputeBundle.parse(JSON.parse(bundleJson));
    if (contradiction === null) continue;
    const isSeal = contradiction.kind === 'opening_does_not_fit';
    const fits =
      isSeal && commitmentHash(provider as Address, contradiction.reveal.opening) === contradiction.sealed.commitment;
    const call = proveContradiction(contracts, { disputeId, jobId: jobId as Hash, fits }, contradiction);
    if (call === null) continue;
    await store.withTx((tx) => enqueueIntent(tx, call, clock.nowMs()));
  }
}
