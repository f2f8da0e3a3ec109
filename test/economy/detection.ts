/** How many audits convict each cheat, measured on the judge's own functions: what the rate is then computed from. */
import { PPM } from '#protocol/log';
import type { CheatFigures, DetectionTable } from '../../gateway/audit/detection.ts';
import { PENALTY_BPS, type ProviderFault } from '../../gateway/ledger/penalties.ts';
import { FastRng } from '../bench/nulls/fast-rng.ts';
import type { AnswerPool, Machine } from './answers.ts';
import { sometimes } from './strategies.ts';
import { C_NANO, type Ending, type Life, live, type World } from './world.ts';

/** A cheat with the answers that it gives. */
export interface KnownCheat {
  readonly machine: Machine;
  readonly pool: AnswerPool;
}

export interface Detection {
  readonly figures: CheatFigures;
  /** Audits until it earns nothing more, by a conviction or in quarantine, one for each trial, ascending; at most what was tried. */
  readonly audits: readonly number[];
  /** Share of the trials in which that came, and in which the stake was lost in the end. */
  readonly stopped: number;
  readonly slashed: number;
}

/** How much is tried. */
export interface Trials {
  readonly trials: number;
  /** Audits after which a trial ends without a find. */
  readonly most: number;
  readonly seed: number;
  /** Probability that who repeats a surprising score is an accomplice. */
  readonly confirmingPpm: number;
}

/** Every answer audited, at once, by auditors that are honest; those that repeat their scores may not be. @param share of its answers that it cheats on */
export function measureDetection(cheat: KnownCheat, honest: AnswerPool, share: number, tried: Trials): Detection {
  const { trials, most, seed, confirmingPpm } = tried;
  const { machine, pool } = cheat;
  const strategy = sometimes({ name: machine.name, pool, savedPpm: machine.savedPpm }, share);
  const world: World = {
    stakeNano: 1000n * C_NANO,
    rate: { kind: 'fixed', ppm: PPM },
    collusionPpm: 0,
    confirmingPpm,
    lagMax: 0,
    unbonding: 0,
    ownShare: 0.2,
    clients: 20,
    honest,
    horizon: most,
    probes: 10 * most,
  };
  const rng = new FastRng(seed);
  const lives = Array.from({ length: trials }, () => live(world, strategy, rng));
  const audits = lives.map((life) => life.audits).sort((a, b) => a - b);
  const mean = audits.reduce((sum, count) => sum + count, 0) / trials;
  const fractionPpm = Math.round(share * PPM);
  const figures: CheatFigures = {
    cheat: machine.name,
    fractionPpm,
    savedPpm: machine.savedPpm,
    fault: leastFault(lives),
    auditsMilli: Math.max(1000, Math.ceil(mean * 1000)),
  };
  const endedAs = (...endings: Ending[]) => lives.filter(({ ending }) => endings.includes(ending)).length / trials;
  return { figures, audits, stopped: endedAs('slashed', 'locked'), slashed: endedAs('slashed') };
}

/** The cheapest of the faults that it was convicted of: some answers of a coarse machine convict alone, and cost less than an account. */
function leastFault(lives: readonly Life[]): ProviderFault {
  const seen = lives.flatMap(({ fault }) => (fault === null ? [] : [fault]));
  const [least] = seen.sort((a, b) => Number(PENALTY_BPS[a] - PENALTY_BPS[b]));
  return least ?? 'model_substitution';
}

/** The rate's table: what was found in every trial. What was not, no rate deters, and it is reported apart. */
export function tableOf(detections: readonly Detection[], date: string): DetectionTable {
  const cheats = detections.filter(({ stopped }) => stopped === 1).map(({ figures }) => figures);
  return { source: "this simulation's machines, judged by the judge's functions", date, cheats };
}

/**
 * Answers within which a share of the runs is convicted: a run ends at its K-th audit that finds something to count, each answer is one with probability q, so
 * P(within x) = mean over K of P(Binomial(x, q) ≥ K).
 * @param audits measured K @param q rate times the share of honest auditors @param share for instance 0.95
 */
export function convictedWithin(audits: readonly number[], q: number, share: number): number {
  let [low, high] = [0, Math.ceil((10 * (audits.at(-1)! + 10)) / q)];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    const reached = audits.reduce((sum, count) => sum + binomialAtLeast(middle, q, count), 0) / audits.length;
    if (reached >= share) high = middle;
    else low = middle;
  }
  return high;
}

/** P(Binomial(n, q) ≥ k), by the lower tail in logarithms. */
export function binomialAtLeast(n: number, q: number, k: number): number {
  if (k <= 0) return 1;
  if (n < k) return 0;
  if (q >= 1) return 1;
  let log = n * Math.log1p(-q);
  let below = Math.exp(log);
  for (let i = 1; i < k; i++) {
    log += Math.log(((n - i + 1) / i) * (q / (1 - q)));
    below += Math.exp(log);
  }
  return Math.max(0, 1 - below);
}
