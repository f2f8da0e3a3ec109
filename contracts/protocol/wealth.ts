/**
 * Accumulated evidence as wealth: bets against the hypothesis that a provider is honest (spec-judge.md §7.10). Pure.
 *
 * Only additions, products and comparisons of float64, in a fixed order, so that a replay gives the same bits everywhere.
 */

/** What bets are made on. Tests that a response does not allow have the factor 1. */
export type EvidenceTest = 'margin' | 'opened' | 'surprise' | 'copied';

/** One bet: wealth is the mean of all bets' wealth, in these shares. */
export interface Bet {
  readonly test: EvidenceTest;
  /** How much of the wealth is at stake on one unit of what the test observes; its sign is the direction. */
  readonly stake: number;
  /** Only positions whose two best tokens are at most so far apart in the scorer's eyes are bet on, in logits; infinite: all. */
  readonly reach: number;
  /** Of the first stake; all shares sum to 1. */
  readonly share: number;
}

/**
 * Stakes on margins: 4^0 to 4^6. A stake loses at most 4^k times the honest mean on an honest response and gains 4^k times the
 * cheat's, so the best one is near 1 / mean; one of these is within a factor 2 of it from 1 to 1/8192.
 */
const MARGIN_STAKES = [1, 4, 16, 64, 256, 1024, 4096] as const;
/**
 * The larger of them once more on positions alone at which a machine that is nearly honest may part: twice the clip. Half to four fifths of all
 * positions are farther from a tie; there a quantised model or a warmer draw changes nothing, and an honest mean is paid for nothing.
 */
const NEAR_STAKES = [64, 256, 1024, 4096] as const;
const NEAR_REACH = 1;
const EVERYWHERE = Number.POSITIVE_INFINITY;
const OPENED_STAKES = [16, 1024] as const;
/** Surprise is bounded by 1 and bet on in both directions: temperatures too high and too low. */
const SURPRISE_STAKES = [-0.5, -0.125, 0.125, 0.5] as const;

function betsOn(test: EvidenceTest, stakes: readonly number[], share: number, reach = EVERYWHERE): Bet[] {
  return stakes.map((stake) => ({ test, stake, reach, share }));
}

const MARGIN_SHARE = 0.7 / (MARGIN_STAKES.length + NEAR_STAKES.length);

/** All bets, in the order of a response's factors. Shares: 7 tenths on margins, one on each other test. */
export const BETS: readonly Bet[] = [
  ...betsOn('margin', MARGIN_STAKES, MARGIN_SHARE),
  ...betsOn('margin', NEAR_STAKES, MARGIN_SHARE, NEAR_REACH),
  ...betsOn('opened', OPENED_STAKES, 0.1 / OPENED_STAKES.length),
  ...betsOn('surprise', SURPRISE_STAKES, 0.1 / SURPRISE_STAKES.length),
  ...betsOn('copied', [1], 0.1),
];

/** Responses between two starts. */
export const EPOCH_RESPONSES = 16;
/** Largest wealth of one bet; what is above is dropped, which can only lower it. Far from the end of float64, 1.8e308. */
const BET_WEALTH_MAX = 1e200;

/** Factors are multiples of 2^-30: a stake of 1 notices an honest mean of 1e-9, and 2^22 is still a whole number of them. */
export const FACTOR_SCALE = 2 ** 30;

/** Where a provider stands. Plain numbers: JSON keeps every bit. */
export interface Wealth {
  /** Responses that were bet on. */
  readonly responses: number;
  /** Starts so far. */
  readonly starts: number;
  /** Wealth of each bet over all starts so far. */
  readonly active: readonly number[];
  /** The same where every bet starts anew whenever it has lost: bounds how often there is an alarm, not whether. */
  readonly detector: readonly number[];
}

export const WEALTH_AT_START: Wealth = Object.freeze({
  responses: 0,
  starts: 0,
  active: Object.freeze(BETS.map(() => 0)),
  detector: Object.freeze(BETS.map(() => 1)),
});

/**
 * Wealth after one more response.
 *
 * Start j, before response 16 (j - 1) + 1, gets the share 1 / (j (j + 1)) of the first stake; these sum to 1, and what has not
 * started lies still. So the wealth is a mixture of nonnegative supermartingales of mean at most 1, one per bet and start, wherever
 * every factor has mean at most 1 given the past: by Ville's inequality it ever reaches 1 / alpha with
 * probability alpha at most, at whatever moment anybody looks. Shares that fall like 1 / j^2 cost a late defection
 * 2 ln j nats: it is found after any number of honest responses.
 * @param factors one for each of `BETS`, at least 0
 */
export function bet(before: Wealth, factors: readonly number[]): Wealth {
  if (factors.length !== BETS.length) throw new RangeError(`expected ${BETS.length} factors, got ${factors.length}`);
  const isStart = before.responses % EPOCH_RESPONSES === 0;
  const starts = before.starts + (isStart ? 1 : 0);
  const stake = isStart ? 1 / (starts * (starts + 1)) : 0;
  const active = before.active.map((wealth, i) => Math.min(BET_WEALTH_MAX, (wealth + stake) * factors[i]!));
  const detector = before.detector.map((wealth, i) => Math.min(BET_WEALTH_MAX, Math.max(1, wealth) * factors[i]!));
  return { responses: before.responses + 1, starts, active, detector };
}

/** The wealth: at most 1 on average for an honest provider, always. */
export function wealthOf({ starts, active }: Wealth): number {
  // What has not started: 1 less the sum of 1 / (j (j + 1)).
  return 1 / (starts + 1) + mixed(active);
}

/**
 * The detector's statistic, a mixture of CUSUMs. Each is at most a Shiryaev-Roberts sum, whose mean grows by at most 1 a response, so
 * an honest provider sees it above c once in c responses or more on average (Shin, Ramdas, Rinaldo 2024, "E-detectors"). It is
 * sure to be there some day: it may put into quarantine and never slash.
 */
export function detectorOf({ detector }: Wealth): number {
  return mixed(detector);
}

function mixed(wealth: readonly number[]): number {
  return BETS.reduce((sum, { share }, i) => sum + share * wealth[i]!, 0);
}

/** Mean factor of one response, as the first stake sees it. */
export function meanFactor(factors: readonly number[]): number {
  return mixed(factors);
}

/** A factor as records carry it: never above the factor itself. */
export function quantiseFactor(factor: number): number {
  return Math.floor(factor * FACTOR_SCALE);
}
