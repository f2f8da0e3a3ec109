/** Demands on the chain: answered in time for one's own account, ended where somebody else stayed silent (spec-chain.md C6). */
import { z } from 'zod';
import type { Address, Hash } from '#protocol/hash';
import { zHash } from '#protocol/schema';
import type { Opening } from '#protocol/typed';
import { type ChainAccess, ChainError } from '../../contracts/chain/access.ts';
import { readAs, zChainAddress } from '../chain/account.ts';
import { timeText } from '../chain/amount.ts';
import { minedLine } from '../chain/steps.ts';
import type { WatchState } from './state.ts';

/** Places in the contract's enums. */
export const FAULT_NON_REVEAL = 3;
export const FAULT_HIDDEN_KEY = 9;
export const FAULT_HIDDEN_AUDIT = 10;
const STATUS_OPEN = 1;

const zDemand = z.object({
  account: zChainAddress,
  answerBy: z.number(),
  status: z.number(),
  fault: z.number(),
  index: z.number(),
  expected: zHash,
});
export type Demand = z.output<typeof zDemand>;

/** An opened draw key, as the contract takes it. */
export interface OpenedKey {
  readonly key: Hash;
  readonly path: readonly Hash[];
}

export interface DemandDeps {
  readonly chain: ChainAccess;
  readonly state: WatchState;
  /** Accounts whose demands are answered here. */
  readonly own: ReadonlySet<Address>;
  /** The opening that hashes to a commitment; null where it is not to be had. */
  readonly openingOf: (commitment: Hash) => Promise<Opening | null>;
  /** A draw key under an epoch's root; null where it is not to be had. */
  readonly keyOf: (drawRoot: Hash, index: number) => Promise<OpenedKey | null>;
  /** The secret of audits behind a commitment, as the log opened it; null where it did not. */
  readonly secretOf: (commitment: Hash) => Hash | null;
  readonly print: (line: string) => void;
}

/** Blocks of one query for events: what public nodes allow. */
const BLOCKS_MAX = 5_000n;
/** Blocks that are read again: a chain that is reorganised deeper has other worries. */
const REORG_BLOCKS = 64n;

export function demandOf(chain: ChainAccess, id: Hash): Promise<Demand> {
  return readAs(chain, zDemand, { callee: 'Evidence', functionName: 'demandOf', args: [id] });
}

/** Answers every open demand against the own accounts. @returns how many were answered */
export async function answerDemands(deps: DemandDeps): Promise<number> {
  const { chain, state } = deps;
  if (deps.own.size === 0) return 0;
  const latest = await chain.client.getBlockNumber();
  if (state.fromBlock === 0n) state.fromBlock = await firstBlockOf(chain, latest);
  const ids = new Set<Hash>();
  for (let from = state.fromBlock; from <= latest; from += BLOCKS_MAX) {
    const to = from + BLOCKS_MAX - 1n < latest ? from + BLOCKS_MAX - 1n : latest;
    for (const id of await demandedIds(chain, deps.own, from, to)) ids.add(id);
  }
  let answered = 0;
  let left = false;
  for (const id of ids) {
    const demand = await demandOf(chain, id);
    if (demand.status !== STATUS_OPEN || (await chain.nowSeconds()) >= demand.answerBy) continue;
    if (await answerOne(deps, id, demand)) answered++;
    else left = true;
  }
  // What could not be answered is looked for again; the rest is read once more only as far as a reorganisation reaches.
  if (!left && latest > REORG_BLOCKS && latest - REORG_BLOCKS > state.fromBlock)
    state.fromBlock = latest - REORG_BLOCKS;
  return answered;
}

/** The first block of a demand that can still be open. */
async function firstBlockOf(chain: ChainAccess, latest: bigint): Promise<bigint> {
  const call = { callee: 'Evidence' as const, functionName: 'answerWindow', args: [] };
  const since = BigInt((await chain.nowSeconds()) - (await readAs(chain, z.number(), call)));
  let [low, high] = [0n, latest];
  while (low < high) {
    const middle = (low + high) / 2n;
    const { timestamp } = await chain.client.getBlock({ blockNumber: middle });
    if (timestamp < since) low = middle + 1n;
    else high = middle;
  }
  return low;
}

const zDemanded = z.object({ args: z.object({ id: zHash }) });

async function demandedIds(chain: ChainAccess, own: ReadonlySet<Address>, from: bigint, to: bigint): Promise<Hash[]> {
  const events = await chain.events({
    callee: 'Evidence',
    eventName: 'Demanded',
    args: { account: [...own] },
    fromBlock: from,
    toBlock: to,
  });
  return z
    .array(zDemanded)
    .parse(events)
    .map(({ args }) => args.id);
}

const ASKED_FOR: Readonly<Record<number, string>> = {
  [FAULT_NON_REVEAL]: 'opening',
  [FAULT_HIDDEN_KEY]: 'draw key',
  [FAULT_HIDDEN_AUDIT]: 'secret of the audits',
};

/** The function that answers a demand, and what it takes behind the id; null where that is not to be had. */
async function answerTo(deps: DemandDeps, demand: Demand): Promise<readonly [name: string, args: unknown[]] | null> {
  const { fault, expected, index } = demand;
  if (fault === FAULT_NON_REVEAL) {
    const opening = await deps.openingOf(expected);
    return opening === null ? null : ['answerOpening', [opening]];
  }
  if (fault === FAULT_HIDDEN_AUDIT) {
    const secret = deps.secretOf(expected);
    return secret === null ? null : ['answerAudit', [secret]];
  }
  const opened = await deps.keyOf(expected, index);
  return opened === null ? null : ['answerKey', [opened.key, opened.path]];
}

async function answerOne(deps: DemandDeps, id: Hash, demand: Demand): Promise<boolean> {
  const { chain, print } = deps;
  const what = ASKED_FOR[demand.fault];
  const answer = await answerTo(deps, demand);
  if (answer === null) {
    print(`DEMAND ${id} against ${demand.account}: the ${what} is not to be had; due ${timeText(demand.answerBy)}`);
    return false;
  }
  const [functionName, args] = answer;
  try {
    const mined = await chain.send({ callee: 'Evidence', functionName, args: [id, ...args] });
    print(minedLine(`answered demand ${id} with the ${what}`, mined));
    return true;
  } catch (error) {
    if (!(error instanceof ChainError)) throw error;
    print(`DEMAND ${id} against ${demand.account}: ${error.message}; due ${timeText(demand.answerBy)}`);
    return false;
  }
}

/** Ends this watcher's own demands that were not answered: the share is divided, the bond comes back. */
export async function endSilences({
  chain,
  state,
  print,
}: Pick<DemandDeps, 'chain' | 'state' | 'print'>): Promise<void> {
  for (const id of [...state.demands]) {
    const demand = await demandOf(chain, id);
    if (demand.status !== STATUS_OPEN) {
      state.demands.delete(id);
      continue;
    }
    if ((await chain.nowSeconds()) < demand.answerBy) continue;
    const mined = await chain.send({ callee: 'Evidence', functionName: 'endSilence', args: [id] });
    print(minedLine(`${demand.account} stayed silent on demand ${id}: its share is taken`, mined));
    state.demands.delete(id);
  }
}
