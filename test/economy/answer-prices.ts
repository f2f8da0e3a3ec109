/** What an answer costs in the simulation. */
import { meanTokens, recordedAnswers } from './answers.ts';

/** Price of the mean answer: all figures are in multiples of it. */
export const C_NANO = 1_000_000n;

/** Price of an answer to each kind of order, by the tokens that it has on average. */
export const PRICES_NANO = pricesOf(meanTokens(recordedAnswers().honest));

function pricesOf(tokens: readonly number[]): bigint[] {
  const mean = tokens.reduce((sum, count) => sum + count, 0) / tokens.length;
  return tokens.map((count) => BigInt(Math.round((Number(C_NANO) * count) / mean)));
}
