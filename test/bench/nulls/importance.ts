/**
 * Probabilities like 1e-6 by importance sampling: paths are drawn under the alternative that the bets are for, so that the rare event is
 * common, and each counts by its likelihood ratio. With the bets' own mixture as alternative the ratio is the wealth itself, without caps
 * (Siegmund 1976, "Importance sampling in the Monte Carlo study of sequential tests").
 */
import { EPOCH_RESPONSES } from '#protocol/wealth';
import { FACTOR_RULES } from '../../../gateway/judge/factors.ts';
import { FastWealth } from './fast-wealth.ts';
import { type Kind, type NullScenario, type Pool, ResponseMaker } from './nulls.ts';
import { MARGIN_BETS } from './pool.ts';

export interface RareEstimate {
  readonly samples: number;
  /** Samples that reached the wealth. */
  readonly hits: number;
  readonly probability: number;
  /** 95%, normal approximation over samples. */
  readonly interval: readonly [number, number];
}

/** P(the wealth ever reaches `target` within the scenario's responses). */
export function rareProbability(scenario: NullScenario, pool: Pool, samples: number, target: number): RareEstimate {
  const tilted = new TiltedPath(scenario, pool);
  let [hits, sum, squares] = [0, 0, 0];
  for (let i = 0; i < samples; i++) {
    const weight = tilted.play(target);
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

class TiltedPath {
  readonly #scenario: NullScenario;
  readonly #pool: Pool;
  readonly #maker: ResponseMaker;
  readonly #path = new FastWealth();
  /** Likelihood ratios, by bet: as wealth, but of factors without caps. */
  readonly #ratio = new FastWealth();

  constructor(scenario: NullScenario, pool: Pool) {
    this.#scenario = scenario;
    this.#pool = pool;
    this.#maker = new ResponseMaker(scenario, scenario.seed);
  }

  /** @returns the path's weight, 0 where it did not reach the target */
  play(target: number): number {
    const { rng, factors, exact } = this.#maker;
    this.#path.reset();
    this.#ratio.reset();
    const bet = rng.below(MARGIN_BETS.length);
    // Start j with probability 1 / (j (j + 1)): P(start > j) = 1 / (j + 1).
    const start = Math.floor(1 / (1 - rng.unit()));
    for (let response = 0; response < this.#scenario.responses; response++) {
      const isTilted = response >= (start - 1) * EPOCH_RESPONSES;
      const { wealth } = this.#path;
      if (isTilted) this.#nextTilted(wealth, bet);
      else this.#maker.next(this.#pool, wealth);
      this.#path.bet(factors);
      this.#ratio.bet(exact);
      if (this.#path.wealth >= target) return 1 / this.#likelihood();
    }
    return 0;
  }

  #likelihood(): number {
    const { active, starts } = this.#ratio;
    return 1 / (starts + 1) + active.reduce((sum, ratio) => sum + ratio, 0) / MARGIN_BETS.length;
  }

  /** A response of the same client, its ranges drawn with density factor · (their law). */
  #nextTilted(wealth: number, bet: number): void {
    const { client, dependence } = this.#scenario;
    const maker = this.#maker;
    const isNear = client === 'near_ties' || (client === 'adaptive' && wealth > 1);
    const kind = isNear ? this.#pool.near : this.#pool.mixed;
    const isShared = dependence === 'shared' || (dependence === 'half' && maker.rng.unit() < 0.5);
    const picked = maker.pick(kind);
    if (isShared) {
      const range = this.#drawBy((at) => 1 + this.#mean(kind, picked, bet, at));
      maker.take(kind, picked, () => range);
      return;
    }
    // The factor is a mixture: 1 with what the shares leave, and each token's own, which only its own range decides.
    const token = this.#pickToken(picked.length);
    const range = token === null ? 0 : this.#drawBy((at) => 1 + this.#gain(kind, picked[token]!, bet, at));
    maker.take(kind, picked, (at) => (at === token ? range : maker.drawRange()));
  }

  #gain(kind: Kind, position: number, bet: number, range: number): number {
    return kind.gains[(position * MARGIN_BETS.length + bet) * this.#scenario.law.ranges.length + range]!;
  }

  #mean(kind: Kind, picked: readonly number[], bet: number, range: number): number {
    return picked.reduce((sum, position, token) => sum + shareOf(token) * this.#gain(kind, position, bet, range), 0);
  }

  #pickToken(length: number): number | null {
    let u = this.#maker.rng.unit();
    for (let token = 0; token < length; token++) {
      u -= shareOf(token);
      if (u < 0) return token;
    }
    return null;
  }

  /** A range with probability proportional to its own times a density of mean 1. */
  #drawBy(density: (range: number) => number): number {
    const { probabilities } = this.#scenario.law;
    let u = this.#maker.rng.unit();
    let last = 0;
    for (let at = 0; at < probabilities.length; at++) {
      if (probabilities[at]! === 0) continue;
      u -= probabilities[at]! * density(at);
      last = at;
      if (u < 0) break;
    }
    return last;
  }
}

function shareOf(token: number): number {
  const block = Math.floor(token / FACTOR_RULES.blockTokens) + 1;
  return 1 / (block * (block + 1)) / FACTOR_RULES.blockTokens;
}
