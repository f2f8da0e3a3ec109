/** What a provider has answered and not been paid out for yet: what a conviction takes, and what an examination draws from. */
import type { FastRng } from '../bench/nulls/fast-rng.ts';

/** One answer whose pay is retained. */
export interface RetainedAnswer {
  readonly id: number;
  readonly priceNano: bigint;
  /** Index in `LENGTHS`. */
  readonly length: number;
  readonly isCheat: boolean;
  readonly own: boolean;
  /** Whether an audit has looked at it, or is about to. */
  isExamined: boolean;
}

export class Retained {
  readonly #most: number;
  readonly #answers: RetainedAnswer[] = [];
  #nano = 0n;

  /** @param most answers of which the pay stays */
  constructor(most: number) {
    this.#most = most;
  }

  /** Price of all that is retained. */
  get nano(): bigint {
    return this.#nano;
  }

  /** Whether the next answer makes the oldest one's pay leave. */
  get isFull(): boolean {
    return this.#answers.length >= this.#most;
  }

  add(answer: RetainedAnswer): void {
    if (this.#most === 0) return;
    this.#answers.push(answer);
    this.#nano += answer.priceNano;
    if (this.#answers.length > this.#most) this.#nano -= this.#answers.shift()!.priceNano;
  }

  /** So many at random of those that nobody has looked at, all of them where there are fewer; they count as examined from here on. */
  draw(most: number, rng: FastRng): RetainedAnswer[] {
    const left = this.#answers.filter(({ isExamined }) => !isExamined);
    const drawn: RetainedAnswer[] = [];
    while (drawn.length < most && left.length > 0) drawn.push(...left.splice(rng.below(left.length), 1));
    for (const answer of drawn) answer.isExamined = true;
    return drawn;
  }
}
