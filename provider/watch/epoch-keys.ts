/** Whether a gateway opens the draw keys and audits that its log committed to, and what to do where it does not (SPEC.md §8; spec-chain.md C6). */
import { z } from 'zod';
import { auditCommitment } from '#protocol/audit';
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
/** In place of the commitment of an epoch without audits, as the contract takes it. */
const NO_AUDITS: Hash = `0x${'00'.repeat(32)}`;
/** Each demand binds a bond for days. */
const DEMANDS_MAX = 3;

/** Remembers the epochs among entries that the mirror has taken in, and what opened their audits. @param start place of the first entry */
export function noteEpochs(state: WatchState, entries: readonly unknown[], start: number): void {
  for (const [at, json] of entries.entries()) {
    const parsed = safeParse(zLogEntry, json);
    const place = start + at;
    if (!parsed.success || state.mirror.leaves.at(place) !== leafOfEntry(json)) continue;
    if (parsed.data.type === 'epoch' && !state.epochs.has(parsed.data.epoch)) {
      state.epochs.set(parsed.data.epoch, seenAt(place, parsed.data));
    }
    if (parsed.data.type === 'audit') noteSecret(state, parsed.data.epoch, parsed.data.secret);
  }
}

function seenAt(place: number, entry: Epoch): SeenEpoch {
  const { drawRoot, drawSize, snapshotHash, atMs, auditCommitment: commitment, auditPpm: ppm } = entry;
  // A share alone says how many scorers are tried, by which secret it does not.
  const audits =
    commitment === undefined ? null : { commitment, ppm: ppm ?? 0, secret: null, state: 'open' as const, misses: 0 };
  return { place, drawRoot, drawSize, snapshotHash, atMs, audits, state: 'open', misses: 0 };
}

/** A secret that is not the committed one opens nothing. */
function noteSecret(state: WatchState, number: number, secret: Hash): void {
  const epoch = state.epochs.get(number);
  if (!epoch?.audits || auditCommitment(secret) !== epoch.audits.commitment) return;
  state.epochs.set(number, { ...epoch, audits: { ...epoch.audits, secret } });
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
    else {
      const what = `key ${hidden} of epoch ${number}, which the gateway hides`;
      const isDone = await demand(deps, head, number, { what, functionName: 'demandKey', more: [hidden] });
      if (isDone) state.epochs.set(number, { ...state.epochs.get(number)!, state: 'demanded' });
    }
  }
}

/** Demands on chain the secret of audits of an epoch that is over, where the log does not open it. */
export async function checkAudits(deps: Omit<KeyDeps, 'read' | 'rng'>, head: ChainCheckpoint): Promise<void> {
  const { state } = deps;
  const newest = Math.max(-1, ...state.epochs.keys());
  for (const [number, epoch] of state.epochs) {
    const { audits } = epoch;
    if (audits === null || audits.state !== 'open' || audits.secret !== null || number >= newest) continue;
    if (audits.misses + 1 < MISSES_MAX) {
      state.epochs.set(number, { ...epoch, audits: { ...audits, misses: audits.misses + 1 } });
      continue;
    }
    const what = `the secret of the audits of epoch ${number}, which the log does not open`;
    const isDone = await demand(deps, head, number, { what, functionName: 'demandAudit', more: [] });
    if (isDone) state.epochs.set(number, { ...epoch, audits: { ...audits, state: 'demanded' } });
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

interface Asked {
  readonly what: string;
  readonly functionName: 'demandKey' | 'demandAudit';
  /** Arguments after the two entries. */
  readonly more: readonly unknown[];
}

type DemandDeps = Pick<KeyDeps, 'chain' | 'state' | 'print'>;

async function demand(deps: DemandDeps, head: ChainCheckpoint, number: number, asked: Asked): Promise<boolean> {
  const { chain, state, print } = deps;
  const { what, functionName, more } = asked;
  const later = Math.min(...[...state.epochs.keys()].filter((other) => other > number));
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
      loggedEpoch(state, head, number),
      loggedEpoch(state, head, later),
      ...more,
    ];
    const mined = await chain.send({ callee: 'Evidence', functionName, args });
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
export function loggedEpoch(
  { epochs, mirror }: Pick<WatchState, 'epochs' | 'mirror'>,
  { size }: ChainCheckpoint,
  number: number,
) {
  const epoch = epochs.get(number)!;
  const { place } = epoch;
  return { entry: epochFields(number, epoch), place: BigInt(place), path: mirror.leaves.pathUnder(place, size) };
}

/** The members of an epoch's entry, as the contract takes them. */
export function epochFields(epoch: number, seen: SeenEpoch): EpochFields {
  const { drawRoot, drawSize, snapshotHash, atMs, audits } = seen;
  return {
    atMs: BigInt(atMs),
    auditCommitment: audits?.commitment ?? NO_AUDITS,
    auditPpm: audits?.ppm ?? 0,
    drawRoot,
    drawSize,
    epoch,
    snapshotHash,
  };
}

type Epoch = Extract<LogEntry, { type: 'epoch' }>;
type EpochFields = Required<Omit<Epoch, 'type' | 'atMs'>> & { atMs: bigint };
