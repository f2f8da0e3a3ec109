/** Nulls of the bets on margins: positions as tables, clients that look for near-ties, providers that buy what is easy. */
import { FACTOR_RULES } from '../../../gateway/judge/factors.ts';
import { FastRng } from './fast-rng.ts';
import { capped } from './fast-wealth.ts';
import { LENGTHS, type NullMaker, type NullScenario } from './nulls.ts';
import { gainTable, MARGIN_BETS, type Position, type RangeLaw } from './pool.ts';
import { RangeDraw } from './ranges.ts';

/** Which positions the client's prompts lead to. `adaptive`: near-ties while the wealth is above its start, else whatever comes. */
export type ClientKind = 'mixed' | 'near_ties' | 'adaptive';

export interface MarginScenario extends NullScenario {
  readonly client: ClientKind;
  /** Share of requests that the provider buys of itself, at positions where nothing can part. */
  readonly bought: number;
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

export class MarginMaker implements NullMaker {
  readonly bets = MARGIN_BETS;
  readonly factors = new Float64Array(MARGIN_BETS.length);
  readonly ratios = new Float64Array(MARGIN_BETS.length);
  readonly rng: FastRng;
  readonly #scenario: MarginScenario;
  readonly #pool: Pool;
  readonly #ranges: RangeDraw;
  readonly #blocks = [new Float64Array(MARGIN_BETS.length), new Float64Array(MARGIN_BETS.length)];

  constructor(scenario: MarginScenario, pool: Pool, seed = scenario.seed) {
    this.#scenario = scenario;
    this.#pool = pool;
    this.rng = new FastRng(seed);
    this.#ranges = new RangeDraw(scenario.law, this.rng);
  }

  next(wealth: number): void {
    const isBought = this.#isBought();
    this.#honest(isBought ? this.#pool.easy : this.#kindAt(wealth));
    if (isBought) this.ratios.fill(1);
  }

  /** What the provider buys is drawn honestly under either law: the coin is its own, and knows of no bet. */
  nextTilted(wealth: number, bet: number): void {
    if (this.#isBought()) {
      this.#honest(this.#pool.easy);
      this.ratios.fill(1);
      return;
    }
    const kind = this.#kindAt(wealth);
    const isShared = this.#isShared();
    const picked = this.#pick(kind);
    if (isShared) {
      const range = this.#ranges.tilted((at) => 1 + this.#mean(kind, picked, bet, at));
      this.take(kind, picked, () => range);
      return;
    }
    // The factor is a mixture: 1 with what the shares leave, and each token's own, which only its own range decides.
    const token = this.#pickToken(picked.length);
    const range = token === null ? 0 : this.#ranges.tilted((at) => 1 + this.#gain(kind, picked[token]!, bet, at));
    this.take(kind, picked, (at) => (at === token ? range : this.#ranges.next()));
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
      this.ratios[i] = 1 + a / 2 + b / 6;
      const most = FACTOR_RULES.blockMax - 1;
      this.factors[i] = capped(1 + Math.min(a, most) / 2 + Math.min(b, most) / 6, FACTOR_RULES.responseMax);
    }
  }

  #honest(kind: Kind): void {
    const isShared = this.#isShared();
    const common = this.#ranges.next();
    this.take(kind, this.#pick(kind), isShared ? () => common : () => this.#ranges.next());
  }

  #isBought(): boolean {
    const { bought } = this.#scenario;
    return bought > 0 && this.rng.unit() < bought;
  }

  #isShared(): boolean {
    const { dependence } = this.#scenario;
    return dependence === 'shared' || (dependence === 'half' && this.rng.unit() < 0.5);
  }

  #kindAt(wealth: number): Kind {
    const { client } = this.#scenario;
    return client === 'near_ties' || (client === 'adaptive' && wealth > 1) ? this.#pool.near : this.#pool.mixed;
  }

  #pick(kind: Kind): number[] {
    const length = LENGTHS[this.rng.below(LENGTHS.length)]!;
    return Array.from({ length }, () => this.rng.below(kind.positions.length));
  }

  #gain(kind: Kind, position: number, bet: number, range: number): number {
    return kind.gains[(position * MARGIN_BETS.length + bet) * this.#scenario.law.ranges.length + range]!;
  }

  #mean(kind: Kind, picked: readonly number[], bet: number, range: number): number {
    return picked.reduce((sum, position, token) => sum + shareOf(token) * this.#gain(kind, position, bet, range), 0);
  }

  #pickToken(length: number): number | null {
    let u = this.rng.unit();
    for (let token = 0; token < length; token++) {
      u -= shareOf(token);
      if (u < 0) return token;
    }
    return null;
  }
}

function shareOf(token: number): number {
  const block = Math.floor(token / FACTOR_RULES.blockTokens) + 1;
  return 1 / (block * (block + 1)) / FACTOR_RULES.blockTokens;
}
