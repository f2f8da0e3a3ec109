/** Bets beside those on margins, as honest providers meet them: on evidence that they open, and on copies. */
import { COPY_PROBABILITY_MAX, copyFactor } from '../../gateway/judge/copying.ts';
import { FACTOR_RULES } from '../../gateway/judge/factors.ts';
import type { FastRng } from '../bench/nulls/fast-rng.ts';
import { OPENED_BETS, type OpenedMaker } from '../bench/nulls/opened.ts';
import type { WatchedMaker } from './honest-answers.ts';

/** Positions that are opened at most, and answers of which any are (spec-judge.md §7.10). */
const OPENED_MAX = 16;
const OPENED_SHARE = 0.25;
/** Audited answers that are a round under another seed: a quarter of the trials' 1% beside audits of 5%. */
const RESEEDED_SHARE = 0.05;

/** Of the maker's answer, each distance as large as the position's range; 1 where nothing is opened. */
export function openedFactors(opened: OpenedMaker, { rng, ranges }: Pick<WatchedMaker, 'rng' | 'ranges'>): number[] {
  if (rng.unit() >= OPENED_SHARE) return OPENED_BETS.map(() => 1);
  const positions = [...new Set(Array.from({ length: OPENED_MAX }, () => rng.below(ranges.length)))];
  opened.take(positions.length, (at) => ranges[positions[at]!]!);
  return [...opened.factors];
}

/** Of who writes the same by chance as often as the bound allows, which is one round in 10^9. */
export function copyFactorOf(rng: FastRng): number {
  if (rng.unit() >= RESEEDED_SHARE) return 1;
  const isSame = rng.unit() < COPY_PROBABILITY_MAX;
  return copyFactor({ probability: COPY_PROBABILITY_MAX, isSame }, FACTOR_RULES.responseMax);
}
