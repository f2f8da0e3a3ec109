/** Draws of ranges by a calibration's law, honestly and tilted. */
import type { FastRng } from './fast-rng.ts';
import type { RangeLaw } from './pool.ts';

export class RangeDraw {
  readonly #rng: FastRng;
  readonly #probabilities: readonly number[];
  readonly #cumulative: Float64Array;

  constructor({ probabilities }: RangeLaw, rng: FastRng) {
    this.#rng = rng;
    this.#probabilities = probabilities;
    let sum = 0;
    this.#cumulative = Float64Array.from(probabilities, (probability) => (sum += probability));
  }

  /** @returns the index of a range */
  next(): number {
    const u = this.#rng.unit();
    const cumulative = this.#cumulative;
    let at = 0;
    while (at < cumulative.length - 1 && u >= cumulative[at]!) at++;
    return at;
  }

  /** A range with probability proportional to its own times a density of mean 1. */
  tilted(density: (range: number) => number): number {
    let u = this.#rng.unit();
    let last = 0;
    for (let at = 0; at < this.#probabilities.length; at++) {
      if (this.#probabilities[at]! === 0) continue;
      u -= this.#probabilities[at]! * density(at);
      last = at;
      if (u < 0) break;
    }
    return last;
  }
}
