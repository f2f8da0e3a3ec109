/** Whether a gateway opens the draw keys that its log committed to, and what to do where it does not (SPEC.md §8; spec-chain.md C6). */
import { z } from 'zod';
import { drawKeyInTree } from '#protocol/draw';
import type { Rng } from '#protocol/env';
import type { Hash } from '#protocol/hash';
import { type ChainCheckpoint, type LogEntry, zLogEntry } from '#protocol/log';
import { safeParse } from '#protocol/schema';
import { type ChainAccess, ChainError } from '../../contracts/chain/access.ts';
import { allowanceOf, readAs, tokenBalance } from '../chain/account.ts';
import { minedLine } from '../chain/steps.ts';
import type { OpenedKey } from './demands.ts';
import { leafOfEntry } from './log-mirror.ts';
import type { SeenEpoch, WatchState } from './state.ts';

/** Keys of one epoch that are looked at, chosen by chance: a gateway that hides one in ten is found with probability 1/2 per epoch. */
const SAMPLES = 7;
/** Looks without a key before it is demanded: a gateway may be restarting. */
const MISSES_MAX = 3;
/** Each demand binds a bond for days. */
const DEMANDS_MAX = 3;

/** Remembers the epochs among entries that the mirror has taken in. @param start place of the first entry */
export function noteEpochs(state: WatchState, entries: readonly unknown[], start: number): void {
  for (const [at, json] of entries.entries()) {
    const parsed = safeParse(zLogEntry, json);
    if (!parsed.success || parsed.data.type !== 'epoch') continue;
    const { epoch, drawRoot, drawSize, snapshotHash, atMs, auditCommitment } = parsed.data;
    const readable = auditCommitment === undefined;
    const place = start + at;
    if (state.mirror.leaves.at(place) !== leafOfEntry(json) || state.epochs.has(epoch)) continue;
    state.epochs.set(epoch, { place, drawRoot, drawSize, snapshotHash, atMs, readable, state: 'open', misses: 0 });
  }
}

export interface KeyDeps {
  readonly chain: ChainAccess;
  readonly state: WatchState;
  readonly rng: Rng;
  /** What the gateway shows; null where it shows nothing. */
  readonly read: (epoch: number, index: number) => Promise<OpenedKey | null>;
  readonly print: (line: string) => void;
}

/** Looks at keys of each epoch that is over, once; demands on chain the one that stays hidden. */
export async function checkEpochKeys(deps: KeyDeps, head: ChainCheckpoint): Promise<void> {
  const { state } = deps;
  const newest = Math.max(-1, ...state.epochs.keys());
  for (const [number, epoch] of state.epochs) {
    if (epoch.state !== 'open' || number >= newest) continue;
    const hidden = await hiddenKey(deps, number, epoch);
    if (hidden === null) state.epochs.set(number, { ...epoch, state: 'checked' });
    else if (epoch.misses + 1 < MISSES_MAX) state.epochs.set(number, { ...epoch, misses: epoch.misses + 1 });
    else if (await demand(deps, head, number, hidden)) state.epochs.set(number, { ...epoch, state: 'demanded' });
  }
}

/** The first sampled key that is not opened, or not the one that was committed; null where all are. */
async function hiddenKey({ rng, read }: KeyDeps, number: number, epoch: SeenEpoch): Promise<number | null> {
  for (let i = 0; i < SAMPLES; i++) {
    const index = new DataView(rng.bytes(4).buffer).getUint32(0) % epoch.drawSize;
    const opened = await read(number, index);
    if (opened === null || !drawKeyInTree(index, opened.key, opened.path, epoch.drawSize, epoch.drawRoot)) return index;
  }
  return null;
}

async function demand(deps: KeyDeps, head: ChainCheckpoint, number: number, index: number): Promise<boolean> {
  const { chain, state, print } = deps;
  const what = `key ${index} of epoch ${number}, which the gateway hides`;
  const later = Math.min(...[...state.epochs.keys()].filter((other) => other > number));
  if (!state.epochs.get(number)!.readable || !state.epochs.get(later)!.readable) {
    print(`${what}: an entry with audits cannot be shown to the contract, so that it cannot be demanded`);
    return true;
  }
  if (state.demands.size >= DEMANDS_MAX) return false;
  const bond = await readAs(chain, z.bigint(), { callee: 'Evidence', functionName: 'demandBond', args: [] });
  if ((await tokenBalance(chain, chain.sender)) < bond) {
    print(`${what}: the bond of ${bond} base units is not there, so that it cannot be demanded`);
    return false;
  }
  try {
    if ((await allowanceOf(chain, 'Evidence')) < bond) {
      const args = [chain.network.addresses.Evidence, bond];
      await chain.send({ callee: 'token', functionName: 'approve', args });
    }
    const args = [
      { origin: head.origin, size: BigInt(head.size), root: head.root },
      head.signature,
      logged(state, head, number),
      logged(state, head, later),
      index,
    ];
    const mined = await chain.send({ callee: 'Evidence', functionName: 'demandKey', args });
    for (const { args: event } of await demandedIn(chain, mined.blockNumber)) state.demands.add(event.id);
    print(minedLine(`demanded ${what}`, mined));
    return true;
  } catch (error) {
    if (!(error instanceof ChainError)) throw error;
    print(`${what}: ${error.message}`);
    return error.errorName === 'DemandKnown';
  }
}

const zDemanded = z.array(z.object({ args: z.object({ id: z.custom<Hash>() }), transactionHash: z.string() }));

async function demandedIn(chain: ChainAccess, block: bigint) {
  const query = { callee: 'Evidence' as const, eventName: 'Demanded', args: {}, fromBlock: block, toBlock: block };
  return zDemanded.parse(await chain.events(query));
}

/** An epoch's entry and its place under a head, as the contract takes it. */
function logged(state: WatchState, head: ChainCheckpoint, number: number) {
  const { place, drawRoot, drawSize, snapshotHash, atMs } = state.epochs.get(number)!;
  const entry = { atMs: BigInt(atMs), drawRoot, drawSize, epoch: number, snapshotHash } satisfies EpochFields;
  return { entry, place: BigInt(place), path: state.mirror.leaves.pathUnder(place, head.size) };
}

type Epoch = Extract<LogEntry, { type: 'epoch' }>;
type EpochFields = Pick<Epoch, 'drawRoot' | 'drawSize' | 'epoch' | 'snapshotHash'> & { atMs: bigint };
