/** Evidence as `Evidence` and `DrawEvidence` take it: one call that convicts by signatures alone (spec-chain.md C6). Pure. */
import { addressWord, claimChanges, type Draw, DrawStruct } from '#protocol/chain-messages';
import type { Contradiction } from '#protocol/contradiction';
import { type Address, concat, fromHex, type Hash, type Hex, keccak256, toHex } from '#protocol/hash';
import type { ChainCheckpoint } from '#protocol/log';
import { commitmentHash } from '#protocol/round';
import type { TwoRoots } from '#protocol/two-roots';
import {
  type AttestationSeal,
  AttestationStruct,
  CheckpointStruct,
  ClaimStruct,
  CommitmentStruct,
  PermissionStruct,
  RevealStruct,
} from '#protocol/typed';

/** One proof, ready to be announced and sent. */
export interface Proof {
  readonly callee: 'Evidence' | 'DrawEvidence';
  readonly functionName: string;
  /** In the order of the contract; the salt of the announcement comes last and is added when it is sent. */
  readonly args: readonly unknown[];
  /** What is announced, and what the contract calls the evidence. */
  readonly evidence: Hash;
  /** The key that contradicts itself. */
  readonly key: Address;
  readonly fault: string;
}

/** A leaf where it stands under a signed head. */
export interface PlacedLeaf {
  readonly leaf: Hash;
  readonly index: number;
  readonly path: readonly Hash[];
}

/** keccak256(abi.encode(evidence, reporter, salt)): shows nothing, and keeps the reward from whoever copies the proof. */
export function announcementOf(evidence: Hash, reporter: Address, salt: Hash): Hash {
  return toHex(keccak256(concat(fromHex(evidence), addressWord(reporter), fromHex(salt))));
}

/** The contract's name of a pair, the same in either order. */
function pair(a: Uint8Array, b: Uint8Array): Hash {
  const [first, second] = toHex(a) < toHex(b) ? [a, b] : [b, a];
  return toHex(keccak256(concat(first, second)));
}

/** Null where a contract cannot see it: an opening that names another chunk before it hashes to its commitment all the same. */
export function contradictionProof(contradiction: Contradiction, jobId: Hash, key: Address): Proof | null {
  const by = { callee: 'Evidence' as const, key };
  switch (contradiction.kind) {
    case 'two_commitments': {
      const { index, first, second } = contradiction;
      const hash = (commitment: Hash) => CommitmentStruct.hash({ jobId, index, commitment });
      const args = [jobId, index, first.commitment, first.signature, second.commitment, second.signature];
      const evidence = pair(hash(first.commitment), hash(second.commitment));
      return { ...by, functionName: 'proveTwoCommitments', args, evidence, fault: 'equivocation' };
    }
    case 'two_claims': {
      const { first, second } = contradiction;
      const { places, words } = claimChanges(first.claim, second.claim);
      const args = [first.claim, first.signature, places, words, second.signature];
      const evidence = pair(ClaimStruct.hash(first.claim), ClaimStruct.hash(second.claim));
      return { ...by, functionName: 'proveTwoClaims', args, evidence, fault: 'equivocation' };
    }
    case 'opening_does_not_fit': {
      const { sealed, reveal } = contradiction;
      if (commitmentHash(key, reveal.opening) === sealed.commitment) return null;
      const { commitment, signature } = sealed;
      const { index } = reveal.opening;
      const evidence = pair(CommitmentStruct.hash({ jobId, index, commitment }), RevealStruct.hash(reveal.opening));
      const args = [commitment, signature, reveal.opening, reveal.signature];
      return { ...by, functionName: 'proveBadOpening', args, evidence, fault: 'bad_opening' };
    }
  }
}

export function twoRootsProof({ roundId, index, first, second }: TwoRoots, key: Address): Proof {
  const hash = (roundRoot: Hash) => PermissionStruct.hash({ roundId, index, roundRoot });
  return {
    callee: 'Evidence',
    functionName: 'proveTwoRoots',
    args: [roundId, index, first.roundRoot, first.signature, second.roundRoot, second.signature],
    evidence: pair(hash(first.roundRoot), hash(second.roundRoot)),
    key,
    fault: 'two_roots',
  };
}

