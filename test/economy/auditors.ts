/** Auditors that do not look: alone, against planted errors and their prizes; in company, where accomplices pass one another's answers. */
import type { AuditTerms } from '#protocol/audit';
import { JACKPOT_SCORES_MAX, jackpotNano } from '#protocol/jackpot';
import { PPM } from '#protocol/log';
import { recordTrial, SCORER_AT_START, scorerStanding } from '#protocol/scorer-record';
import { FastRng } from '../bench/nulls/fast-rng.ts';
import { C_NANO } from './answer-prices.ts';
import { profitOf, SCORE_PPM } from './contests.ts';
import { REGENERATE_PPM, TRIAL_PPM } from './prices.ts';
import { meanOf, rounded } from './statistics.ts';
import { type Life, live, type Strategy, type World } from './world.ts';

/** Orders that an auditor would have had, had it stayed. */
const ORDERS = 5_000;
/** Price of a score: all figures are in multiples of it. */
const SCORE_NANO = 1_000_000n;

export interface LazyRow {
  /** Share of its orders that it says `accept` to unseen. */
  readonly share: number;
  readonly ratePpm: number;
  /** Share of all orders with a planted error, and the prize for one, in scores. */
  readonly planted: number;
  readonly prize: number;
  readonly isPrizeCut: boolean;
  /** Orders until it is in quarantine, or all. */
  readonly orders: number;
  readonly quarantined: number;
  /** Scores saved less prizes missed until then, with the half width of its 95% interval; and less the prizes that it would have had afterwards. */
  readonly before: number;
  readonly half: number;
  readonly total: number;
  readonly runs: number;
}

/**
 * Says that all is fine, on a share of its orders. An order is an audit, or a trial in the form of one: genuine, or with an error planted. What it saves is the price
 * of a score at most; what it misses is the prize for the error, and the second miss or so puts it into quarantine (spec-judge.md §7.13).
 */
export function lazyAuditor(share: number, ratePpm: number, runs: number, seed: number): LazyRow {
  const terms: AuditTerms = { ppm: ratePpm, regeneratePpm: REGENERATE_PPM, withinMs: 0 };
  const prize = Number(jackpotNano(SCORE_NANO, TRIAL_PPM, { mode: 'audited', n: 1 }, terms)) / Number(SCORE_NANO);
  const audits = (ratePpm / PPM) * (1 - REGENERATE_PPM / PPM);
  const trials = TRIAL_PPM / PPM;
  const tried = trials / (audits + trials);
  const planted = tried / 2;
  const rng = new FastRng(seed);
  const ends = Array.from({ length: runs }, () => {
    let [record, orders, before] = [SCORER_AT_START, 0, 0];
    for (; orders < ORDERS && scorerStanding(record) === 'trusted'; orders++) {
      const isLazy = rng.unit() < share;
      const drawn = rng.unit();
      const isMissed = isLazy && drawn < planted;
      if (isLazy) before += 1;
      if (isMissed) before -= prize;
      if (drawn < tried) record = recordTrial(record, isMissed);
    }
    const isOut = scorerStanding(record) !== 'trusted';
    return { orders, before, isOut, total: before - (ORDERS - orders) * planted * prize };
  });
  const { mean, half } = meanOf(ends.map(({ before }) => before));
  return {
    share,
    ratePpm,
    planted: rounded(planted),
    prize: rounded(prize),
    isPrizeCut: prize >= Number(JACKPOT_SCORES_MAX),
    orders: rounded(meanOf(ends.map(({ orders }) => orders)).mean),
    quarantined: ends.filter(({ isOut }) => isOut).length / runs,
    before: rounded(mean),
    half: rounded(half),
    total: rounded(meanOf(ends.map(({ total }) => total)).mean),
    runs,
  };
}

export interface CompanyRow {
  readonly strategy: string;
  readonly accomplices: number;
  readonly ratePpm: number;
  /** What each of them wins by its answers and by passing the others' unseen, in prices of an answer, and the half width of its 95% interval. */
  readonly profit: number;
  readonly half: number;
  /** Of it, scores that were not computed. */
  readonly scores: number;
  readonly found: number;
  readonly runs: number;
}

/** Operators of the network, accomplices among them. */
const OPERATORS = 30;

/** Two or more operators that answer alone and pass one another's answers without a look; each has the others as auditors as often as anybody. */
export function companyOf(
  world: World,
  strategy: Strategy,
  accomplices: number,
  runs: number,
  seed: number,
): CompanyRow {
  const { rate } = world;
  if (rate.kind !== 'fixed') throw new Error('a company is at one rate');
  const collusionPpm = Math.round((PPM * (accomplices - 1)) / (OPERATORS - 1));
  const rng = new FastRng(seed);
  const lives = Array.from({ length: runs }, () =>
    live({ ...world, collusionPpm, confirmingPpm: collusionPpm }, strategy, rng),
  );
  const scoresOf = ({ passedNano }: Life) => ((Number(passedNano) / Number(C_NANO)) * SCORE_PPM) / PPM;
  const { mean, half } = meanOf(lives.map((life) => profitOf(life) + scoresOf(life)));
  const found = lives.filter(({ ending }) => ending === 'slashed' || ending === 'locked').length;
  return {
    strategy: strategy.name,
    accomplices,
    ratePpm: rate.ppm,
    profit: rounded(mean),
    half: rounded(half),
    scores: rounded(meanOf(lives.map(scoresOf)).mean),
    found: found / runs,
    runs,
  };
}
