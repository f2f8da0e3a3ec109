/** Strategies against the mechanism: what each one wins, and where the mechanism breaks. */
import { PPM } from '#protocol/log';
import { FastRng } from '../bench/nulls/fast-rng.ts';
import { mixedShare } from '../cheats/lab/lab.ts';
import { C_NANO } from './answer-prices.ts';
import type { AnswerPool, KnownCheat } from './answers.ts';
import { meanOf, rounded } from './statistics.ts';
import {
  always,
  type Cheaper,
  churning,
  copying,
  hitAndRun,
  honest,
  later,
  onLong,
  repenting,
  sometimes,
  unwatched,
} from './strategies.ts';
import { type Ending, type Life, live, type Strategy, type World } from './world.ts';

export interface ContestRow {
  readonly strategy: string;
  readonly stake: number;
  readonly collusion: number;
  readonly payDelay: number;
  /** Mean of what it saved less what it lost, in prices of an answer, with the half width of its 95% interval. */
  readonly profit: number;
  readonly half: number;
  /** Mean of what examinations cost it, where it was not found; not in the profit, since an honest leaver pays as much. */
  readonly fee: number;
  /** Mean answers until it was found, or served. */
  readonly answers: number;
  readonly ratePpm: number;
  readonly endings: Readonly<Record<Ending, number>>;
  readonly runs: number;
}

const inPrices = (nano: bigint) => Number(nano) / Number(C_NANO);

/**
 * What it saved less what it lost, where single answers have convicted as often as was to be expected (`foreseenNano`): of some hundred lives one may end so, and its loss would decide the mean of
 * all. Not fitted to the lives, of which those that no such answer has ended say nothing of it.
 */
export function profitOf({ savedNano, slashNano, forfeitNano, foreseenNano, fault }: Life): number {
  const lostNano = fault === 'wrong_output' ? 0n : slashNano + forfeitNano;
  return inPrices(savedNano - lostNano) - foreseenNano / Number(C_NANO);
}

/** A score of an answer, in millionths of its price: of the demo's prices, with a prompt as long as the answer (`prices.ts`). */
export const SCORE_PPM = 400_000;

/** Whoever is convicted has no pay left to take it from. */
export function feeOf({ ending, examinedNano }: Life): number {
  return ending === 'left' || ending === 'served' ? inPrices(examinedNano) * (SCORE_PPM / PPM) : 0;
}

/** @param strategy lives for the world's horizon, or for as long as it says that it takes */
export function contest({ horizon, ...world }: World, strategy: Strategy, runs: number, seed: number): ContestRow {
  const lasting = { ...world, horizon: Math.max(horizon, strategy.horizon ?? 0) };
  const rng = new FastRng(seed);
  const lives = Array.from({ length: runs }, () => live(lasting, strategy, rng));
  const { mean, half } = meanOf(lives.map(profitOf));
  const endedAs = (ending: Ending) => lives.filter((life) => life.ending === ending).length;
  return {
    strategy: strategy.name,
    stake: inPrices(world.stakeNano),
    collusion: world.collusionPpm / PPM,
    payDelay: world.payDelay,
    profit: rounded(mean),
    half: rounded(half),
    fee: rounded(meanOf(lives.map(feeOf)).mean),
    answers: rounded(meanOf(lives.map(({ answers }) => answers)).mean),
    ratePpm: Math.round(meanOf(lives.map(({ ratePpm }) => ratePpm)).mean),
    endings: {
      slashed: endedAs('slashed'),
      locked: endedAs('locked'),
      left: endedAs('left'),
      served: endedAs('served'),
    },
    runs,
  };
}

/** Answers in which a little of a fine cheat is found at the rates of a small stake. */
export const LONG = 100_000;

/** Assumptions: one prompt in five has been seen before, half of the requests are at temperature 0. */
const COPIES = { seen: 0.2, greedy: 0.5 } as const;

/** Everything that the laboratory's cheats can be used for: each of them always, and the telling ones in every other way. */
export function strategiesOf(pool: AnswerPool, cheats: ReadonlyMap<string, KnownCheat>): Strategy[] {
  const [smaller, int4, int8] = ['smaller_model', 'int4', 'int8'].map((name) => cheats.get(name)!);
  return [
    honest(pool),
    // Lazy is `replay`, answers from a cache.
    ...[...cheats.values()].filter(({ savedPpm }) => savedPpm > 0).map((cheat) => always(cheat)),
    sometimes(smaller!, 0.1),
    sometimes(smaller!, 0.01),
    onLong(smaller!),
    later(smaller!, 500),
    unwatched(smaller!, 0.5),
    unwatched(smaller!, 0.9),
    hitAndRun(smaller!, 20),
    repenting(int4!),
    sometimes(int4!, 0.2),
    ...(['mixed', 'mixed_tenth'] as const).map((name) => ({ ...sometimes(int4!, mixedShare(name)!), name })),
    ...[false, true].map((looks) => copying(pool, cheats.get('replay')!, { ...COPIES, looks })),
    hitAndRun(int4!, 50),
    onLong(int8!),
    sometimes(int8!, 0.5),
    sometimes(int8!, 0.25),
    ...[0.1, 0.03, 0.01].map((share) => ({ ...sometimes(int8!, share), horizon: LONG })),
    later(int8!, 500),
    repenting(int8!),
    hitAndRun(int8!, 40),
    churning(int8!, { before: 500, cheated: 40, after: 0 }),
  ];
}

export interface LeakRow {
  readonly accuracy: number;
  readonly profit: number;
  readonly half: number;
  /** Where the equilibrium sees the break: the rate that a cheated answer really meets. */
  readonly metPpm: number;
}

/** A hint of which answers are audited, right with some probability: what indistinguishability is for. */
export function leaks(
  world: World,
  cheaper: Cheaper,
  accuracies: readonly number[],
  runs: number,
  seed: number,
): LeakRow[] {
  const { rate } = world;
  if (rate.kind !== 'fixed') throw new Error('a leak is about one rate');
  const p = rate.ppm / PPM;
  return accuracies.map((accuracy) => {
    const { profit, half } = contest(world, unwatched(cheaper, accuracy), runs, seed);
    const met = (p * (1 - accuracy)) / (p * (1 - accuracy) + (1 - p) * accuracy);
    return { accuracy, profit, half, metPpm: Math.round(met * PPM) };
  });
}

export interface ExitRow {
  readonly cheat: string;
  readonly stake: number;
  readonly payDelay: number;
  readonly leavesAfter: number;
  readonly unbonding: number;
  readonly profit: number;
  readonly half: number;
}

/** Leaving before the conviction, with stake that stays within reach for a while or not at all. */
export function exits(
  world: World,
  cheaper: Cheaper,
  after: readonly number[],
  unbondings: readonly number[],
  runs: number,
  seed: number,
): ExitRow[] {
  return unbondings.flatMap((unbonding) =>
    after.map((leavesAfter) => {
      const { profit, half } = contest({ ...world, unbonding }, hitAndRun(cheaper, leavesAfter), runs, seed);
      const { stakeNano, payDelay } = world;
      return { cheat: cheaper.name, stake: inPrices(stakeNano), payDelay, leavesAfter, unbonding, profit, half };
    }),
  );
}
