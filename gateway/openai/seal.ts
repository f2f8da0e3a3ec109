/** What this side adds to the `assay` member of a sealed answer. */
import type { AnswerEvent, SealedAnswer } from './answer.ts';

/**
 * The `assay` member with what a client needs to repeat the request: the seed as int64, as OpenAI's `seed` takes it
 * (a decimal string, because doubles cannot hold it), and the fields that the verdict does not cover.
 */
export function sealedAssay(
  final: Extract<AnswerEvent, { type: 'final' }>,
  sealed: SealedAnswer,
): Readonly<Record<string, unknown>> {
  return { ...sealed.assay, seed: BigInt.asIntN(64, final.seed).toString(), unverified: final.unverified };
}
