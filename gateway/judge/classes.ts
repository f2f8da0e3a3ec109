/** Tolerances between numeric classes: how far two honest engines may differ (spec-judge.md §7.2). Pure. */
import { type Calibration, pairOf, type Tolerances } from '#protocol/calibration';

export type { Tolerances } from '#protocol/calibration';

/** The arithmetic of integer-only graphs: the same bits on every engine, so that nothing needs to be measured. */
const EXACT = 'exact';
const EXACT_TOLERANCES: Tolerances = { tie: 0, border: 0, reject: 0, gross: 1 };

/** Numeric classes read `engine-version/device/dtype/kv-dtype/file`. */
function dtypeOf(numericClass: string): string {
  return numericClass.split('/')[2] ?? '';
}

/**
 * Tolerances of a class pair, or null where nobody has calibrated it: then nothing may be concluded from differences.
 * Both directions count, since at a divergence both sides wrote; the wider figures hold.
 * @param calibration the model's; null for a model that has none
 */
export function tolerancesOf(calibration: Calibration | null, classA: string, classB: string): Tolerances | null {
  // Exact classes owe one another every bit, and say nothing about any other class.
  if (dtypeOf(classA) === EXACT || dtypeOf(classB) === EXACT) return classA === classB ? EXACT_TOLERANCES : null;
  const measured = [pairOf(calibration, classA, classB), pairOf(calibration, classB, classA)].flatMap(
    (pair) => pair ?? [],
  );
  if (measured.length === 0) return null;
  const widest = (of: (pair: Tolerances) => number) => Math.max(...measured.map(of));
  return {
    tie: widest(({ tie }) => tie),
    border: widest(({ border }) => border),
    reject: widest(({ reject }) => reject),
    gross: widest(({ gross }) => gross),
  };
}
