/** Where cheating stops to pay: as the equilibrium predicts, and as lives come out. */
import { PPM } from '#protocol/log';
import { type Incentive, neededPpm } from '../../gateway/audit/equilibrium.ts';
import { FastRng } from '../bench/nulls/fast-rng.ts';
import { C_NANO } from './answer-prices.ts';
import type { KnownCheat } from './answers.ts';
import { convictedWithin, type Detection } from './detection.ts';
import { meanOf, rounded, shareOf } from './statistics.ts';
import { always, later } from './strategies.ts';
import { live, type Strategy, type World } from './world.ts';

export interface ThresholdRow {
  readonly cheat: string;
  readonly stake: number;
  readonly collusion: number;
  readonly payDelay: number;
  readonly predictedPpm: number;
  readonly simulatedPpm: number;
  /** 95% interval of the simulated one. */
  readonly low: number;
  readonly high: number;
  /** Where the predicted one is: below the interval it is too low to deter, above it more than is needed. */
  readonly side: 'inside' | 'below' | 'above';
  readonly runs: number;
}

/**
 * Lives at the predicted rate p: with G saved before the conviction and V after it, what is saved is G · p / p' + V at another rate p', so
 * they break even at p' = p · G / (slash − V).
 * @returns null where no rate is predicted to deter
 */
export function threshold(
  world: World,
  cheat: KnownCheat,
  { figures }: Detection,
  runs: number,
  seed: number,
): ThresholdRow | null {
  // An audit lands 1 to lagMax + 1 answers later; the answers in between are the lag.
  const lagNano = (C_NANO * BigInt(world.lagMax)) / 2n;
  const { stakeNano, collusionPpm, payDelay } = world;
  const retainedNano = C_NANO * BigInt(payDelay);
  const at = { priceNano: C_NANO, stakeNano, freeNano: stakeNano, collusionPpm };
  const incentive: Incentive = { ...at, lagNano, retainedNano };
  const predictedPpm = neededPpm(incentive, figures);
  if (predictedPpm === null) return null;
  const rng = new FastRng(seed);
  // The prediction is about who has as much pay to lose already; at a fixed rate one that begins has not.
  const strategy = payDelay === 0 ? always(cheat) : later(cheat, payDelay);
  const lives = Array.from({ length: runs }, () =>
    live({ ...world, rate: { kind: 'fixed', ppm: predictedPpm } }, strategy, rng),
  );
  const [saved, slashed] = [
    lives.map(({ savedNano }) => Number(savedNano)),
    lives.map(({ slashNano, forfeitNano }) => Number(slashNano + forfeitNano)),
  ];
  const lag = (Number(lagNano) * figures.savedPpm) / PPM;
  const [gain, loss] = [meanOf(saved), meanOf(slashed)];
  const scaled = (taken: number) => rounded((predictedPpm * (taken - lag)) / (loss.mean - lag));
  const [low, high] = [scaled(gain.mean - gain.half), scaled(gain.mean + gain.half)];
  return {
    cheat: figures.cheat,
    stake: Number(stakeNano / C_NANO),
    collusion: collusionPpm / PPM,
    payDelay,
    predictedPpm,
    simulatedPpm: scaled(gain.mean),
    low,
    high,
    side: predictedPpm < low ? 'below' : predictedPpm > high ? 'above' : 'inside',
    runs,
  };
}

export interface WithinRow {
  readonly cheat: string;
  readonly ratePpm: number;
  readonly collusion: number;
  /** Answers within which 95% are predicted to be convicted or in quarantine. */
  readonly within95: number;
  readonly predictedMean: number;
  readonly mean: number;
  /** Share of the runs that were convicted or in quarantine within, and its interval. */
  readonly share: number;
  readonly low: number;
  readonly high: number;
  /** Of the runs: convicted within, by one answer or by the account; in quarantine within; of these, convicted later by requests of the gateway's own. */
  readonly convicted: number;
  readonly quarantined: number;
  readonly probed: number;
  readonly runs: number;
}

/** How soon a cheat is convicted or in quarantine, as other answers of it predict and as it comes out. */
export function foundWithin(
  world: World,
  strategy: Strategy,
  { audits, figures }: Detection,
  runs: number,
  seed: number,
): WithinRow {
  const { rate, collusionPpm, lagMax } = world;
  if (rate.kind !== 'fixed') throw new Error('a prediction is for one rate');
  const q = (rate.ppm / PPM) * (1 - collusionPpm / PPM);
  const within95 = convictedWithin(audits, q, 0.95) + lagMax + 1;
  const rng = new FastRng(seed);
  const lives = Array.from({ length: runs }, () => live(world, strategy, rng));
  const within = lives.filter(({ ending, answers }) => ending !== 'served' && answers <= within95);
  const quarantined = within.filter(({ wasQuarantined }) => wasQuarantined);
  const { share, low, high } = shareOf(within.length, runs);
  return {
    cheat: figures.cheat,
    ratePpm: rate.ppm,
    collusion: collusionPpm / PPM,
    within95,
    predictedMean: rounded(figures.auditsMilli / 1000 / q + lagMax / 2),
    mean: rounded(meanOf(lives.map(({ answers }) => answers)).mean),
    share,
    low,
    high,
    convicted: (within.length - quarantined.length) / runs,
    quarantined: quarantined.length / runs,
    probed: quarantined.filter(({ ending }) => ending === 'slashed').length / runs,
    runs,
  };
}
