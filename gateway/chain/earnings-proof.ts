/** What a payee needs to claim its earnings (spec-chain.md C5): built from what is stored, for whoever asks. */
import { type EarningsProofWire, earningsTree } from '#protocol/earnings';
import type { Address, Hash } from '#protocol/hash';
import { blockAtOrBelow } from '../store/chain-blocks-repo.ts';
import { leavesOf, postedRoot } from '../store/chain-roots-repo.ts';
import type { Handle } from '../store/handle.ts';

/** @returns its place under the newest root that is confirmed and active; null where there is none */
export async function earningsProof(
  handle: Handle,
  gateway: Address,
  payee: Address,
): Promise<EarningsProofWire | null> {
  const newest = await blockAtOrBelow(handle, Number.MAX_SAFE_INTEGER);
  const root = newest && (await postedRoot(handle, newest.atSeconds, true));
  if (root === null) return null;
  const leaves = await leavesOf(handle, root.sequence);
  const leaf = leaves.find((entry) => entry.payee === payee);
  if (leaf === undefined) return null;
  const { leafIndex, path } = earningsTree(leaves).placeOf(payee)!;
  return {
    gateway,
    payee,
    rootIndex: root.chainIndex!,
    earnings: {
      root: root.root as Hash,
      leafCount: String(root.leafCount),
      total: root.totalBase,
      logSize: String(root.logSize),
      logRoot: root.logRoot as Hash,
    },
    cumulative: leaf.cumulative.toString(),
    leafIndex,
    path: [...path],
  };
}
