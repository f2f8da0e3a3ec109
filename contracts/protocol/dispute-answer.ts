/** What an accused provider answers to a ruling: evidence that it had not opened, signed as a move of the dispute (SPEC.md §6.9). Pure. */
import { z } from 'zod';
import { canonicalJson } from './canonical.ts';
import type { Domain } from './eip712.ts';
import { type Hash, sha256, toHex, utf8 } from './hash.ts';
import { EVIDENCE_POSITIONS_MAX, type EvidenceItem, zEvidenceItem } from './messages.ts';
import { zSignature, zTimeMs } from './schema.ts';
import type { Signer } from './signer.ts';
import { type DisputeMove, digests } from './typed.ts';

/** Kind and place of the move: after the ruling that it answers. */
export const ANSWER_KIND = 'answered';
export const ANSWER_SEQUENCE = 4;

/** Body of `POST /v1/provider/disputes/{id}/answer`. */
export const zDisputeAnswer = z.strictObject({
  items: z.array(zEvidenceItem).max(EVIDENCE_POSITIONS_MAX),
  atMs: zTimeMs,
  signature: zSignature,
});
export type DisputeAnswer = z.output<typeof zDisputeAnswer>;

/** What is signed: the evidence by its hash, so that the public move holds no tokens. */
export function answerMove(disputeId: Hash, items: readonly EvidenceItem[], atMs: number): DisputeMove {
  const bodyHash = toHex(sha256(utf8(answerBody(items))));
  return { disputeId, sequence: ANSWER_SEQUENCE, kind: ANSWER_KIND, bodyHash, atMs };
}

/** The move's public body. */
export function answerBody(items: readonly EvidenceItem[]): string {
  return canonicalJson({ count: items.length, itemsHash: toHex(sha256(utf8(canonicalJson(items)))) });
}

/** The body of the call. */
export function signAnswer(
  domain: Domain,
  signer: Signer,
  disputeId: Hash,
  items: readonly EvidenceItem[],
  atMs: number,
): DisputeAnswer {
  const signature = signer.sign(digests.disputeMove(domain, answerMove(disputeId, items, atMs)));
  return { items: [...items], atMs, signature };
}
