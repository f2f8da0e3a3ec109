/** Honest providers in large numbers, each watched until the moment that looks worst for it (spec-judge.md §7.10). */
import { FACTOR_RULES } from '../../../gateway/judge/factors.ts';
import { FastRng } from './fast-rng.ts';
import { capped, FastWealth } from './fast-wealth.ts';
import { gainTable, MARGIN_BETS, type Position, type RangeLaw } from './pool.ts';

/** How ranges of one response depend on each other. `shared`: one range for all of its positions. `half`: a coin decides. */
export type Dependence = 'independent' | 'shared' | 'half';
/** Which positions the client's prompts lead to. `adaptive`: near-ties while the wealth is above its start, else whatever comes. */
export type ClientKind = 'mixed' | 'near_ties' | 'adaptive';

export interface NullScenario {
  readonly name: string;
  readonly law: RangeLaw;
  readonly dependence: Dependence;
  readonly client: ClientKind;
  /** Share of requests that the provider buys of itself, at positions where nothing can part. */
  readonly bought: number;
  readonly responses: number;
  readonly seed: number;
}

/** Positions of each kind, with their gains. */
export interface Pool {
  readonly mixed: Kind;
  readonly near: Kind;
  readonly easy: Kind;
}

export interface Kind {
  readonly positions: readonly Position[];
  readonly gains: Float64Array;
}

export function kindOf(law: RangeLaw, positions: readonly Position[]): Kind {
  return { positions, gains: gainTable(law, positions) };
}

/** Lengths of responses; a block has 32 tokens. */
const LENGTHS = [4, 8, 16, 32, 48];

/** Draws responses and takes their factors. */
export class ResponseMaker {
  readonly factors = new Float64Array(MARGIN_BETS.length);
  /** The same without caps and rounding. */
  readonly exact = new Float64Array(MARGIN_BETS.length);
  readonly rng: FastRng;
  readonly #scenario: NullScenario;
  readonly #cumulative: Float64Array;
  readonly #blocks = [new Float64Array(MARGIN_BETS.length), new Float64Array(MARGIN_BETS.length)];

  constructor(scenario: NullScenario, seed: number) {
    this.#scenario = scenario;
    this.rng = new FastRng(seed);
    let sum = 0;
    this.#cumulative = Float64Array.from(scenario.law.probabilities, (probability) => (sum += probability));
  }

  /** Index of a range. */
  drawRange(): number {
    const u = this.rng.unit();
    const cumulative = this.#cumulative;
    let at = 0;
    while (at < cumulative.length - 1 && u >= cumulative[at]!) at++;
    return at;
  }

  /**
   * Factors of a response of these positions.
   * @param rangeOf the range at each token, by its index
   */
  take(kind: Kind, picked: readonly number[], rangeOf: (token: number) => number): void {
    const width = this.#scenario.law.ranges.length;
    const bets = MARGIN_BETS.length;
    for (const block of this.#blocks) block.fill(0);
    for (let token = 0; token < picked.length; token++) {
      const range = rangeOf(token);
      const sums = this.#blocks[token < FACTOR_RULES.blockTokens ? 0 : 1]!;
      let at = picked[token]! * bets * width + range;
      for (let i = 0; i < bets; i++, at += width) sums[i]! += kind.gains[at]!;
    }
    const [first, second] = this.#blocks;
    for (let i = 0; i < bets; i++) {
      const [a, b] = [first![i]! / FACTOR_RULES.blockTokens, second![i]! / FACTOR_RULES.blockTokens];
      this.exact[i] = 1 + a / 2 + b / 6;
      const most = FACTOR_RULES.blockMax - 1;
      this.factors[i] = capped(1 + Math.min(a, most) / 2 + Math.min(b, most) / 6, FACTOR_RULES.responseMax);
    }
  }

  pick(kind: Kind): number[] {
    const length = LENGTHS[this.rng.below(LENGTHS.length)]!;
    return Array.from({ length }, () => this.rng.below(kind.positions.length));
  }

  /** One honest response. */
  next(pool: Pool, wealth: number): void {
    const { client, bought, dependence } = this.#scenario;
    const isBought = bought > 0 && this.rng.unit() < bought;
    const wantsTies = client === 'near_ties' || (client === 'adaptive' && wealth > 1);
    const kind = isBought ? pool.easy : wantsTies ? pool.near : pool.mixed;
    const isShared = dependence === 'shared' || (dependence === 'half' && this.rng.unit() < 0.5);
    const common = this.drawRange();
    this.take(kind, this.pick(kind), isShared ? () => common : () => this.drawRange());
  }
}

export interface NullCounts {
  readonly nulls: number;
  /** Paths whose wealth was ever at least this. */
  readonly reached: Readonly<Record<'1e2' | '1e3' | '1e6', number>>;
  /** Alarms of the detector, all responses of all paths together. */
  readonly alarms: number;
  readonly largest: number;
  readonly meanAtEnd: number;
}

/** Plays nulls; whoever watches stops at the largest wealth, which is as adverse as stopping can be. */
export function playNulls(scenario: NullScenario, pool: Pool, nulls: number): NullCounts {
  const maker = new ResponseMaker(scenario, scenario.seed);
  const path = new FastWealth();
  const reached = { '1e2': 0, '1e3': 0, '1e6': 0 };
  let [alarms, largest, sum] = [0, 0, 0];
  for (let i = 0; i < nulls; i++) {
    path.reset();
    let [highest, wealth, isAlarmed] = [1, 1, false];
    for (let response = 0; response < scenario.responses; response++) {
      maker.next(pool, wealth);
      path.bet(maker.factors);
      wealth = path.wealth;
      highest = Math.max(highest, wealth);
      if (!isAlarmed && path.alarm >= 1e5) isAlarmed = true;
    }
    if (isAlarmed) alarms++;
    if (highest >= 1e2) reached['1e2']++;
    if (highest >= 1e3) reached['1e3']++;
    if (highest >= 1e6) reached['1e6']++;
    largest = Math.max(largest, highest);
    sum += wealth;
  }
  return { nulls, reached, alarms, largest, meanAtEnd: sum / nulls };
}
