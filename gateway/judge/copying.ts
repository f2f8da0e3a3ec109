/** Whether two providers with seeds of their own can have written the same tokens by chance (spec-judge.md §7.10). Pure. */
import { LOGIT_Q16_MIN, LOGIT_SCALE, type TokenEvidence } from '#protocol/evidence';
import type { Sampling } from '#protocol/sampling';
import type { DifferenceBounds } from './compensator.ts';

/** Equal transcripts below this probability convict in a canary round. */
export const COPY_PROBABILITY_MAX = 1e-9;

/**
 * Upper bound of the probability that an honest provider with fresh noise writes exactly these tokens, T > 0. A token's
 * probability is at most its weight over the weights that are listed; the generator's logits may differ by `tie`.
 * The bound is one of identity by chance only: at T = 0 identical answers are what honesty looks like.
 * @param evidence a scorer's, for the tokens that both wrote
 * @returns 1 where nothing can be said
 */
export function copyProbability(
  evidence: readonly TokenEvidence[],
  { temperature, topP }: Pick<Sampling, 'temperature' | 'topP'>,
  { tie }: Pick<DifferenceBounds, 'tie'>,
): number {
  if (temperature === 0) return 1;
  let log = 0;
  for (const { chosen, chosenLogit, top, lastKeptLogit } of evidence) {
    // Under top-p another machine may have kept fewer tokens, and so given this one more.
    if (topP < 1 && lastKeptLogit !== LOGIT_Q16_MIN) continue;
    const others = top.filter(([id]) => id !== chosen);
    const against = others.reduce(
      (sum, [, logit]) => sum + Math.exp((logit - chosenLogit) / LOGIT_SCALE / temperature),
      0,
    );
    log += Math.min(0, tie / temperature - Math.log1p(against));
  }
  return Math.exp(log);
}

/** A round under another seed, in which a provider could have copied. */
export interface CopyTest {
  /** That an honest provider writes the other's tokens: `copyProbability`, known before it answers. */
  readonly probability: number;
  /** Whether it wrote them. */
  readonly isSame: boolean;
}

/**
 * The factor of the bet that it copies. The share w of the wealth is at stake: 1 - w where the tokens differ, 1 - w + w / p where they are the same. Its
 * mean for an honest provider is 1 at most, since that writes them with probability p at most; w is what makes the win `most`, so that nearly
 * nothing is paid where nobody copies. No bet where the same tokens could be chance.
 */
export function copyFactor({ probability, isSame }: CopyTest, most: number): number {
  if (probability > COPY_PROBABILITY_MAX) return 1;
  const stake = Math.min(1, most * probability);
  return 1 - stake + (isSame ? Math.min(most, stake / probability) : 0);
}
