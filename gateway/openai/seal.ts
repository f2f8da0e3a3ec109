/** What this side adds to the `assay` member of an answer. */
import type { AnswerEvent } from './answer.ts';

/**
 * What a client needs to repeat the request: the seed as int64, as OpenAI's `seed` takes it (a decimal string, because
 * doubles cannot hold it), and the fields that the verdict does not cover. The seal adds the rest of the `assay` member.
 */
export function ownAssay(final: Extract<AnswerEvent, { type: 'final' }>): Readonly<Record<string, unknown>> {
  return { seed: BigInt.asIntN(64, final.seed).toString(), unverified: final.unverified };
}
