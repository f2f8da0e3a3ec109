/**
 * Committed evidence that a generator opens although nobody disputes its answer: which answers, at which positions, and what proves that it is
 * what was sealed (spec-judge.md §7.10). Pure.
 */
import { z } from 'zod';
import type { AuditDraw } from '#protocol/audit';
import { evidenceInRoot } from '#protocol/evidence-tree';
import type { Address } from '#protocol/hash';
import { PPM } from '#protocol/log';
import { zEvidenceItem, zOpening } from '#protocol/messages';
import { outputHash } from '#protocol/request';
import { commitmentHash } from '#protocol/round';
import { CHUNKS_MAX } from '#protocol/schema';
import type { Claim } from '#protocol/typed';

/** Positions of one answer, as many as one response may count (`factors.ts`). */
const POSITIONS = 16;
/**
 * One answer in four: a machine whose logits are off is seen in three responses, so in twelve answers; each costs some 16 · 150 bytes. More
 * would cost without finding sooner what has to be confirmed by several responses anyway.
 */
const OPENED_PPM = 250_000;

export const zOpenedEvidence = z.strictObject({
  /** Of all chunks: the claim signs the last commitment, and each commits to the one before. */
  openings: z.array(zOpening).min(1).max(CHUNKS_MAX),
  items: z.array(zEvidenceItem).min(1).max(POSITIONS),
});
export type OpenedEvidence = z.output<typeof zOpenedEvidence>;

/** Whether an answer's evidence is opened: by the epoch's audit key, whoever answers, audited or not. */
export function isOpenedBy(draw: AuditDraw): boolean {
  return draw.number('open', PPM) < OPENED_PPM;
}

/** Positions that the key draws, ascending and each once: the provider sealed its evidence before it could know them. */
export function positionsBy(draw: AuditDraw, length: number): number[] {
  const drawn = Array.from({ length: POSITIONS }, (_, at) => draw.number(`open/${at}`, length));
  return [...new Set(drawn)].sort((a, b) => a - b);
}

/** Whether opened evidence is what the provider had sealed before it signed its claim over these tokens. */
export function isSealed({ openings, items }: OpenedEvidence, tokens: readonly number[], claim: Claim): boolean {
  const chunks: { readonly firstPosition: number; readonly opening: OpenedEvidence['openings'][number] }[] = [];
  let [previous, first] = [openings[0]!.previous, 0];
  for (const [index, opening] of openings.entries()) {
    const chunk = tokens.slice(first, first + opening.tokenCount);
    const isNext = opening.index === index && opening.jobId === claim.jobId && opening.previous === previous;
    if (!isNext || chunk.length !== opening.tokenCount || outputHash(chunk) !== opening.tokensHash) return false;
    chunks.push({ firstPosition: first, opening });
    previous = commitmentHash(claim.provider as Address, opening);
    first += opening.tokenCount;
  }
  if (previous !== claim.lastCommitment || first !== tokens.length) return false;
  const isOnce = new Set(items.map(({ position }) => position)).size === items.length;
  return (
    isOnce &&
    items.every(({ position, chunkIndex, evidence, path }) => {
      const chunk = chunks[chunkIndex];
      if (chunk === undefined) return false;
      const { firstPosition, opening } = chunk;
      const isThere = position >= firstPosition && position < firstPosition + opening.tokenCount;
      return isThere && evidenceInRoot({ firstPosition, ...opening }, position, evidence, path);
    })
  );
}