const headOf = ({ origin, size, root }: ChainCheckpoint) => ({ origin, size: BigInt(size), root });
const headHash = ({ origin, size, root }: ChainCheckpoint) => CheckpointStruct.hash({ origin, size, root });
const leafOf = ({ leaf, index, path }: PlacedLeaf) => ({ leaf, index: BigInt(index), path });

/** Two heads of one size with different roots. */
export function forkedLogProof(first: ChainCheckpoint, second: ChainCheckpoint): Proof {
  return {
    callee: 'Evidence',
    functionName: 'proveForkedLog',
    args: [headOf(first), first.signature, headOf(second), second.signature],
    evidence: pair(headHash(first), headHash(second)),
    key: first.address,
    fault: 'forked_log',
  };
}

/** Two heads, of whatever sizes, that hold different leaves at one index. */
export function rewrittenLogProof(
  first: ChainCheckpoint,
  firstLeaf: PlacedLeaf,
  second: ChainCheckpoint,
  secondLeaf: PlacedLeaf,
): Proof {
  return {
    callee: 'Evidence',
    functionName: 'proveRewrittenLog',
    args: [headOf(first), first.signature, leafOf(firstLeaf), headOf(second), second.signature, leafOf(secondLeaf)],
    evidence: pair(headHash(first), headHash(second)),
    key: first.address,
    fault: 'forked_log',
  };
}

/** An attestation as it was signed. */
export interface SignedSeal {
  readonly seal: AttestationSeal;
  readonly signature: Hex;
  readonly key: Address;
}

const sealArg = (seal: AttestationSeal) => ({
  ...seal,
  logIndex: BigInt(seal.logIndex),
  issuedAtMs: BigInt(seal.issuedAtMs),
});

/** An attestation whose place in the log holds another entry. @param entry that entry's text */
export function notLoggedProof(
  { seal, signature, key }: SignedSeal,
  head: ChainCheckpoint,
  entry: Uint8Array,
  path: readonly Hash[],
): Proof {
  return {
    callee: 'Evidence',
    functionName: 'proveNotLogged',
    args: [sealArg(seal), signature, headOf(head), head.signature, toHex(entry), path],
    evidence: pair(AttestationStruct.hash(seal), headHash(head)),
    key,
    fault: 'contradicting_attestation',
  };
}

/** An attestation that lists one claim at two places. @param digests of all its claims, in order */
export function repeatedClaimProof(
  { seal, signature, key }: SignedSeal,
  digests: readonly Hash[],
  i: number,
  j: number,
): Proof {
  return {
    callee: 'Evidence',
    functionName: 'proveRepeatedClaim',
    args: [sealArg(seal), signature, digests, BigInt(i), BigInt(j)],
    evidence: toHex(AttestationStruct.hash(seal)),
    key,
    fault: 'contradicting_attestation',
  };
}

/** One provider of a snapshot as the contract reads it: `rest` is its canonical JSON between digests and stake. */
export interface DrawEntry {
  readonly provider: Address;
  readonly modelDigests: readonly Hash[];
  readonly rest: Hex;
  readonly stakeNano: bigint;
}

/** A signed draw whose order is not that of its key and snapshot. */
export function falseDrawProof(
  draw: Draw,
  signature: Hex,
  key: Address,
  capNano: bigint,
  entries: readonly DrawEntry[],
): Proof {
  return {
    callee: 'DrawEvidence',
    functionName: 'proveFalseDraw',
    args: [draw, signature, capNano, entries],
    evidence: toHex(DrawStruct.hash(draw)),
    key,
    fault: 'false_draw',
  };
}

/**
 * A signed draw that is not of its epoch.
 * @param epoch the epoch's entry under the head, as the contract takes it
 * @param against the key that the epoch's root holds at the draw's index; not looked at where snapshot or index are foreign
 */
export function foreignDrawProof(
  draw: Draw,
  signature: Hex,
  key: Address,
  head: ChainCheckpoint,
  epoch: unknown,
  against: { readonly key: Hash; readonly path: readonly Hash[] },
): Proof {
  return {
    callee: 'DrawEvidence',
    functionName: 'proveForeignDraw',
    args: [draw, signature, headOf(head), head.signature, epoch, against.key, against.path],
    evidence: toHex(DrawStruct.hash(draw)),
    key,
    fault: 'false_draw',
  };
}
