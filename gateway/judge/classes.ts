/** Tolerances between numeric classes: how far two honest engines may differ (spec-judge.md §7.2). Pure. */

/** All values in logits. */
export interface Tolerances {
  /** Largest honest gap between the two best tokens at which two engines may choose differently. */
  readonly tie: number;
  /** How far the border of top-k or top-p may honestly move. */
  readonly border: number;
  /** A logit of one token that is off by more than this was not computed by the claimed model. */
  readonly gross: number;
}

/** What a class pair's differences were measured on. */
interface Calibration extends Tolerances {
  readonly dtypes: readonly [string, string];
  readonly source: string;
}

/**
 * Largest logit difference d between two classes gives tie = border = 2d (two tokens may move apart by 2d), rounded up.
 * gross = 1 logit: 27 times the largest honest difference, a third of the mean that int4 weights make (3.2).
 */
const CALIBRATIONS: readonly Calibration[] = [
  // prefill against decode: 0 on minnow; onnxruntime fp32 with other graph optimisation: 3.3e-6; 0.01 leaves 1,500 times
  {
    dtypes: ['fp32', 'fp32'],
    tie: 0.01,
    border: 0.01,
    gross: 1,
    source: 'minnow-5m model.onnx, 40,040 held-out tokens',
  },
  // largest difference 0.0371 on 40,040 held-out tokens, twice that, rounded up
  { dtypes: ['fp16', 'fp32'], tie: 0.1, border: 0.1, gross: 1, source: 'minnow-5m model_fp16.onnx against model.onnx' },
  { dtypes: ['fp16', 'fp16'], tie: 0.1, border: 0.1, gross: 1, source: 'bound by fp16 against fp32' },
];

/** Numeric classes read `engine-version/device/dtype/kv-dtype/file`; the dtype decides which calibration holds. */
function dtypeOf(numericClass: string): string {
  const dtype = numericClass.split('/')[2] ?? '';
  return dtype.startsWith('fp16') ? 'fp16' : dtype;
}

/** Tolerances of a class pair, or null where nobody has calibrated it: then nothing may be concluded from differences. */
export function tolerancesOf(classA: string, classB: string): Tolerances | null {
  const pair = [dtypeOf(classA), dtypeOf(classB)].sort();
  return CALIBRATIONS.find(({ dtypes }) => dtypes[0] === pair[0] && dtypes[1] === pair[1]) ?? null;
}
