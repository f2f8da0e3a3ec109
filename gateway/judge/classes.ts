/** Tolerances between numeric classes: how far two honest engines may differ (spec-judge.md §7.2). Pure. */

/** All values in logits. */
export interface Tolerances {
  /** Largest honest gap between the two best tokens at which two engines may choose differently. */
  readonly tie: number;
  /** How far the logit at the border of top-k or top-p may honestly move. */
  readonly border: number;
  /** Margin from which on no honest run took the token: the scorer rejects. Between tie and this it abstains. */
  readonly reject: number;
  /** A logit of one token that is off by more than this was not computed by the claimed model. */
  readonly gross: number;
}

/** What a class pair's differences were measured on. */
interface Calibration extends Tolerances {
  readonly dtypes: readonly [string, string];
  readonly source: string;
}

/** Ten times the largest honest difference; for fp16 5 × 0.1 is the clip of margins itself. */
const REJECT_TIES = 5;
/** What calibrations were measured on; other devices compute otherwise, and nobody has measured how far off they are. */
const DEVICE = 'cpu';
/** The arithmetic of integer-only graphs: the same bits on every engine. */
const EXACT = 'exact';

/**
 * Largest logit difference d between two classes gives tie = border = 2d (two tokens may move apart by 2d), rounded up.
 * gross = 1 logit: 27 times the largest honest difference, a third of the mean that int4 weights make (3.2).
 */
const CALIBRATIONS: readonly Calibration[] = [
  // prefill against batched decode: 3.1e-5 on minnow; onnxruntime fp32 with other graph optimisation: 3.3e-6; 0.01 leaves 160 times
  {
    dtypes: ['fp32', 'fp32'],
    ...tolerances(0.01),
    source: 'minnow-5m model.onnx, 40,040 held-out tokens',
  },
  // largest difference 0.0371 on 40,040 held-out tokens, twice that, rounded up
  { dtypes: ['fp16', 'fp32'], ...tolerances(0.1), source: 'minnow-5m model_fp16.onnx against model.onnx' },
  { dtypes: ['fp16', 'fp16'], ...tolerances(0.1), source: 'bound by fp16 against fp32' },
];

function tolerances(tie: number): Tolerances {
  return { tie, border: tie, reject: REJECT_TIES * tie, gross: 1 };
}

/** Numeric classes read `engine-version/device/dtype/kv-dtype/file`. */
function partsOf(numericClass: string): { device: string; dtype: string } {
  const [, device = '', dtype = ''] = numericClass.split('/');
  return { device, dtype };
}

/** Tolerances of a class pair, or null where nobody has calibrated it: then nothing may be concluded from differences. */
export function tolerancesOf(classA: string, classB: string): Tolerances | null {
  const [a, b] = [partsOf(classA), partsOf(classB)];
  // Exact classes owe one another every bit, and say nothing about any other class.
  if (a.dtype === EXACT || b.dtype === EXACT) return classA === classB ? tolerances(0) : null;
  if (a.device !== DEVICE || b.device !== DEVICE) return null;
  const pair = [a.dtype, b.dtype].sort();
  return CALIBRATIONS.find(({ dtypes }) => dtypes[0] === pair[0] && dtypes[1] === pair[1]) ?? null;
}
