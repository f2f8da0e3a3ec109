/** Wealth of some bets in place, for many paths; the same numbers as `#protocol/wealth` where all other factors are 1. */
import { type Bet, EPOCH_RESPONSES, FACTOR_SCALE } from '#protocol/wealth';

export class FastWealth {
  readonly active: Float64Array;
  readonly detector: Float64Array;
  responses = 0;
  starts = 0;
  readonly #shares: Float64Array;
  /** Of all bets; the others lie still and keep theirs. */
  readonly #share: number;

  constructor(bets: readonly Bet[]) {
    this.#shares = Float64Array.from(bets, ({ share }) => share);
    this.#share = this.#shares.reduce((sum, share) => sum + share, 0);
    this.active = new Float64Array(bets.length);
    this.detector = new Float64Array(bets.length).fill(1);
  }

  reset(): void {
    this.active.fill(0);
    this.detector.fill(1);
    this.responses = 0;
    this.starts = 0;
  }

  /** @param factors of these bets, capped and rounded */
  bet(factors: Float64Array): void {
    let stake = 0;
    if (this.responses % EPOCH_RESPONSES === 0) {
      this.starts++;
      stake = 1 / (this.starts * (this.starts + 1));
    }
    this.responses++;
    for (let i = 0; i < factors.length; i++) {
      this.active[i] = (this.active[i]! + stake) * factors[i]!;
      this.detector[i] = Math.max(1, this.detector[i]!) * factors[i]!;
    }
  }

  get wealth(): number {
    const started = this.starts / (this.starts + 1);
    return 1 / (this.starts + 1) + (1 - this.#share) * started + this.#mixed(this.active);
  }

  get alarm(): number {
    return 1 - this.#share + this.#mixed(this.detector);
  }

  #mixed(wealth: Float64Array): number {
    let sum = 0;
    for (let i = 0; i < wealth.length; i++) sum += this.#shares[i]! * wealth[i]!;
    return sum;
  }
}

/** As `responseFactors` caps and rounds. */
export function capped(factor: number, most: number): number {
  return Math.floor(Math.min(factor, most) * FACTOR_SCALE) / FACTOR_SCALE;
}
