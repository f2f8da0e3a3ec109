/** The root of earnings that waits to be active: taken back in time where it gives this provider less than one before it (spec-chain.md C5). */
import { z } from 'zod';
import {
  type EarningsProof,
  earningInTree,
  earningsRootId,
  type PendingEarnings,
  zPendingEarnings,
} from '#protocol/earnings';
import type { Address } from '#protocol/hash';
import { safeParse } from '#protocol/schema';
import { type ChainAccess, ChainError } from '../../contracts/chain/access.ts';
import { readAs } from '../chain/account.ts';
import { timeText } from '../chain/amount.ts';
import { provenEarnings, rootAt } from '../chain/claim.ts';
import { minedLine } from '../chain/steps.ts';
import { callJson } from '../cli/command-io.ts';
import type { RootDeps } from './roots.ts';

type Root = Awaited<ReturnType<typeof rootAt>> & { readonly index: number };

/**
 * Compares the newest root with the last active one that gave this provider something, and disproves it where it takes from it.
 * @returns false where such a root stands, or may: the gateway does not show the leaf
 */
export async function checkPendingRoot(deps: RootDeps): Promise<boolean> {
  const { chain, state, io, gateway: url, print } = deps;
  const before = state.proof;
  const newest = before && (await newestRoot(chain, before.gateway));
  // What is active can be taken back by nobody.
  if (newest === null || before === null || (await chain.nowSeconds()) >= newest.activeAt) return true;
  const { status, body } = await callJson(io, `${url}/v1/earnings/${before.payee}/pending`);
  const parsed = status === 200 ? safeParse(zPendingEarnings, body) : null;
  const pending = parsed?.success ? parsed.data : null;
  if (pending === null || earningsRootId(pending.earnings) !== newest.id) return isFresh(deps, newest, before);
  const own = pending.leaves.find(({ payee }) => payee === before.payee);
  if (own !== undefined && own.cumulative >= before.cumulative) {
    return earningInTree(own, own, pending.earnings) || isFresh(deps, newest, before);
  }
  const gives = own === undefined ? 'no leaf' : `${own.cumulative} base units in all`;
  const first = `root ${before.rootIndex} gave ${before.cumulative}`;
  print(`EARNINGS: root ${newest.index}, not active yet, gives ${gives}, ${first}`);
  try {
    const args = disproof(before, pending, newest.index);
    const mined = await chain.send({ callee: 'Settlement', functionName: 'disproveRoot', args });
    print(minedLine(`took back root ${newest.index} of ${before.gateway}`, mined));
    return true;
  } catch (error) {
    if (!(error instanceof ChainError)) throw error;
    print(`EARNINGS: root ${newest.index} could not be taken back: ${error.message}`);
    return false;
  }
}

/** The root that was posted last; null where there is none. */
async function newestRoot(chain: ChainAccess, gateway: Address): Promise<Root | null> {
  const pool = z.object({ rootCount: z.bigint() });
  const { rootCount } = await readAs(chain, pool, { callee: 'Settlement', functionName: 'poolOf', args: [gateway] });
  const index = Number(rootCount) - 1;
  return index < 0 ? null : { ...(await rootAt(chain, gateway, index)), index };
}

/** Whether a root that the gateway does not show may not be final yet: false, and told, once half of its time is over. */
async function isFresh({ chain, gateway: url, print }: RootDeps, root: Root, before: EarningsProof): Promise<boolean> {
  const call = { callee: 'Settlement' as const, functionName: 'activationDelay', args: [] };
  const delay = await readAs(chain, z.number(), call);
  if (root.activeAt - (await chain.nowSeconds()) > delay / 2) return true;
  const advice = `claim under root ${before.rootIndex} before ${timeText(root.activeAt)}`;
  print(`EARNINGS: ${url} does not show what root ${root.index} gives; ${advice}`);
  return false;
}

/** Arguments of `disproveRoot`. Whether leaves that are shown in place of the payee's prove anything, the contract says. */
function disproof(
  before: EarningsProof,
  { earnings, previous, leaves }: PendingEarnings,
  rootIndex: number,
): unknown[] {
  const own = leaves.find(({ payee }) => payee === before.payee);
  const left = own ?? leaves[0]!;
  const right = own ?? leaves.at(-1)!;
  const placed = ({ cumulative, leafIndex, path }: typeof left) =>
    provenEarnings({ rootIndex, earnings, cumulative, leafIndex, path });
  return [
    before.gateway,
    provenEarnings(before),
    placed(left),
    placed(right),
    [before.payee, left.payee, right.payee],
    rootIndex === before.rootIndex + 1 ? before.earnings : (previous ?? before.earnings),
  ];
}
