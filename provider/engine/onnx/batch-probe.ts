/** Whether a model may run in batches: tried on the model itself, since graphs differ in what they do with masks. */

import type { InferenceSession } from 'onnxruntime-common';
import { type BatchLayout, DecodeBatch } from './decode-batch.ts';
import type { ExposedModel } from './expose-cache.ts';
import type { GraphLayout } from './graph-layout.ts';
import { Sequence } from './sequence.ts';

/** Lengths of the probe's sequences: two capacities, and neither a multiple of anything. */
const PROBE_LENGTHS = [3, 21] as const;
/** Any tokens do; these are spread over small vocabularies too. */
const PROBE_STRIDE = 7;
/** Honest batches give the same bits; scales that are taken over the whole batch move logits by tenths (0.56 on int8). */
const NEIGHBOUR_DIFFERENCE_MAX = 0.001;
/** Entries in other lanes are summed in another order: 2e-5 in fp32. A mask that is not kept moves logits by whole units. */
const LAYOUT_DIFFERENCE_MAX = 0.02;

/** The names that a batched run needs, or null where the graph lacks one. */
export function batchLayoutOf(layout: GraphLayout, exposed: ExposedModel): BatchLayout | null {
  const { mask, positions } = layout;
  if (mask === null || positions === null) return null;
  if (!layout.cache.every(({ output }) => exposed.added.has(output))) return null;
  return { ...layout, mask, positions, added: exposed.added };
}

/**
 * Runs two sequences alone, one after the other, and together.
 * @returns whether both ways give the same logits, and the same as runs without padding.
 */
export async function cacheRuns(session: InferenceSession, layout: BatchLayout, vocabSize: number): Promise<boolean> {
  const prompts = PROBE_LENGTHS.map((length) =>
    Array.from({ length }, (_, index) => (PROBE_STRIDE * (index + length)) % vocabSize),
  );
  const next = (PROBE_STRIDE * 5) % vocabSize;
  const together = new DecodeBatch(session, layout, vocabSize);
  const rows = [];
  const plain: Float32Array[] = [];
  const alone: Float32Array[] = [];
  for (const prompt of prompts) {
    const sequence = new Sequence(session, layout, vocabSize);
    await sequence.append(prompt, 0);
    rows.push(together.join(sequence.cache, sequence.length));
    const single = new DecodeBatch(session, layout, vocabSize);
    const row = single.join(sequence.cache, sequence.length);
    alone.push((await single.step(new Map([[row, next]]))).get(row)!);
    plain.push((await sequence.append([next], 1)).row(0));
    sequence.dispose();
  }
  const shared = await together.step(new Map(rows.map((row) => [row, next])));
  return rows.every((row, at) => {
    const logits = shared.get(row)!;
    return (
      difference(logits, alone[at]!) <= NEIGHBOUR_DIFFERENCE_MAX &&
      difference(logits, plain[at]!) <= LAYOUT_DIFFERENCE_MAX
    );
  });
}

/** Largest difference; NaN anywhere is infinite. */
function difference(a: Float32Array, b: Float32Array): number {
  let largest = 0;
  for (let index = 0; index < a.length; index++) {
    const each = Math.abs(a[index]! - b[index]!);
    if (!(each <= largest)) largest = Number.isNaN(each) ? Number.POSITIVE_INFINITY : each;
  }
  return largest;
}
