/** The best strategy over stake, audit rate and share of accomplices, and what it wins. */
import { PPM } from '#protocol/log';
import { C_NANO } from './answer-prices.ts';
import type { RecordedAnswers } from './answers.ts';
import { contest, LONG, strategiesOf } from './contests.ts';
import type { Strategy, World } from './world.ts';

export const GRID = {
  stakes: [16, 100, 300, 1_000],
  ratesPpm: [10_000, 50_000, 150_000, 250_000],
  /** Shares of accomplices among the auditors. */
  collusions: [0, 0.17, 0.4, 0.6],
} as const;

export interface GridCell {
  readonly stake: number;
  readonly ratePpm: number;
  readonly collusion: number;
  readonly strategy: string;
  /** Of the best, over lives that it was not chosen by; in prices of an answer, with the half width of its 95% interval. */
  readonly gain: number;
  readonly half: number;
  readonly runs: number;
}

/** Left out: who is honest; who knows which answers are audited; who copies what is right anyway; what takes a hundred thousand answers. */
export function contendersOf({ honest, cheats }: RecordedAnswers): Strategy[] {
  return strategiesOf(honest, cheats).filter(
    ({ name, horizon }) =>
      horizon !== LONG && name !== 'honest' && !name.includes('unwatched') && name !== 'copying at temperature 0 alone',
  );
}

/**
 * The best of each cell by some lives of every strategy; what it wins by others, since of many means the largest is too large.
 * @param runs lives of the best; a quarter as many choose it
 */
export function gridOf(world: World, contenders: readonly Strategy[], runs: number, seed: number): GridCell[] {
  const { stakes, ratesPpm, collusions } = GRID;
  return stakes.flatMap((stake) =>
    collusions.flatMap((collusion) =>
      ratesPpm.map((ppm): GridCell => {
        const collusionPpm = Math.round(collusion * PPM);
        const at: World = {
          ...world,
          stakeNano: BigInt(stake) * C_NANO,
          rate: { kind: 'fixed', ppm },
          collusionPpm,
          confirmingPpm: collusionPpm,
        };
        const rows = contenders.map((strategy) => contest(at, strategy, Math.ceil(runs / 4), seed).profit);
        const best = contenders[rows.indexOf(Math.max(...rows))]!;
        const { strategy, profit, half } = contest(at, best, runs, seed + 1);
        return { stake, ratePpm: ppm, collusion, strategy, gain: profit, half, runs };
      }),
    ),
  );
}
