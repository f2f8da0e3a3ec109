/** The record of a run of nulls: what was reached, and whether all of it is within what was promised. Pure. */
import { type CopiesNull, copiesNull } from './copies.ts';
import { type RareEstimate, rareProbability } from './importance.ts';
import { type NullMaker, type NullScenario, playNulls } from './nulls.ts';

type Interval = readonly [low: number, high: number];

/** A level that was counted, or estimated. */
export interface NullLevel {
  readonly alpha: number;
  readonly interval: Interval;
  /** Whether the whole interval is within the level. */
  readonly holds: boolean;
}

export interface NullRow {
  readonly scenario: string;
  readonly responses: number;
  readonly levels: readonly (NullLevel & { readonly reached: number; readonly share: number })[];
  readonly alarms: { readonly level: number; readonly paths: number; readonly share: number };
  readonly largestWealth: number;
  readonly meanWealthAtEnd: number;
  readonly slash: NullLevel & RareEstimate;
}

export interface NullsRecord {
  readonly date: string;
  readonly commit: string;
  readonly machine: string;
  readonly nulls: number;
  readonly samples: number;
  readonly holds: boolean;
  readonly results: readonly NullRow[];
  readonly copies: readonly (CopiesNull & { readonly alpha: number; readonly holds: boolean })[];
}

export interface NullSizes {
  readonly nulls: number;
  readonly samples: number;
}

const SLASH = 1e-6;

/** Of one scenario: counted honestly, and the rare one estimated with a maker of its own. */
export function nullRow(scenario: NullScenario, makerOf: () => NullMaker, { nulls, samples }: NullSizes): NullRow {
  const { name, responses } = scenario;
  const counts = playNulls(makerOf(), responses, nulls);
  const rare = rareProbability(makerOf(), responses, samples, 1 / SLASH);
  const level = (alpha: number, reached: number) => {
    const interval = wilson(reached, nulls);
    return { alpha, reached, share: reached / nulls, interval, holds: isWithin(interval, alpha) };
  };
  return {
    scenario: name,
    responses,
    levels: [level(1e-2, counts.reached['1e2']), level(1e-3, counts.reached['1e3'])],
    alarms: { level: responses / 1e5, paths: counts.alarms, share: counts.alarms / nulls },
    largestWealth: counts.largest,
    meanWealthAtEnd: counts.meanAtEnd,
    slash: { alpha: SLASH, ...rare, holds: isWithin(rare.interval, SLASH) && rare.hits > 0 },
  };
}

export function copyRows(rounds: number): NullsRecord['copies'] {
  return [1e-2, 1e-3, SLASH].map((alpha) => {
    const found = copiesNull(rounds, 1 / alpha);
    return { alpha, ...found, holds: found.bound <= alpha };
  });
}

export function allHold({ results, copies }: Pick<NullsRecord, 'results' | 'copies'>): boolean {
  const levels = results.flatMap((row) => [...row.levels, row.slash]);
  return [...levels, ...copies].every(({ holds }) => holds);
}

/** What was seen must exclude more than the level, not merely allow it. */
export function isWithin([, high]: Interval, alpha: number): boolean {
  return high <= alpha;
}

/** 95% interval of a share (Wilson 1927). */
export function wilson(count: number, total: number): Interval {
  const z = 1.96;
  const share = count / total;
  const centre = (share + (z * z) / (2 * total)) / (1 + (z * z) / total);
  const half = (z / (1 + (z * z) / total)) * Math.sqrt((share * (1 - share)) / total + (z * z) / (4 * total * total));
  return [Math.max(0, centre - half), centre + half];
}
