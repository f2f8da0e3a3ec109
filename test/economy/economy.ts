/** The strategies' part of the simulation: every cheat found, thresholds predicted and seen, every strategy, where it breaks, prices. */
import { PPM } from '#protocol/log';
import { DEFAULT_DETECTION, type DetectionTable } from '../../gateway/audit/detection.ts';
import { AUDIT_RULES } from '../../gateway/audit/equilibrium.ts';
import { C_NANO } from './answer-prices.ts';
import { type KnownCheat, type RecordedAnswers, recordedAnswers } from './answers.ts';
import { companyOf, lazyAuditor } from './auditors.ts';
import { type ContestRow, contest, exits, type LeakRow, LONG, leaks, strategiesOf } from './contests.ts';
import { type Detection, measureDetection, quantile, type Trials } from './detection.ts';
import { contendersOf, gridOf } from './grid.ts';
import { EXAMINATION, honestLeavers, leavers, sybils } from './leavers.ts';
import { subjectsOf, thresholdsOf, withinOf } from './predictions.ts';
import { type Backing, priceRow, ratioLimits, shapeRows } from './prices.ts';
import { always, honest } from './strategies.ts';
import type { Strategy, World } from './world.ts';

/** How much of everything. */
export interface Sizes {
  readonly trials: number;
  readonly runs: number;
}

/** Five accomplices among the 29 operators that may audit an accomplice: a fifth of thirty. */
export const COLLUSION_PPM = 172_414;
/** Answers until an audit has landed, at most. */
const LAG = 8;
/** Answers of which the pay is retained: some sixty a day for the week that pay stays (`PAY_DELAY_MS`). */
const PAY_DELAY = 400;
const STAKE = 1_000;
/** What the aim is about. */
const AIMED: Backing = { stake: 100, collusionPpm: COLLUSION_PPM, lag: LAG, payDelay: PAY_DELAY };
const FIXED_PPM = 50_000;

export function economy(sizes: Sizes, seed: number, say: (what: string) => void = () => {}) {
  const { trials, runs } = sizes;
  const recorded = recordedAnswers();
  const { honest: pool, cheats } = recorded;
  const tried: Trials = { trials, most: 3_000, seed: seed + 2, confirmingPpm: COLLUSION_PPM };
  const detections = subjectsOf(recorded).map(({ cheat, share }) => measureDetection(cheat, pool, share, tried));
  say('detection measured');
  const world: World = {
    stakeNano: BigInt(STAKE) * C_NANO,
    rate: { kind: 'equilibrium', table: DEFAULT_DETECTION, rules: AUDIT_RULES },
    collusionPpm: COLLUSION_PPM,
    confirmingPpm: COLLUSION_PPM,
    lagMax: LAG,
    payDelay: PAY_DELAY,
    unbonding: LAG + 1,
    ownShare: 0.2,
    clients: 20,
    honest: pool,
    horizon: 4_000,
    probes: 5_000,
  };
  // Predictions are about audits alone.
  const examined = { ...world, examination: EXAMINATION };
  const sides = { collusions: [0, COLLUSION_PPM], payDelays: [0, PAY_DELAY] };
  const thresholds = thresholdsOf({ ...world, horizon: 200_000 }, recorded, tried, sides, runs, seed);
  say('thresholds');
  const fixed = { ...world, horizon: 200_000, rate: { kind: 'fixed', ppm: FIXED_PPM } } as const;
  const within = withinOf(fixed, recorded, tried, 4 * runs, seed + 3);
  say('found within');
  const contests = contestsOf(examined, strategiesOf(pool, cheats), runs, seed + 4);
  say('contests');
  const grid = gridOf(examined, contendersOf(recorded), runs, seed + 12);
  say('grid');
  return {
    answers: recorded.record.calibration,
    detections: detections.map(shown),
    thresholds,
    within,
    contests,
    grid,
    ...auditorsOf(examined, recorded, runs, seed + 14),
    ...breaks(examined, cheats, runs, seed, say),
    prices: pricesOf(DEFAULT_DETECTION),
    shapes: shapeRows(DEFAULT_DETECTION, AIMED),
    ratioLimits: ratioLimits(DEFAULT_DETECTION, AIMED),
  };
}

function contestsOf(world: World, strategies: readonly Strategy[], runs: number, seed: number): ContestRow[] {
  return [100, 300, STAKE].flatMap((stake) =>
    [0, PAY_DELAY].flatMap((payDelay) =>
      strategies.flatMap((strategy) => {
        const lives = livesOf(strategy, stake, payDelay, Math.ceil(runs / 2));
        const at = { ...world, stakeNano: BigInt(stake) * C_NANO, payDelay };
        return lives === 0 ? [] : [contest(at, strategy, lives, seed)];
      }),
    ),
  );
}

