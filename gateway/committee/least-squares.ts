/** Ordinary least squares with an intercept, for a handful of features. Pure. */

/** What keeps collinear features solvable: a millionth of their own variance. */
const RIDGE = 1e-6;
/** Above what is taken for no pivot at all. */
const ALIKE = 1e-9;

/**
 * Slopes of y on the features, all centred.
 * @param rows features of each sample, all of one length
 * @returns one slope a feature; zeros where the samples determine none
 */
export function slopes(rows: readonly (readonly number[])[], y: readonly number[]): number[] {
  const width = rows[0]?.length ?? 0;
  const mean = (value: (at: number) => number) => rows.reduce((sum, _, at) => sum + value(at), 0) / (rows.length || 1);
  const means = Array.from({ length: width }, (_, i) => mean((at) => rows[at]![i]!));
  const meanY = mean((at) => y[at]!);
  const matrix = Array.from({ length: width }, () => new Array<number>(width + 1).fill(0));
  for (const [at, row] of rows.entries()) {
    const dy = y[at]! - meanY;
    for (let i = 0; i < width; i++) {
      const di = row[i]! - means[i]!;
      for (let j = i; j < width; j++) matrix[i]![j]! += di * (row[j]! - means[j]!);
      matrix[i]![width]! += di * dy;
    }
  }
  for (let i = 0; i < width; i++) {
    for (let j = 0; j < i; j++) matrix[i]![j] = matrix[j]![i]!;
    // A feature that never differs determines nothing, and its slope is 0.
    matrix[i]![i]! += RIDGE * matrix[i]![i]! + ALIKE;
  }
  return solve(matrix) ?? new Array<number>(width).fill(0);
}

/** Gauss's elimination with the largest pivot; null where there is none. */
function solve(matrix: number[][]): number[] | null {
  const size = matrix.length;
  for (let column = 0; column < size; column++) {
    let pivot = column;
    for (let row = column + 1; row < size; row++) {
      if (Math.abs(matrix[row]![column]!) > Math.abs(matrix[pivot]![column]!)) pivot = row;
    }
    if (Math.abs(matrix[pivot]![column]!) < 1e-12) return null;
    [matrix[column], matrix[pivot]] = [matrix[pivot]!, matrix[column]!];
    for (let row = 0; row < size; row++) {
      if (row === column) continue;
      const factor = matrix[row]![column]! / matrix[column]![column]!;
      for (let j = column; j <= size; j++) matrix[row]![j]! -= factor * matrix[column]![j]!;
    }
  }
  return matrix.map((row, i) => row[size]! / row[i]!);
}
