/**
 * Probabilities like 1e-6 by importance sampling: paths are drawn under the alternative that the bets are for, so that the rare event is
 * common, and each counts by its likelihood ratio. With the bets' own mixture as alternative the ratio is the wealth itself, without caps
 * (Siegmund 1976, "Importance sampling in the Monte Carlo study of sequential tests").
 */
import { EPOCH_RESPONSES } from '#protocol/wealth';
import { FastWealth } from './fast-wealth.ts';
import type { NullMaker } from './nulls.ts';

export interface RareEstimate {
  readonly samples: number;
  /** Samples that reached the wealth. */
  readonly hits: number;
  readonly probability: number;
  /** 95%, normal approximation over samples. */
  readonly interval: readonly [number, number];
}

/** P(the wealth ever reaches `target` within so many responses). */
export function rareProbability(maker: NullMaker, responses: number, samples: number, target: number): RareEstimate {
  const tilted = new TiltedPath(maker, responses);
  let [hits, sum, squares] = [0, 0, 0];
  for (let i = 0; i < samples; i++) {
    const weight = tilted.play((wealth) => wealth >= target);
    if (weight > 0) hits++;
    sum += weight;
    squares += weight * weight;
  }
  const probability = sum / samples;
  const error = Math.sqrt(Math.max(0, squares / samples - probability * probability) / samples);
  return {
    samples,
    hits,
    probability,
    interval: [Math.max(0, probability - 1.96 * error), probability + 1.96 * error],
  };
}

/** Mean weight of whole paths, whatever they reach: 1 if ratios are what paths are drawn by. @returns it and its standard error */
export function meanWeight(maker: NullMaker, responses: number, samples: number) {
  const tilted = new TiltedPath(maker, responses);
  const weights = Array.from({ length: samples }, () => tilted.play((_, made) => made === responses));
  const mean = weights.reduce((sum, weight) => sum + weight, 0) / samples;
  const squares = weights.reduce((sum, weight) => sum + (weight - mean) ** 2, 0);
  return { mean, error: Math.sqrt(squares / samples / (samples - 1)) };
}

class TiltedPath {
  readonly #maker: NullMaker;
  readonly #responses: number;
  readonly #path: FastWealth;
  /** Likelihood ratios, by bet: as wealth, but of ratios in place of factors. */
  readonly #ratio: FastWealth;

  constructor(maker: NullMaker, responses: number) {
    this.#maker = maker;
    this.#responses = responses;
    this.#path = new FastWealth(maker.bets);
    this.#ratio = new FastWealth(maker.bets);
  }

  /** @returns the path's weight where it comes to its end, by its wealth after so many responses; 0 where it does not */
  play(isOver: (wealth: number, made: number) => boolean): number {
    const { rng, bets, factors, ratios } = this.#maker;
    this.#path.reset();
    this.#ratio.reset();
    const bet = rng.below(bets.length);
    // Start j with probability 1 / (j (j + 1)): P(start > j) = 1 / (j + 1).
    const start = Math.floor(1 / (1 - rng.unit()));
    for (let response = 0; response < this.#responses; response++) {
      const isTilted = response >= (start - 1) * EPOCH_RESPONSES;
      const { wealth } = this.#path;
      if (isTilted) this.#maker.nextTilted(wealth, bet);
      else this.#maker.next(wealth);
      this.#path.bet(factors);
      this.#ratio.bet(ratios);
      if (isOver(this.#path.wealth, response + 1)) return 1 / this.#likelihood();
    }
    return 0;
  }

  /** All bets have the same share here. */
  #likelihood(): number {
    const { active, starts } = this.#ratio;
    return 1 / (starts + 1) + active.reduce((sum, ratio) => sum + ratio, 0) / active.length;
  }
}
