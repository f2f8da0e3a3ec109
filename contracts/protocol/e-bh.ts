/** Control of false convictions across a fleet: e-BH (Wang and Ramdas 2022, "False discovery rate control with e-values"). Pure. */

/**
 * Which of many hypotheses are rejected: the k largest e-values, k the largest number with e_(k) >= n / (level k). The
 * expected share of honest ones among the rejected is at most `level`, however the e-values depend on each other.
 * @param eValues one of each hypothesis that was tested, also of those without evidence (1)
 * @param level 0 to 1
 * @returns least e-value that is rejected; infinite where none is
 */
export function eBhThreshold(eValues: readonly number[], level: number): number {
  const sorted = [...eValues].sort((a, b) => b - a);
  for (let k = sorted.length; k >= 1; k--) {
    if (sorted[k - 1]! >= sorted.length / (level * k)) return sorted[k - 1]!;
  }
  return Number.POSITIVE_INFINITY;
}