/** Auditors that do not look, alone and in company, at the stake of the aim. */
function auditorsOf(world: World, { honest: pool, cheats }: RecordedAnswers, runs: number, seed: number) {
  const lazyAuditors = [10_000, 50_000, 150_000, 250_000].flatMap((ppm) =>
    [1, 0.5, 0.1].map((share) => lazyAuditor(share, ppm, 10 * runs, seed)),
  );
  const at: World = { ...world, stakeNano: 100n * C_NANO, rate: { kind: 'fixed', ppm: 150_000 } };
  const ways = [honest(pool), always(cheats.get('smaller_model')!), always(cheats.get('int8')!)];
  const companies = [2, 6, 12, 18].flatMap((accomplices) =>
    ways.map((strategy) => companyOf(at, strategy, accomplices, runs, seed + 1)),
  );
  return { lazyAuditors, companies };
}

/** Lives of a hundred thousand answers take a second each: many at the stake of the aim, some at others, none where no pay is retained, which is no network of ours. */
function livesOf({ horizon }: Strategy, stake: number, payDelay: number, some: number): number {
  if (horizon !== LONG) return some;
  if (payDelay === 0) return 0;
  return stake === 100 ? Math.ceil(1.5 * some) : Math.ceil(some / 4);
}

function breaks(
  world: World,
  cheats: ReadonlyMap<string, KnownCheat>,
  runs: number,
  seed: number,
  say: (what: string) => void,
) {
  const [smaller, int4, int8] = ['smaller_model', 'int4', 'int8'].map((name) => cheats.get(name)!);
  const some = Math.ceil(runs / 2);
  // A hundred answers' price at stake, as the aim has it, no pay retained, and twice the rate at which that deters.
  const poor: World = {
    ...world,
    stakeNano: 100n * C_NANO,
    payDelay: 0,
    rate: { kind: 'fixed', ppm: 150_000 },
    horizon: 20_000,
  };
  const leaked: LeakRow[] = leaks(poor, smaller!, [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99], some, seed + 5);
  const collusion = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9].map((share) =>
    contest({ ...poor, collusionPpm: Math.round(share * PPM) }, always(smaller!), some, seed + 6),
  );
  // No pay is retained here, so that nobody is examined.
  const slow: World = { ...world, payDelay: 0, rate: { kind: 'fixed', ppm: 50_000 }, lagMax: 200 };
  const after = [5, 20, 50, 100, 200, 400];
  const leaving = [
    ...exits(slow, smaller!, after, [0, 50, 201], some, seed + 7),
    ...exits({ ...slow, lagMax: LAG }, int4!, after, [LAG + 1], some, seed + 8),
    ...exits({ ...slow, lagMax: LAG }, int8!, after, [LAG + 1], some, seed + 8),
  ];
  say('breaks');
  const split = (
    [
      [smaller!, 20],
      [int4!, 20],
      [int8!, 3],
      [int8!, 5],
      [int8!, 10],
      [int8!, 40],
    ] as const
  ).map(([cheat, answers]) => sybils(world, cheat, answers, [1, 4, 16, 64], Math.ceil(some / 2), seed + 9));
  say('sybils');
  const left = leavers(world, int8!, [100, 16], 5 * some, seed + 10);
  const honestly = honestLeavers(world, [10, 40, 100, 400, 1_000], some, seed + 11);
  say('leavers');
  return { leaks: leaked, collusion, exits: leaving, sybils: split, leavers: left, honestLeavers: honestly };
}

/** Which cheats the rate is to deter: those that one answer shows, those that few answers show, all; and how much pay is retained. */
function pricesOf(table: DetectionTable) {
  const without = (...names: string[]) => ({
    ...table,
    cheats: table.cheats.filter(({ cheat }) => !names.includes(cheat)),
  });
  const tables = [
    ['other models and caches', without('int4', 'int8', 'drafts', 'cut_prompt')],
    ['and int4', without('int8')],
    ['and int8', table],
  ] as const;
  const stakes = [20, 50, 100, 200, 300, 500, 1_000, 2_000, 5_000, 10_000];
  return [0, 100, 200, PAY_DELAY].flatMap((payDelay) =>
    tables.flatMap(([name, wanted]) => stakes.map((stake) => priceRow(name, wanted, { ...AIMED, stake, payDelay }))),
  );
}

function shown({ figures, audits, stopped, slashed }: Detection) {
  return {
    ...figures,
    median: quantile(audits, 0.5),
    p95: quantile(audits, 0.95),
    trials: audits.length,
    stopped,
    slashed,
  };
}

export type Economy = ReturnType<typeof economy>;
