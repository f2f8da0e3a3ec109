/** A copy of a gateway's log that nobody can take back, and what contradicts it (SPEC.md §9). Pure but for the entries it asks for. */
import { canonicalJson } from '#protocol/canonical';
import { fromHex, type Hash, toHex, utf8 } from '#protocol/hash';
import type { ChainCheckpoint } from '#protocol/log';
import { leafHash, merkleLevels, merkleRoot, pathIn } from '#protocol/merkle';
import { forkedLogProof, type Proof, rewrittenLogProof } from './proofs.ts';

/** What the watcher remembers of one log. */
export interface Mirror {
  /** Leaf hashes in order, as they were when they were first seen. */
  readonly leaves: readonly Hash[];
  /** Signed heads, oldest first. */
  readonly heads: readonly ChainCheckpoint[];
}

/** One look at a head. */
export interface LogLook {
  /** The mirror as it is now: what was known is never replaced. */
  readonly mirror: Mirror;
  /** Proofs that the gateway signed two logs. */
  readonly proofs: readonly Proof[];
  /** What is wrong and cannot be proven by signatures; null while all is well. */
  readonly problem: string | null;
}

/** Entries from `start` up to `end`, as JSON; may be fewer. */
export type ReadEntries = (start: number, end: number) => Promise<readonly unknown[]>;

/** Most heads that are kept: at one look in 15 s, 17 hours of them; and the newest covers all leaves. */
const HEADS_MAX = 4096;

/** The leaf hash of an entry as it is served. @throws {Error} on what has no canonical form */
export function leafOfEntry(entry: unknown): Hash {
  return toHex(leafHash(utf8(canonicalJson(entry))));
}

const rootOf = (leaves: readonly Hash[]): Hash => toHex(merkleRoot(leaves.map(fromHex)));

/** Where a leaf stands under the head of the first `size` leaves. */
export function pathUnder(leaves: readonly Hash[], index: number, size: number): Hash[] {
  return pathIn(merkleLevels(leaves.slice(0, size).map(fromHex)), index).map(toHex);
}

/** Compares a head with all that is known, and learns what is new. */
export async function lookAt(mirror: Mirror, head: ChainCheckpoint, read: ReadEntries): Promise<LogLook> {
  const known = mirror.heads.filter(({ origin }) => origin === head.origin);
  const twin = known.find(({ size, root }) => size === head.size && root !== head.root);
  if (twin !== undefined) return { mirror, proofs: [forkedLogProof(twin, head)], problem: null };
  const { leaves } = mirror;
  if (head.size <= leaves.length) {
    // An old head is no fault; one that is not of our log is.
    const isOurs = head.size === 0 || rootOf(leaves.slice(0, head.size)) === head.root;
    return isOurs ? { mirror: remember(mirror, head), proofs: [], problem: null } : searchRewritten(mirror, head, read);
  }
  const grown = [...leaves, ...(await leavesFrom(read, leaves.length, head.size))];
  if (grown.length === head.size && rootOf(grown) === head.root) {
    return { mirror: remember({ ...mirror, leaves: grown }, head), proofs: [], problem: null };
  }
  return searchRewritten(mirror, head, read);
}

function remember(mirror: Mirror, head: ChainCheckpoint): Mirror {
  if (mirror.heads.some(({ origin, size }) => origin === head.origin && size === head.size)) return mirror;
  return { ...mirror, heads: [...mirror.heads, head].slice(-HEADS_MAX) };
}

/** The head does not extend what we know: its own leaves show where, if the gateway gives them. */
async function searchRewritten(mirror: Mirror, head: ChainCheckpoint, read: ReadEntries): Promise<LogLook> {
  const theirs = await leavesFrom(read, 0, head.size);
  if (theirs.length !== head.size || rootOf(theirs) !== head.root) {
    return { mirror, proofs: [], problem: `the entries that are served are not those of checkpoint ${head.size}` };
  }
  const index = theirs.findIndex((leaf, at) => at < mirror.leaves.length && leaf !== mirror.leaves[at]);
  const ours = mirror.heads.findLast(({ origin, size }) => origin === head.origin && size > index);
  if (index < 0 || ours === undefined) {
    return { mirror, proofs: [], problem: `checkpoint ${head.size} does not extend the log that was seen before` };
  }
  const place = (leaves: readonly Hash[], size: number) => ({
    leaf: leaves[index]!,
    index,
    path: pathUnder(leaves, index, size),
  });
  const proof = rewrittenLogProof(ours, place(mirror.leaves, ours.size), head, place(theirs, head.size));
  return { mirror, proofs: [proof], problem: null };
}

async function leavesFrom(read: ReadEntries, start: number, end: number): Promise<Hash[]> {
  const leaves: Hash[] = [];
  while (start + leaves.length < end) {
    const page = await read(start + leaves.length, end);
    if (page.length === 0) break;
    leaves.push(...page.slice(0, end - start - leaves.length).map(leafOfEntry));
  }
  return leaves;
}
