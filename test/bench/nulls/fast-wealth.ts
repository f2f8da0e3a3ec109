/** Wealth of the bets on margins in place, for many paths; the same numbers as `#protocol/wealth` where all other factors are 1. */
import { EPOCH_RESPONSES, FACTOR_SCALE } from '#protocol/wealth';
import { MARGIN_BETS } from './pool.ts';

/** Share of the bets on margins; the others lie still and keep theirs. */
export const MARGIN_SHARE = MARGIN_BETS.reduce((sum, { share }) => sum + share, 0);

export class FastWealth {
  readonly active = new Float64Array(MARGIN_BETS.length);
  readonly detector = new Float64Array(MARGIN_BETS.length);
  responses = 0;
  starts = 0;

  reset(): void {
    this.active.fill(0);
    this.detector.fill(1);
    this.responses = 0;
    this.starts = 0;
  }

  /** @param factors of the bets on margins, capped and rounded */
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
    return 1 / (this.starts + 1) + (1 - MARGIN_SHARE) * started + mixed(this.active);
  }

  get alarm(): number {
    return 1 - MARGIN_SHARE + mixed(this.detector);
  }
}

function mixed(wealth: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < wealth.length; i++) sum += MARGIN_BETS[i]!.share * wealth[i]!;
  return sum;
}

/** As `responseFactors` caps and rounds. */
export function capped(factor: number, most: number): number {
  return Math.floor(Math.min(factor, most) * FACTOR_SCALE) / FACTOR_SCALE;
}
