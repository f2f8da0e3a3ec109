/** Honest machines as a table: what came of every pair, and how rare what did not come must be. Pure. */
import { grouped, tableOf } from '../markdown.ts';
import type { HonestColumn } from './honest-column.ts';

/** Why no honest column has a class with options. */
export const OPTIONS_SENTENCE =
  'The six classes of options that the calibration has (`+opt-disabled`, `+opt-basic`, `+opt-extended`, `+alone`, `+prefill-64`, `+prefill-128`) have no column: they are the first engine with its sums in another order, were seen no farther from it in their calibration than it is from itself, and a million tokens of each ' +
  'would have taken the time of the pairs that differ more';

/** All pairs of the newest record of honest machines. Rates are a million tokens' worth; after `≤` the upper end of their 95% interval. */
export function honestTable(columns: readonly HonestColumn[]): string {
  const rate = (count: number, of: number) => {
    const [seen, most] = [count, poissonUpper(count)].map((number) => Number(((1e6 * number) / of).toPrecision(2)));
    return `${seen} (≤ ${most})`;
  };
  return tableOf(
    [
      'honest pair (generator, scorer)',
      'tokens',
      'answers',
      'largest margin',
      'mean, allowed mean',
      'not accepted',
      'quarantines a million tokens',
      'slashes a million tokens',
      'largest wealth',
    ],
    columns.map((one) => [
      `${one.generator}, ${one.scorer}`,
      grouped(one.tokens),
      grouped(one.responses),
      one.largestMargin.toPrecision(2),
      `${one.meanMargin.toPrecision(2)}, ${one.meanAllowed.toPrecision(2)}`,
      String(one.abstained + one.rejected),
      rate(one.quarantines, one.tokens),
      rate(one.slashes, one.tokens),
      one.wealthMax.toPrecision(3),
    ]),
  );
}

/** The mean under which so few events have probability 5%: 3.0 where there was none. */
export function poissonUpper(count: number): number {
  let [low, high] = [0, 10 * (count + 1)];
  while (high - low > 1e-9) {
    const mean = (low + high) / 2;
    let [term, sum] = [Math.exp(-mean), 0];
    for (let k = 0; k <= count; k++, term *= mean / k) sum += term;
    if (sum > 0.05) low = mean;
    else high = mean;
  }
  return high;
}
