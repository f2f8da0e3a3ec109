/** Nulls of the bets on opened evidence: at every opened position it is as far from the scorer's as the calibration lets it be. */
import { MARGIN_CLIP } from '#protocol/evidence';
import { BETS } from '#protocol/wealth';
import { areaBound } from '../../../gateway/judge/compensator.ts';
import { FACTOR_RULES } from '../../../gateway/judge/factors.ts';
import { FastRng } from './fast-rng.ts';
import { capped } from './fast-wealth.ts';
import { LENGTHS, type NullMaker, type NullScenario } from './nulls.ts';
import { RangeDraw } from './ranges.ts';

export const OPENED_BETS = BETS.filter(({ test }) => test === 'opened');
/** Positions that are opened at most; each has this share of the stake. */
const OPENED_MAX = 16;

/** Responses whose evidence was opened; those that were not have the factor 1 and are left out. */
export class OpenedMaker implements NullMaker {
  readonly bets = OPENED_BETS;
  readonly factors = new Float64Array(OPENED_BETS.length);
  readonly ratios = new Float64Array(OPENED_BETS.length);
  readonly rng: FastRng;
  readonly #dependence: NullScenario['dependence'];
  readonly #ranges: RangeDraw;
  /** Gain of a position over the stake's divisor, by bet and range. */
  readonly #gains: readonly (readonly number[])[];

  constructor({ law, dependence, seed }: NullScenario) {
    this.#dependence = dependence;
    this.rng = new FastRng(seed);
    this.#ranges = new RangeDraw(law, this.rng);
    const expected = areaBound(law.bounds) / MARGIN_CLIP;
    this.#gains = OPENED_BETS.map(({ stake }) =>
      law.ranges.map((range) => Math.min(stake, 1 / expected) * (Math.min(1, range / MARGIN_CLIP) - expected)),
    );
  }

  next(): void {
    const isShared = this.#isShared();
    const common = this.#ranges.next();
    this.take(this.#count(), isShared ? () => common : () => this.#ranges.next());
  }

  nextTilted(_wealth: number, bet: number): void {
    const isShared = this.#isShared();
    const count = this.#count();
    const gains = this.#gains[bet]!;
    if (isShared) {
      const range = this.#ranges.tilted((at) => 1 + (count * gains[at]!) / OPENED_MAX);
      this.take(count, () => range);
      return;
    }
    // As for margins: 1 for positions that are not there, and each one's own gain.
    const picked = this.rng.below(OPENED_MAX);
    const range = picked < count ? this.#ranges.tilted((at) => 1 + gains[at]!) : 0;
    this.take(count, (at) => (at === picked ? range : this.#ranges.next()));
  }

  /** Factors of a response with so many opened positions. @param rangeOf of each, an index */
  take(count: number, rangeOf: (position: number) => number): void {
    const ranges = Array.from({ length: count }, (_, position) => rangeOf(position));
    for (const [i, gains] of this.#gains.entries()) {
      const factor = 1 + ranges.reduce((sum, range) => sum + gains[range]!, 0) / OPENED_MAX;
      this.ratios[i] = factor;
      this.factors[i] = capped(factor, FACTOR_RULES.responseMax);
    }
  }

  #isShared(): boolean {
    return this.#dependence === 'shared' || (this.#dependence === 'half' && this.rng.unit() < 0.5);
  }

  #count(): number {
    return Math.min(OPENED_MAX, LENGTHS[this.rng.below(LENGTHS.length)]!);
  }
}
