/** The strategies' part of the simulation: tables of cheats measured, thresholds predicted and seen, every strategy, prices. */
import type { DetectionTable } from '../../gateway/audit/detection.ts';
import { AUDIT_RULES } from '../../gateway/audit/equilibrium.ts';
import { CHEATS, HONEST, poolOfMachine } from './answers.ts';
import { type ContestRow, contest, exits, type LeakRow, leaks, strategiesOf, sybils } from './contests.ts';
import { type Detection, type KnownCheat, measureDetection, tableOf } from './detection.ts';
import { only, priceRow } from './prices.ts';
import { always, type Cheaper, hitAndRun } from './strategies.ts';
import { foundWithin, threshold } from './thresholds.ts';
import { C_NANO, type World } from './world.ts';

/** How much of everything. */
export interface Sizes {
  readonly perLength: number;
  readonly trials: number;
  readonly runs: number;
}

/** Five accomplices among the 29 operators that may audit an accomplice: a fifth of thirty. */
export const COLLUSION_PPM = 172_414;
/** Answers until an audit has landed, at most. */
const LAG = 8;
/** A stake that deters all that audits find soon. */
const STAKE = 1_000;
const STAKES = [50, 100, 300, 1_000, 3_000];
/** Shares of its requests that a cheat may be on. */
const SHARES = [1, 0.3];
const FIXED_PPM = 50_000;

export function economy(sizes: Sizes, seed: number, date: string, say: (what: string) => void = () => {}) {
  const { trials, runs } = sizes;
  const honestPool = poolOfMachine(HONEST, sizes.perLength, seed);
  const known: KnownCheat[] = CHEATS.map((machine) => ({
    machine,
    pool: poolOfMachine(machine, sizes.perLength, seed + 1),
  }));
  say('answers made');
  const detections = known.flatMap((cheat) =>
    SHARES.map((share) =>
      measureDetection(cheat, honestPool, share, { trials, most: 3_000, seed: seed + 2, confirmingPpm: COLLUSION_PPM }),
    ),
  );
  say('detection measured');
  const always1 = new Map(
    detections.filter((d) => d.figures.fractionPpm === 1_000_000).map((d) => [d.figures.cheat, d]),
  );
  const table = tableOf(detections, date);
  const world: World = {
    stakeNano: BigInt(STAKE) * C_NANO,
    rate: { kind: 'equilibrium', table, rules: AUDIT_RULES },
    collusionPpm: COLLUSION_PPM,
    confirmingPpm: COLLUSION_PPM,
    lagMax: LAG,
    unbonding: LAG + 1,
    ownShare: 0.2,
    clients: 20,
    honest: honestPool,
    horizon: 4_000,
    probes: 5_000,
  };
  const long = { ...world, horizon: 200_000 };
  const soon = known.filter(({ machine }) => machine.name !== 'int8');
  const thresholds = soon.flatMap((cheat) =>
    STAKES.flatMap((stake) =>
      [0, COLLUSION_PPM].flatMap((collusionPpm) => {
        const row = threshold(
          { ...long, stakeNano: BigInt(stake) * C_NANO, collusionPpm },
          cheat,
          always1.get(cheat.machine.name)!,
          runs,
          seed + stake,
        );
        return row === null ? [] : [row];
      }),
    ),
  );
  say('thresholds');
  const fixed = { ...long, rate: { kind: 'fixed', ppm: FIXED_PPM } } as const;
  const within = known.map((cheat) =>
    foundWithin(
      fixed,
      cheat,
      always1.get(cheat.machine.name)!,
      cheat.machine.name === 'int8' ? Math.ceil(runs / 10) : runs,
      seed + 3,
    ),
  );
  say('found within');
  const cheaper = Object.fromEntries(
    known.map(({ machine, pool }) => [machine.name, { name: machine.name, pool, savedPpm: machine.savedPpm }]),
  ) as Record<'cached' | 'smaller_model' | 'int4' | 'int8', Cheaper>;
  const strategies = strategiesOf(honestPool, cheaper);
  const contests: ContestRow[] = [100, 300, STAKE].flatMap((stake) =>
    strategies.map((strategy) =>
      contest({ ...world, stakeNano: BigInt(stake) * C_NANO }, strategy, Math.ceil(runs / 4), seed + 4),
    ),
  );
  say('contests');
  return {
    detections: detections.map(shown),
    table,
    thresholds,
    within,
    contests,
    ...breaks(world, cheaper, runs, seed, say),
    prices: pricesOf(table),
  };
}

function breaks(
  world: World,
  { smaller_model: smaller, int4 }: Record<'smaller_model' | 'int4', Cheaper>,
  runs: number,
  seed: number,
  say: (what: string) => void,
) {
  const some = Math.ceil(runs / 4);
  // A hundred answers' price at stake, as the aim has it, and twice the rate at which that deters.
  const poor: World = { ...world, stakeNano: 100n * C_NANO, rate: { kind: 'fixed', ppm: 150_000 }, horizon: 20_000 };
  const leaked: LeakRow[] = leaks(poor, smaller, [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99], some, seed + 5);
  const collusion = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9].map((share) =>
    contest({ ...poor, collusionPpm: Math.round(share * 1e6) }, always(smaller), some, seed + 6),
  );
  const slow: World = { ...world, rate: { kind: 'fixed', ppm: 50_000 }, lagMax: 200 };
  const leaving = [
    ...exits(slow, smaller, [5, 20, 50, 100, 200, 400], [0, 50, 201], some, seed + 7),
    ...exits({ ...slow, lagMax: 8 }, int4, [5, 20, 50, 100, 200, 400], [9], some, seed + 8),
  ];
  const split = [always(smaller), hitAndRun(int4, 50)].map((strategy) => ({
    strategy: strategy.name,
    rows: sybils(world, strategy, [1, 2, 4, 8, 16, 32, 64], Math.ceil(some / 4), seed + 9),
  }));
  say('breaks');
  return { leaks: leaked, collusion, exits: leaving, sybils: split };
}

/** Which cheats the rate is to deter: those that one answer shows, those that few answers show, all. */
function pricesOf(table: DetectionTable) {
  const tables = [
    ['one answer convicts', only(table, (cheat) => ['cached', 'smaller_model'].includes(cheat))],
    ['and int4', only(table, (cheat) => cheat !== 'int8')],
    ['and int8', table],
  ] as const;
  const stakes = [20, 50, 100, 200, 300, 500, 1_000, 2_000, 5_000, 10_000];
  return [1, LAG].flatMap((lag) =>
    tables.flatMap(([name, wanted]) => stakes.map((stake) => priceRow(name, wanted, stake, COLLUSION_PPM, lag))),
  );
}

function shown({ figures, audits, stopped, slashed }: Detection) {
  return {
    ...figures,
    median: audits[Math.floor(audits.length / 2)]!,
    p95: audits[Math.floor(audits.length * 0.95)]!,
    trials: audits.length,
    stopped,
    slashed,
  };
}

export type Economy = ReturnType<typeof economy>;
