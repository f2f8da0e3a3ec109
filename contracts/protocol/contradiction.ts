/** Signatures of one provider that contradict each other: faults that prove themselves, to anybody (DESIGN §7). Pure. */
import { z } from 'zod';
import type { Domain } from './eip712.ts';
import { type Address, type Hash, ZERO_HASH } from './hash.ts';
import { zClaim, zRevealEvent } from './messages.ts';
import { commitmentHash } from './round.ts';
import { zHash, zSignature, zU32 } from './schema.ts';
import type { Recover } from './signer.ts';
import { digests } from './typed.ts';
import type { Fault } from './verdict.ts';

const zSignedCommitment = z.strictObject({ commitment: zHash, signature: zSignature });
const zSignedClaim = z.strictObject({ claim: zClaim, signature: zSignature });

/** Two commitments for one (job, index); two claims for one job; an opening that does not hash to its commitment. */
export const zContradiction = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('two_commitments'),
    index: zU32,
    first: zSignedCommitment,
    second: zSignedCommitment,
  }),
  z.strictObject({ kind: z.literal('two_claims'), first: zSignedClaim, second: zSignedClaim }),
  z.strictObject({
    kind: z.literal('opening_does_not_fit'),
    sealed: zSignedCommitment,
    /** The commitment before it, which the opening has to name; null for the first. */
    before: zSignedCommitment.nullable(),
    reveal: z.strictObject({ opening: zRevealEvent.shape.opening, signature: zSignature }),
  }),
]);
export type Contradiction = z.output<typeof zContradiction>;

/** The fault that a contradiction is. */
export function faultOf(kind: Contradiction['kind']): Extract<Fault, 'equivocation' | 'bad_opening'> {
  return kind === 'opening_does_not_fit' ? 'bad_opening' : 'equivocation';
}

/** Whose contradiction it is said to be. */
export interface Accused {
  readonly provider: Address;
  readonly jobId: Hash;
}

/** Whether the accused signed both sides, about this job, and they really exclude each other. */
export function contradictionProven(
  contradiction: Contradiction,
  { provider, jobId }: Accused,
  { domain, recover }: { readonly domain: Domain; readonly recover: Recover },
): boolean {
  const signed = (digest: Uint8Array, signature: `0x${string}`) => recover(digest, signature) === provider;
  const committed = (index: number, { commitment, signature }: { commitment: Hash; signature: `0x${string}` }) =>
    signed(digests.commitment(domain, { jobId, index, commitment }), signature);
  switch (contradiction.kind) {
    case 'two_commitments': {
      const { index, first, second } = contradiction;
      return first.commitment !== second.commitment && committed(index, first) && committed(index, second);
    }
    case 'two_claims': {
      const sides = [contradiction.first, contradiction.second];
      const hashes = sides.map(({ claim }) => digests.claim(domain, claim).join());
      return (
        hashes[0] !== hashes[1] &&
        sides.every(({ claim, signature }) => claim.jobId === jobId && signed(digests.claim(domain, claim), signature))
      );
    }
    case 'opening_does_not_fit': {
      const { sealed, before, reveal } = contradiction;
      const { opening, signature } = reveal;
      const { index } = opening;
      if (opening.jobId !== jobId || !committed(index, sealed)) return false;
      if (!signed(digests.reveal(domain, opening), signature)) return false;
      if (commitmentHash(provider, opening) !== sealed.commitment) return true;
      if (index === 0) return opening.previous !== ZERO_HASH;
      // That it names another round root than ours would only be our word: here stands what it has signed itself.
      return before !== null && committed(index - 1, before) && opening.previous !== before.commitment;
    }
  }
}
