/** How an answer is cut into chunks, and what of it witnesses score when (SPEC.md §5.1, spec-money.md §11.5). Pure. */
import type { Policy } from '#protocol/policy';

/**
 * Tokens per chunk; the last size repeats.
 * Every chunk of a witnessed stream costs a pass over all before it. Doubling keeps the passes few, and their tokens together
 * below three times the answer's: at chunk sizes c, 2c, 4c … the k-th pass has read (2^k - 1)c tokens, all passes (2^(k+1) - k - 2)c.
 * @param streamChunks of answers that are streamed and nobody witnesses
 */
export function chunkSizesOf(
  { mode }: Pick<Policy, 'mode'>,
  { stream, maxTokens }: { readonly stream: boolean; readonly maxTokens: number },
  streamChunks: readonly number[],
): readonly number[] {
  if (!stream) return [maxTokens];
  if (mode !== 'witnessed') return streamChunks;
  const sizes = [...streamChunks];
  for (let sum = sizes.reduce((a, b) => a + b, 0); sum < maxTokens; sum += sizes.at(-1)!) {
    sizes.push(2 * sizes.at(-1)!);
  }
  return sizes;
}

/** Tokens that a witness scores in every pass, of an answer that has all its tokens; undefined where nobody witnesses. */
export function scorePassesOf(
  { mode, release }: Pick<Policy, 'mode' | 'release'>,
  chunkSizes: readonly number[],
  maxTokens: number,
): readonly number[] | undefined {
  if (mode !== 'witnessed') return undefined;
  // What is streamed before anybody has judged it is judged once, at its end.
  if (release === 'eager') return [maxTokens];
  const passes: number[] = [];
  let known = 0;
  for (let at = 0; known < maxTokens; at++) {
    known = Math.min(maxTokens, known + chunkSizes[Math.min(at, chunkSizes.length - 1)]!);
    passes.push(known);
  }
  return passes;
}

/** Seats that generate; the others of a witnessed policy score. */
export function generatingSeats({ mode, n }: Pick<Policy, 'mode' | 'n'>): number {
  return mode === 'witnessed' ? 1 : n;
}
