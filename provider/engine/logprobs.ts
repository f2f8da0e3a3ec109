/** A model's own log-probabilities at one position, from its raw logits (SPEC.md §12.5). Pure. */
import { quantiseLogit } from '#protocol/evidence';
import type { TokenLogprobs } from '#protocol/logprobs';

/**
 * Log-probabilities before penalties, bias, temperature and restriction, in float64, rounded to 2^-16.
 * @param logits of the whole vocabulary; NaN counts as the smallest
 * @param count alternatives, 0 to 20; fewer where the vocabulary is smaller
 */
export function logprobsOf(logits: Float32Array, chosen: number, count: number): TokenLogprobs {
  let highest = Number.NEGATIVE_INFINITY;
  for (let id = 0; id < logits.length; id++) if (logits[id]! > highest) highest = logits[id]!;
  let total = 0;
  for (let id = 0; id < logits.length; id++) {
    const weight = Math.exp(logits[id]! - highest);
    if (weight > 0) total += weight;
  }
  const shift = highest + Math.log(total);
  // No probability is above one, whatever the last bit of a sum says.
  const rounded = (id: number): number => Math.min(0, quantiseLogit(logits[id]! - shift));
  return [
    rounded(chosen),
    best(logits, count)
      .map((id) => [id, rounded(id)] as const)
      .sort(byLogprob),
  ];
}

/** Tokens whose rounded values are equal stand in the order of their ids. */
function byLogprob(a: readonly [number, number], b: readonly [number, number]): number {
  return b[1] - a[1] || a[0] - b[0];
}

/** Ids of the largest logits, best first, lower id first on ties. */
function best(logits: Float32Array, count: number): number[] {
  const ids: number[] = [];
  let threshold = Number.NEGATIVE_INFINITY;
  const logitOf = (id: number): number => (Number.isNaN(logits[id]!) ? Number.NEGATIVE_INFINITY : logits[id]!);
  for (let id = 0; id < logits.length && count > 0; id++) {
    const value = logitOf(id);
    if (ids.length === count && value <= threshold) continue;
    let at = ids.length;
    while (at > 0 && value > logitOf(ids[at - 1]!)) at--;
    ids.splice(at, 0, id);
    if (ids.length > count) ids.pop();
    if (ids.length === count) threshold = logitOf(ids[count - 1]!);
  }
  return ids;
}
