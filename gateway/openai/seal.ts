/** What this side adds to the `assay` member of an answer. */
import type { AnswerEvent } from './answer.ts';

/**
 * What a client needs to repeat the request: the seed as int64, as OpenAI's `seed` takes it (a decimal string, because
 * doubles cannot hold it), the fields that the verdict does not cover, and what log-probabilities were sealed with, and the evidence of
 * witnesses. The seal adds the rest of the `assay` member.
 */
export function ownAssay(final: Extract<AnswerEvent, { type: 'final' }>): Readonly<Record<string, unknown>> {
  const { seed, unverified, sealedLogprobs: logprobs, sealedScores: scores } = final;
  return {
    seed: BigInt.asIntN(64, seed).toString(),
    unverified,
    ...(logprobs === null ? {} : { logprobs }),
    ...(scores === null ? {} : { scores }),
  };
}
