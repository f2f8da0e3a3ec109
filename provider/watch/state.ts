/** What a watcher must remember between looks: the log as it was, and what it is about to prove. One folder, written atomically. */
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { type EarningsProof, earningsProofWire, zEarningsProof } from '#protocol/earnings';
import { safeParse, zAddress, zHash, zTimeMs, zU32, zU128 } from '#protocol/schema';
import { LeafTree } from './leaf-tree.ts';
import type { Mirror } from './log-mirror.ts';
import type { Proof } from './proofs.ts';

const zHex = z.string().regex(/^0x([0-9a-f]{2})*$/) as unknown as z.ZodType<`0x${string}`, `0x${string}`>;

const zHead = z.strictObject({
  origin: z.string(),
  size: z.int().min(0),
  root: zHash,
  address: zAddress,
  signature: zHex,
});

/** One fault on its way to the chain. The salt is kept before it is announced: whoever loses it loses the reward. */
const zRaised = z.strictObject({
  salt: zHash,
  fault: z.string(),
  account: zAddress,
  state: z.enum(['found', 'announced', 'proven', 'late']),
});
export type Raised = z.output<typeof zRaised>;

/** An epoch as the log has it, at `place`; `misses` counts looks at which its keys were not opened though it was over. */
const zEpoch = z.strictObject({
  place: z.int().min(0),
  drawRoot: zHash,
  drawSize: zU32,
  snapshotHash: zHash,
  atMs: zTimeMs,
  /** Its audits (SPEC.md §8.1), null where there are none; `secret` is the one that opened them in the log. */
  audits: z
    .strictObject({
      commitment: zHash,
      ppm: zU32,
      secret: zHash.nullable(),
      state: z.enum(['open', 'demanded']),
      misses: z.int().min(0),
    })
    .nullable(),
  state: z.enum(['open', 'checked', 'demanded']),
  misses: z.int().min(0),
});
export type SeenEpoch = z.output<typeof zEpoch>;

const zState = z.strictObject({
  version: z.literal(1),
  leafCount: z.int().min(0),
  heads: z.array(zHead),
  raised: z.record(z.string(), zRaised),
  /** Proofs that are not on the chain yet, as text: what showed them may be gone. */
  pending: z.record(z.string(), z.string()),
  /** Epochs of the log, by their number. */
  epochs: z.record(z.string(), zEpoch),
  /** Demands of this watcher that are open, by id. */
  demands: z.array(zHash),
  /** Most that a root has given the provider so far, in base units. */
  earned: zU128,
  /** The proof of it under the last active root: what a later root is held against. */
  proof: zEarningsProof.nullable().default(null),
  /** Block from which events are read. */
  fromBlock: z.string().regex(/^\d{1,20}$/),
});

export interface WatchState {
  mirror: Mirror;
  readonly raised: Map<string, Raised>;
  readonly pending: Map<string, Proof>;
  readonly epochs: Map<number, SeenEpoch>;
  readonly demands: Set<`0x${string}`>;
  earned: bigint;
  proof: EarningsProof | null;
  fromBlock: bigint;
}

const LEAF_BYTES = 32;

/** The state of a folder; a fresh one where there is none. @throws {Error} on a file that is none of ours */
export function openState(folder: string): WatchState {
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, 'watch.json');
  const fresh = {
    raised: new Map(),
    pending: new Map(),
    epochs: new Map(),
    demands: new Set<`0x${string}`>(),
    earned: 0n,
    proof: null,
    fromBlock: 0n,
  };
  if (!existsSync(file)) return { mirror: { leaves: new LeafTree(), heads: [] }, ...fresh };
  const parsed = safeParse(zState, jsonOf(readFileSync(file, 'utf8')));
  if (!parsed.success)
    throw new Error(`${file} is damaged: a watcher that forgets proves less; restore it or remove it`);
  const { leafCount, heads, raised, pending, epochs, demands, earned, proof, fromBlock } = parsed.data;
  const bytes = existsSync(leavesFile(folder)) ? readFileSync(leavesFile(folder)) : Buffer.alloc(0);
  if (bytes.length < leafCount * LEAF_BYTES) throw new Error(`${leavesFile(folder)} is shorter than ${file} says`);
  // What follows the count was being appended when the watcher ended.
  const leaves = Array.from({ length: leafCount }, (_, at) => {
    const leaf = bytes.subarray(at * LEAF_BYTES, (at + 1) * LEAF_BYTES);
    return `0x${leaf.toString('hex')}` as const;
  });
  return {
    mirror: { leaves: new LeafTree(leaves), heads: [...heads] },
    raised: new Map(Object.entries(raised)),
    pending: new Map(Object.entries(pending).map(([evidence, proof]) => [evidence, proofOf(proof)])),
    epochs: new Map(Object.entries(epochs).map(([epoch, value]) => [Number(epoch), value])),
    demands: new Set(demands),
    earned: BigInt(earned),
    proof,
    fromBlock: BigInt(fromBlock),
  };
}

/** Leaves first, so that the state never names one that is not there. @param stored how many leaves the folder has already */
export function saveState(folder: string, state: WatchState, stored: number): void {
  const { leaves, heads } = state.mirror;
  const fresh = Buffer.concat(leaves.from(stored));
  if (fresh.length > 0 || !existsSync(leavesFile(folder))) writeAt(leavesFile(folder), fresh, stored * LEAF_BYTES);
  const text = JSON.stringify({
    version: 1,
    leafCount: leaves.size,
    heads: [...heads],
    raised: Object.fromEntries(state.raised),
    pending: Object.fromEntries([...state.pending].map(([evidence, proof]) => [evidence, proofText(proof)])),
    epochs: Object.fromEntries(state.epochs),
    demands: [...state.demands],
    earned: state.earned.toString(),
    proof: state.proof && earningsProofWire(state.proof),
    fromBlock: state.fromBlock.toString(),
  } satisfies z.input<typeof zState>);
  const file = path.join(folder, 'watch.json');
  writeAt(`${file}.next`, Buffer.from(text), null);
  renameSync(`${file}.next`, file);
}

/** JSON has no bigint: one is `{"n": "5"}`. */
function proofText(proof: Proof): string {
  return JSON.stringify(proof, (_, value: unknown) => (typeof value === 'bigint' ? { n: value.toString() } : value));
}

function proofOf(text: string): Proof {
  return JSON.parse(text, (_, value: unknown) => {
    const isBig = typeof value === 'object' && value !== null && Object.keys(value).join() === 'n';
    return isBig ? BigInt((value as { n: string }).n) : value;
  }) as Proof;
}

const leavesFile = (folder: string): string => path.join(folder, 'leaves');

/** @param position where to write in an existing file; null replaces it */
function writeAt(file: string, bytes: Buffer, position: number | null): void {
  const flags = position === null || !existsSync(file) ? 'w' : 'r+';
  const handle = openSync(file, flags, 0o600);
  try {
    if (bytes.length > 0) writeSync(handle, bytes, 0, bytes.length, position ?? 0);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
