/** Upper confidence bound of a rate whose events come in dependent clusters (spec-judge.md §7.2). Pure. */

/** One cluster: how many of its positions had the event. Clusters are independent, positions inside one need not be. */
export interface Cluster {
  readonly events: number;
  /** At least `events`. */
  readonly positions: number;
}

/** Stakes of the bets, 1 down to 2^-12: the best stake at a rate p and n clusters is about sqrt(2 ln(1/delta) / (n p)). */
const STAKES = Array.from({ length: 13 }, (_, k) => 2 ** -k);
/** Half bets everything, which is best where nothing was seen, as of most gaps; the rest is spread evenly. */
const STAKE_SHARES = STAKES.map((_, k) => (k === 0 ? 1 / 2 : 1 / 2 / (STAKES.length - 1)));
/** Halvings of [0, 1]: 2^-40 is far below any rate that can be told from 0. */
const HALVINGS = 40;

/**
 * Smallest rate, events per position, that a bettor against it has not ruled out at odds of 1 / delta.
 *
 * At a rate p each cluster multiplies the capital by 1 + s (p positions - events) / most, with `most` the positions of the largest
 * cluster: never negative. Where the true rate, expected events over expected positions of all clusters, is at least p, the
 * product is at most exp(s (p E[positions] - E[events]) / most) <= 1 on average, since 1 + x <= e^x: clusters must be independent, but
 * not alike. The same holds for a mixture over fixed stakes s, and by Markov's inequality the capital is 1 / delta with probability
 * delta at most (Waudby-Smith and Ramdas 2024, "Estimating means of bounded random variables by betting"). Capital grows
 * with p, so that what is ruled out is an interval.
 * Nothing is assumed about how positions of one cluster depend on one another.
 * @param delta probability that the true rate is above the result, 0 to 1
 * @returns 0 to 1; 1 where there is nothing to learn from
 */
export function rateUpperBound(clusters: readonly Cluster[], delta: number): number {
  const counted = countAlike(clusters.filter(({ positions }) => positions > 0));
  const most = counted.reduce((largest, { positions }) => Math.max(largest, positions), 0);
  const wanted = -Math.log(delta);
  const isRuledOut = (rate: number) => logCapital(counted, most, rate) >= wanted;
  if (most === 0 || !isRuledOut(1)) return 1;
  let [low, high] = [0, 1];
  for (let i = 0; i < HALVINGS; i++) {
    const middle = (low + high) / 2;
    if (isRuledOut(middle)) high = middle;
    else low = middle;
  }
  return high;
}

type Counted = Cluster & { readonly times: number };

/** Most clusters of a measurement look alike: without events, and of the length that was asked for. */
function countAlike(clusters: readonly Cluster[]): Counted[] {
  const times = new Map<string, Counted>();
  for (const { events, positions } of clusters) {
    const key = `${events} ${positions}`;
    times.set(key, { events, positions, times: (times.get(key)?.times ?? 0) + 1 });
  }
  return [...times.values()];
}

function logCapital(counted: readonly Counted[], most: number, rate: number): number {
  const logs = STAKES.map((stake, k) =>
    counted.reduce(
      (sum, { events, positions, times }) => sum + times * Math.log1p((stake * (rate * positions - events)) / most),
      Math.log(STAKE_SHARES[k]!),
    ),
  );
  const highest = Math.max(...logs);
  if (highest === Number.NEGATIVE_INFINITY) return highest;
  return highest + Math.log(logs.reduce((sum, log) => sum + Math.exp(log - highest), 0));
}
