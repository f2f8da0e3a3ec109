/** The Merkle tree over a chunk's evidence, one leaf per token (SPEC.md §12.2). */
import { encodeEvidence, type TokenEvidence } from './evidence.ts';
import { fromHex, type Hash, toHex } from './hash.ts';
import { inclusionProof, leafHash, merkleRoot, verifyInclusion } from './merkle.ts';

function leaves(firstPosition: number, evidence: readonly TokenEvidence[]): Uint8Array[] {
  return evidence.map((item, i) => leafHash(encodeEvidence(firstPosition + i, item)));
}

/** Root over the evidence of consecutive output positions that begin at `firstPosition`. */
export function evidenceRoot(firstPosition: number, evidence: readonly TokenEvidence[]): Hash {
  return toHex(merkleRoot(leaves(firstPosition, evidence)));
}

/** Path of the evidence at `position`. @throws {RangeError} outside the chunk */
export function evidencePath(firstPosition: number, evidence: readonly TokenEvidence[], position: number): Hash[] {
  return inclusionProof(leaves(firstPosition, evidence), position - firstPosition).map(toHex);
}

/** Whether the opened evidence is the one that was committed. */
export function evidenceInRoot(
  chunk: { firstPosition: number; tokenCount: number; evidenceRoot: Hash },
  position: number,
  evidence: TokenEvidence,
  path: readonly Hash[],
): boolean {
  return verifyInclusion(
    leafHash(encodeEvidence(position, evidence)),
    position - chunk.firstPosition,
    chunk.tokenCount,
    path.map(fromHex),
    fromHex(chunk.evidenceRoot),
  );
}
