/** Who leaves in time, and what examinations make of that: every way to leave that was found (spec-money.md §11.8). */
import { ANSWERS_MAX } from '../../gateway/examine/occasion.ts';
import { FastRng } from '../bench/nulls/fast-rng.ts';
import { C_NANO } from './answer-prices.ts';
import { contest, feeOf, profitOf } from './contests.ts';
import { meanOf, rounded } from './statistics.ts';
import { type Cheaper, churning, hitAndRun, honest, type Phases } from './strategies.ts';
import { type Life, live, type World } from './world.ts';

/** What ships: both before the first pay leaves and before the last. */
export const EXAMINATION = { first: ANSWERS_MAX, last: ANSWERS_MAX };

export interface LeaverRow extends Phases {
  readonly cheat: string;
  readonly stake: number;
  readonly payDelay: number;
  /** Answers of an examination; 0 for none. */
  readonly examination: number;
  readonly profit: number;
  readonly half: number;
  /** Mean fee of all of them; who is convicted pays none. */
  readonly fee: number;
  /** Share that was not convicted and is not in quarantine. */
  readonly gone: number;
  readonly runs: number;
}

/** Cheats at once and leaves; lets honest answers grow over it; builds a record first; is in the middle of a long honest life. */
export const WAYS: readonly Phases[] = [
  ...[3, 5, 10, 20, 40, 80, 150].map((cheated) => ({ before: 0, cheated, after: 0 })),
  { before: 0, cheated: 40, after: 60 },
  { before: 0, cheated: 40, after: 380 },
  { before: 0, cheated: 40, after: 500 },
  { before: 300, cheated: 40, after: 0 },
  { before: 500, cheated: 40, after: 0 },
  { before: 500, cheated: 150, after: 0 },
  { before: 500, cheated: 40, after: 60 },
  { before: 500, cheated: 40, after: 500 },
];

/** @param most answers of an examination */
export function leaver(
  world: World,
  cheaper: Cheaper,
  way: Phases,
  most: number,
  runs: number,
  seed: number,
): LeaverRow {
  const examined = { ...world, examination: { first: most, last: most } };
  const { profit, half, fee, endings, stake, payDelay } = contest(examined, churning(cheaper, way), runs, seed);
  const base = { cheat: cheaper.name, stake, payDelay, ...way, examination: most };
  return { ...base, profit, half, fee, gone: rounded(endings.left / runs), runs };
}

/** Every way at every stake, with examinations as they ship and without; then how many answers one has to be of. */
export function leavers(world: World, cheaper: Cheaper, stakes: readonly number[], runs: number, seed: number) {
  const at = (stake: number) => ({ ...world, stakeNano: BigInt(stake) * C_NANO });
  const ways = stakes.flatMap((stake) =>
    WAYS.flatMap((way) => [0, ANSWERS_MAX].map((most) => leaver(at(stake), cheaper, way, most, runs, seed))),
  );
  const sizes = [16, 32, 96, 128].flatMap((most) =>
    [WAYS[4]!, WAYS[7]!, WAYS[9]!, WAYS[11]!].map((way) => leaver(at(stakes[0]!), cheaper, way, most, runs, seed)),
  );
  return { ways, sizes };
}

export interface LeavingRow {
  /** Answers before it leaves. */
  readonly answers: number;
  /** Mean price of its examinations, and the largest, in prices of an answer. */
  readonly fee: number;
  readonly feeMax: number;
  readonly convicted: number;
  readonly runs: number;
}

/** What an honest provider pays that leaves. */
export function honestLeavers(world: World, counts: readonly number[], runs: number, seed: number): LeavingRow[] {
  return counts.map((answers) => {
    const rng = new FastRng(seed);
    const strategy = { ...honest(world.honest), leaves: (at: number) => at >= answers };
    const lives = Array.from({ length: runs }, () => live({ ...world, examination: EXAMINATION }, strategy, rng));
    const fees = lives.map(feeOf);
    const convicted = lives.filter(({ ending }) => ending !== 'left').length;
    return { answers, fee: rounded(meanOf(fees).mean), feeMax: rounded(Math.max(...fees)), convicted, runs };
  });
}

export interface SybilRow {
  readonly identities: number;
  /** Of all of them together. */
  readonly profit: number;
  readonly half: number;
  readonly fee: number;
  readonly ratePpm: number;
}

/** One stake under several names: each has its own lag, is new, and is examined by itself. */
export function sybils(
  world: World,
  cheaper: Cheaper,
  answers: number,
  counts: readonly number[],
  runs: number,
  seed: number,
) {
  const strategy = hitAndRun(cheaper, answers);
  const rows = counts.map((identities): SybilRow => {
    const rng = new FastRng(seed);
    const each = { ...world, stakeNano: world.stakeNano / BigInt(identities) };
    const lives = Array.from({ length: runs }, () =>
      Array.from({ length: identities }, () => live(each, strategy, rng)),
    );
    const sumsOf = (value: (life: Life) => number) =>
      lives.map((all) => all.reduce((sum, life) => sum + value(life), 0));
    const { mean, half } = meanOf(sumsOf(profitOf));
    const rates = meanOf(lives.flat().map(({ ratePpm }) => ratePpm));
    const fee = rounded(meanOf(sumsOf(feeOf)).mean);
    return { identities, profit: rounded(mean), half: rounded(half), fee, ratePpm: Math.round(rates.mean) };
  });
  return { strategy: strategy.name, rows };
}
