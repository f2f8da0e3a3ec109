/**
 * What trials say about one scorer: wealth of bets against its honesty (spec-judge.md §7.13). Pure: an auditor feeds it the
 * `trial` entries of the log, in their order, and reads the same bits.
 */

/** An honest scorer answers a trial wrongly with at most this probability: see §7.13 for what it rests on. */
export const HONEST_ERROR = 1e-3;
/** Rates of wrong answers that are bet on, in equal shares: from a scorer that lies now and then to one that never computes. */
const LIE_RATES = [0.01, 0.1, 0.5, 0.9] as const;
/** Wealth that puts into quarantine, and wealth at which the fault counts as shown: honest scorers ever reach it with probability 1e-3, 1e-6. */
export const SCORER_QUARANTINE_WEALTH = 1e3;
export const LYING_SCORER_WEALTH = 1e6;
/** Wrong answers below which nothing is concluded, whatever the wealth. */
const WRONG_MIN = { quarantine: 2, lying: 3 } as const;

/** Plain numbers: JSON keeps every bit. */
export interface ScorerRecord {
  readonly trials: number;
  readonly wrong: number;
  /** Wealth of each rate over all starts so far. */
  readonly active: readonly number[];
}

export const SCORER_AT_START: ScorerRecord = Object.freeze({
  trials: 0,
  wrong: 0,
  active: Object.freeze(LIE_RATES.map(() => 0)),
});

/**
 * The record after one more trial. Before trial j the share 1 / (j (j + 1)) of the stake starts; the shares sum to 1 and what has not
 * started lies still, so that a scorer that lies late is found as one that lies early, at a price of 2 ln j nats. A bet on rate q has
 * the factor q / p after a wrong answer, (1 - q) / (1 - p) after a right one: mean at most 1 wherever the chance of a wrong
 * answer is at most p < q, given all that was before. Ville's inequality bounds the rest.
 */
export function recordTrial(before: ScorerRecord, isWrong: boolean): ScorerRecord {
  const trials = before.trials + 1;
  const stake = 1 / (trials * (trials + 1));
  const active = before.active.map((wealth, i) => {
    const rate = LIE_RATES[i]!;
    return (wealth + stake) * (isWrong ? rate / HONEST_ERROR : (1 - rate) / (1 - HONEST_ERROR));
  });
  return { trials, wrong: before.wrong + (isWrong ? 1 : 0), active };
}

/** At most 1 on average for an honest scorer, always. */
export function scorerWealth({ trials, active }: ScorerRecord): number {
  return 1 / (trials + 1) + active.reduce((sum, wealth) => sum + wealth, 0) / LIE_RATES.length;
}

/** `lying`: `lying_scorer` is shown. */
export function scorerStanding(record: ScorerRecord): 'trusted' | 'quarantine' | 'lying' {
  const wealth = scorerWealth(record);
  if (wealth >= LYING_SCORER_WEALTH && record.wrong >= WRONG_MIN.lying) return 'lying';
  return wealth >= SCORER_QUARANTINE_WEALTH && record.wrong >= WRONG_MIN.quarantine ? 'quarantine' : 'trusted';
}
