/** What a payee needs to claim its earnings, and to see what the next root gives it (spec-chain.md C5): built from what is stored, for whoever asks. */
import { type EarningsProofWire, type EarningsTree, earningsTree, type PendingEarningsWire } from '#protocol/earnings';
import type { Address, Hash } from '#protocol/hash';
import { blockAtOrBelow } from '../store/chain-blocks-repo.ts';
import { leavesOf, postedRoot, type RootRow, rootByChainIndex } from '../store/chain-roots-repo.ts';
import type { Handle } from '../store/handle.ts';

/** @returns its place under the newest root that is confirmed and active; null where there is none */
export async function earningsProof(
  handle: Handle,
  gateway: Address,
  payee: Address,
): Promise<EarningsProofWire | null> {
  const root = await newestConfirmed(handle, true);
  const tree = root && (await treeOf(handle, root));
  if (root === null || tree === null) return null;
  const at = tree.entries.findIndex((entry) => entry.payee === payee);
  if (at < 0) return null;
  return { gateway, rootIndex: root.chainIndex!, earnings: earningsOf(root), ...leafAt(tree, at) };
}

/** @returns what the newest root that is confirmed and not active yet gives the payee, or shows that it has no leaf; null where there is no such root */
export async function pendingEarnings(
  handle: Handle,
  gateway: Address,
  payee: Address,
): Promise<PendingEarningsWire | null> {
  const root = await newestConfirmed(handle, false);
  const tree = root && (await treeOf(handle, root));
  if (root === null || tree === null) return null;
  const { entries } = tree;
  const behind = entries.findIndex((entry) => entry.payee >= payee);
  const places = entries[behind]?.payee === payee ? [behind] : behind < 0 ? [entries.length - 1] : [behind - 1, behind];
  const before = root.chainIndex === 0 ? null : await rootByChainIndex(handle, root.chainIndex! - 1);
  return {
    gateway,
    payee,
    rootIndex: root.chainIndex!,
    earnings: earningsOf(root),
    previous: before === null ? null : earningsOf(before),
    leaves: places.filter((at) => at >= 0).map((at) => leafAt(tree, at)),
  };
}

async function newestConfirmed(handle: Handle, active: boolean): Promise<RootRow | null> {
  const newest = await blockAtOrBelow(handle, Number.MAX_SAFE_INTEGER);
  return newest && postedRoot(handle, newest.atSeconds, active);
}

/** Null where the leaves are gone. */
async function treeOf(handle: Handle, { sequence }: RootRow): Promise<EarningsTree | null> {
  const leaves = await leavesOf(handle, sequence);
  return leaves.length === 0 ? null : earningsTree(leaves);
}

function earningsOf(root: RootRow): EarningsProofWire['earnings'] {
  return {
    root: root.root as Hash,
    leafCount: String(root.leafCount),
    total: root.totalBase,
    logSize: String(root.logSize),
    logRoot: root.logRoot as Hash,
  };
}

function leafAt({ entries, placeOf }: EarningsTree, at: number) {
  const { payee, cumulative } = entries[at]!;
  const { leafIndex, path } = placeOf(payee)!;
  return { payee, cumulative: cumulative.toString(), leafIndex, path: [...path] };
}
