/** How an answer is cut into calls where a server's stream is of no use. Pure. */

/** A first sentence's start comes early; doubling keeps the calls of a long answer few. */
const FIRST_TOKENS = 8;
/** An abandoned slice wastes at most this. */
const MOST_TOKENS = 64;

/** Sizes of slices, in turn, that are `count` tokens together. */
export function* sliceSizes(count: number): Generator<number, void, void> {
  for (let left = count, size = FIRST_TOKENS; left > 0; size = Math.min(size * 2, MOST_TOKENS)) {
    yield Math.min(size, left);
    left -= Math.min(size, left);
  }
}
