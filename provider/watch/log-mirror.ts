/** A copy of a gateway's log that nobody can take back, and what contradicts it (SPEC.md §9). Pure but for the entries it asks for. */
import { canonicalJson } from '#protocol/canonical';
import { type Hash, toHex, utf8 } from '#protocol/hash';
import type { ChainCheckpoint } from '#protocol/log';
import { leafHash } from '#protocol/merkle';
import { LeafTree } from './leaf-tree.ts';
import { forkedLogProof, type Proof, rewrittenLogProof } from './proofs.ts';

/** What the watcher remembers of one log. */
export interface Mirror {
  /** Leaf hashes in order, as they were when they were first seen; what a head has covered never changes. */
  readonly leaves: LeafTree;
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

/** Compares a head with all that is known, and learns what is new; costs what is new, unless the head contradicts what is known. */
export async function lookAt(mirror: Mirror, head: ChainCheckpoint, read: ReadEntries): Promise<LogLook> {
  const known = mirror.heads.filter(({ origin }) => origin === head.origin);
  const twin = known.find(({ size, root }) => size === head.size && root !== head.root);
  if (twin !== undefined) return { mirror, proofs: [forkedLogProof(twin, head)], problem: null };
  const { leaves } = mirror;
  if (head.size <= leaves.size) {
    // An old head is no fault; one that is not of our log is.
    const isOurs = head.size === 0 || leaves.rootOf(head.size) === head.root;
    return isOurs ? { mirror: remember(mirror, head), proofs: [], problem: null } : searchRewritten(mirror, head, read);
  }
  const before = leaves.size;
  for (const leaf of await leavesFrom(read, before, head.size)) leaves.append(leaf);
  if (leaves.size === head.size && leaves.rootOf(head.size) === head.root) {
    return { mirror: remember(mirror, head), proofs: [], problem: null };
  }
  // What no head covers was never seen.
  leaves.truncate(before);
  return searchRewritten(mirror, head, read);
}

function remember(mirror: Mirror, head: ChainCheckpoint): Mirror {
  if (mirror.heads.some(({ origin, size }) => origin === head.origin && size === head.size)) return mirror;
  return { ...mirror, heads: [...mirror.heads, head].slice(-HEADS_MAX) };
}

/** The head does not extend what we know: its own leaves show where, if the gateway gives them. */
async function searchRewritten(mirror: Mirror, head: ChainCheckpoint, read: ReadEntries): Promise<LogLook> {
  const served = await leavesFrom(read, 0, head.size);
  const theirs = new LeafTree(served);
  if (theirs.size !== head.size || theirs.rootOf(head.size) !== head.root) {
    return { mirror, proofs: [], problem: `the entries that are served are not those of checkpoint ${head.size}` };
  }
  const index = served.findIndex((leaf, at) => at < mirror.leaves.size && leaf !== mirror.leaves.at(at));
  const ours = mirror.heads.findLast(({ origin, size }) => origin === head.origin && size > index);
  if (index < 0 || ours === undefined) {
    return { mirror, proofs: [], problem: `checkpoint ${head.size} does not extend the log that was seen before` };
  }
  const place = (leaves: LeafTree, size: number) => ({
    leaf: leaves.at(index)!,
    index,
    path: leaves.pathUnder(index, size),
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
