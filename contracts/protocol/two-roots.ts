/** Two signed roots for one round: the gateway's own fault, proven by its two signatures alone (SPEC.md §5). Pure. */
import { z } from 'zod';
import type { Domain } from './eip712.ts';
import type { Address } from './hash.ts';
import { zHash, zSignature, zU32 } from './schema.ts';
import type { Recover } from './signer.ts';
import { digests } from './typed.ts';

const zSignedRoot = z.strictObject({ roundRoot: zHash, signature: zSignature });

/** What a provider keeps when it is asked to open one chunk under two roots. */
export const zTwoRoots = z.strictObject({ roundId: zHash, index: zU32, first: zSignedRoot, second: zSignedRoot });
export type TwoRoots = z.output<typeof zTwoRoots>;

/** Reply of `GET /v1/two-roots`. */
export const zTwoRootsReply = z.strictObject({ items: z.array(zTwoRoots) });

/** The gateway that signed both, or null where this proves nothing. */
export function signerOfTwoRoots(
  { roundId, index, first, second }: TwoRoots,
  { domain, recover }: { readonly domain: Domain; readonly recover: Recover },
): Address | null {
  if (first.roundRoot === second.roundRoot) return null;
  const [one, other] = [first, second].map(({ roundRoot, signature }) =>
    recover(digests.permission(domain, { roundId, index, roundRoot }), signature),
  );
  return one === other ? (one ?? null) : null;
}
