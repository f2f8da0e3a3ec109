/** Nulls of the bet on copies: so rare that they are not drawn but bounded, by counting how often chance would have to strike. */
import { BETS } from '#protocol/wealth';
import { COPY_PROBABILITY_MAX, copyFactor } from '../../../gateway/judge/copying.ts';
import { FACTOR_RULES } from '../../../gateway/judge/factors.ts';
import { capped, FastWealth } from './fast-wealth.ts';

const COPY_BETS = BETS.filter(({ test }) => test === 'copied');

export interface CopiesNull {
  readonly rounds: number;
  readonly target: number;
  /** Least number of rounds in which an honest provider would have to write what the other wrote. */
  readonly coincidences: number;
  /** Upper bound of the probability of as many: the mean number of such sets of rounds. */
  readonly bound: number;
}

/** P(the wealth ever reaches the target), every round as likely to coincide as the rule lets one be that is bet on. */
export function copiesNull(rounds: number, target: number): CopiesNull {
  let coincidences = 0;
  while (wealthAfter(rounds, coincidences) < target) coincidences++;
  let bound = 1;
  for (let i = 0; i < coincidences; i++) bound *= ((rounds - i) / (i + 1)) * COPY_PROBABILITY_MAX;
  return { rounds, target, coincidences, bound };
}

/** Coincidences last, when most of the stakes have started: at no other time is the wealth larger. */
function wealthAfter(rounds: number, coincidences: number): number {
  const path = new FastWealth(COPY_BETS);
  for (let round = 0; round < rounds; round++) {
    const test = { probability: COPY_PROBABILITY_MAX, isSame: round >= rounds - coincidences };
    path.bet(Float64Array.of(capped(copyFactor(test, FACTOR_RULES.responseMax), FACTOR_RULES.responseMax)));
  }
  return path.wealth;
}
