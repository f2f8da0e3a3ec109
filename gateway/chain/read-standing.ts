/** Reads ledger, tables and chain as of one confirmed block, for `differencesIn` (spec-chain.md C9.7). */
import type { Address } from '#protocol/hash';
import { CHAIN_IN, CHAIN_OUT, MONEY_IN, MONEY_OUT } from '../ledger/chain-money.ts';
import { appliedBlock, eventsNano, hasDeepReorg, ledgerMovedNano } from '../store/chain-blocks-repo.ts';
import { rootsIn } from '../store/chain-roots-repo.ts';
import { allClaims, allStakes, totalBase } from '../store/chain-state-repo.ts';
import type { Handle, Store } from '../store/handle.ts';
import type { ChainClient } from './chain-client.ts';
import type { Pair, Standing } from './reconcile.ts';
import { payeesOf } from './settlement.ts';
import { baseOf } from './units.ts';

/** What the database says by itself. */
type Known = Omit<Standing, 'takenNonces'> & { readonly blockNumber: number };

/** @returns null while nothing of the chain has become final */
export async function readStanding(
  store: Store,
  client: ChainClient,
  gateway: Address,
  decimals: number,
  takenNonces: readonly string[],
): Promise<Standing | null> {
  // One transaction: all of it is of one moment.
  const known = await store.withTx((tx) => readKnown(tx, decimals));
  if (known === null) return null;
  const { blockNumber, ...standing } = known;
  // A final block that is gone cannot be asked about.
  if (standing.deepReorg) return { ...standing, takenNonces };
  const pool = await client.pool(gateway, blockNumber);
  const stakes: Pair[] = [];
  for (const { subject, expected } of standing.stakes) {
    const { active, queued } = await client.account(subject as Address, blockNumber);
    stakes.push({ subject, expected, found: active + queued });
  }
  const claims: Pair[] = [];
  for (const { subject, expected } of standing.claims) {
    claims.push({ subject, expected, found: await client.claimed(gateway, subject as Address, blockNumber) });
  }
  return {
    ...standing,
    stakes,
    claims,
    funded: { ...standing.funded, found: pool.funded },
    withdrawn: { ...standing.withdrawn, found: pool.withdrawn },
    promised: { ...standing.promised, found: pool.committed },
    takenNonces,
  };
}

/** Every pair with what is expected on both sides. */
async function readKnown(handle: Handle, decimals: number): Promise<Known | null> {
  const applied = await appliedBlock(handle);
  if (applied === null) return null;
  const pair = (expected: bigint) => ({ expected, found: expected });
  const claims = await allClaims(handle);
  const payees = await payeesOf(handle);
  const posted = await rootsIn(handle, 'posted', 1);
  return {
    blockNumber: applied.number,
    deepReorg: await hasDeepReorg(handle),
    stakes: (await allStakes(handle)).map(({ account, activeBase, queuedBase }) => ({
      subject: account,
      ...pair(BigInt(activeBase) + BigInt(queuedBase)),
    })),
    funded: pair(await totalBase(handle, 'funded')),
    withdrawn: pair(await totalBase(handle, 'withdrawn')),
    promised: pair(BigInt(posted[0]?.totalBase ?? 0)),
    claims: [...claims].map(([subject, amount]) => ({ subject, ...pair(amount) })),
    ledgerIn: {
      expected: await eventsNano(handle, MONEY_IN, applied.number),
      // Deposits come out of the account `external`, which therefore falls.
      found: -(await ledgerMovedNano(handle, CHAIN_IN)),
    },
    ledgerOut: {
      expected: await eventsNano(handle, MONEY_OUT, applied.number),
      found: await ledgerMovedNano(handle, CHAIN_OUT),
    },
    owed: payees.map(({ payee, promised, claimed, earningsNano }) => ({
      payee,
      promised: promised - claimed,
      owes: baseOf(earningsNano, decimals),
    })),
    foreignRoots: (await rootsIn(handle, 'foreign', 1)).map(({ chainIndex }) => String(chainIndex)),
    disabledRoots: (await rootsIn(handle, 'disabled', 1)).map(({ sequence }) => String(sequence)),
  };
}
