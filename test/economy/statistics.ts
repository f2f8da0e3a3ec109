/** Means and shares with 95% intervals. */

/** Of a normal deviate, both sides. */
const Z95 = 1.959964;

export interface Estimate {
  readonly mean: number;
  /** Half width of the 95% interval. */
  readonly half: number;
}

export function meanOf(values: readonly number[]): Estimate {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, half: (Z95 * Math.sqrt(squares / Math.max(1, values.length - 1))) / Math.sqrt(values.length) };
}

/** Interval of a share (Wilson 1927). */
export function shareOf(count: number, total: number): { share: number; low: number; high: number } {
  const share = count / total;
  const scale = 1 + (Z95 * Z95) / total;
  const centre = (share + (Z95 * Z95) / (2 * total)) / scale;
  const half = (Z95 / scale) * Math.sqrt((share * (1 - share)) / total + (Z95 * Z95) / (4 * total * total));
  return { share, low: Math.max(0, centre - half), high: Math.min(1, centre + half) };
}

export function rounded(value: number, digits = 4): number {
  return Number(value.toPrecision(digits));
}
