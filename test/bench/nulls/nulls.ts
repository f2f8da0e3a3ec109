/** Honest providers in large numbers, each watched until the moment that looks worst for it (spec-judge.md §7.10). */
import type { Bet } from '#protocol/wealth';
import type { FastRng } from './fast-rng.ts';
import { FastWealth } from './fast-wealth.ts';
import type { RangeLaw } from './pool.ts';

/** How ranges of one response depend on each other. `shared`: one range for all of its positions. `half`: a coin decides. */
export type Dependence = 'independent' | 'shared' | 'half';

/** What bets of one kind see of an honest provider that uses its calibration to the full. */
export interface NullScenario {
  readonly name: string;
  readonly law: RangeLaw;
  readonly dependence: Dependence;
  readonly responses: number;
  readonly seed: number;
}

/** Lengths of responses; a block has 32 tokens. */
export const LENGTHS = [4, 8, 16, 32, 48] as const;

/** Draws responses and takes their factors. */
export interface NullMaker {
  readonly bets: readonly Bet[];
  readonly rng: FastRng;
  /** Of the response that was made last, by bet. */
  readonly factors: Float64Array;
  /** How much likelier each bet's alternative makes it: the factor without caps and rounding, 1 where the alternative draws it the same way. */
  readonly ratios: Float64Array;
  /** One honest response. @param wealth before it, for who asks by that */
  next(wealth: number): void;
  /** The same as the alternative of one bet draws it: its density is that bet's ratio times the honest one. */
  nextTilted(wealth: number, bet: number): void;
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
export function playNulls(maker: NullMaker, responses: number, nulls: number): NullCounts {
  const path = new FastWealth(maker.bets);
  const reached = { '1e2': 0, '1e3': 0, '1e6': 0 };
  let [alarms, largest, sum] = [0, 0, 0];
  for (let i = 0; i < nulls; i++) {
    path.reset();
    let [highest, wealth, isAlarmed] = [1, 1, false];
    for (let response = 0; response < responses; response++) {
      maker.next(wealth);
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
