/** How many audits convict each cheat, measured on the judge's own functions: what the rate is then computed from. */
import { PPM } from '#protocol/log';
import { type CheatFigures, FRACTIONS_PPM, type MeasuredCheat, RARE_PPM } from '../../gateway/audit/detection.ts';
import { PENALTY_BPS, type ProviderFault } from '../../gateway/ledger/penalties.ts';
import { FastRng } from '../bench/nulls/fast-rng.ts';
import { C_NANO } from './answer-prices.ts';
import { type AnswerPool, type KnownCheat, type RecordedAnswers, resampled } from './answers.ts';
import { sometimes } from './strategies.ts';
import { type Ending, type Life, live, type World } from './world.ts';

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
  /** Whether every trial draws its answers from another resampling of the recorded ones: what is predicted then allows for how few they are. */
  readonly resamples?: boolean;
}

/** Every answer audited, at once, by auditors that are honest; those that repeat their scores may not be. @param share of its answers that it cheats on */
export function measureDetection(cheat: KnownCheat, honest: AnswerPool, share: number, tried: Trials): Detection {
  const { trials, most, seed, confirmingPpm, resamples = false } = tried;
  const world: World = {
    stakeNano: 1000n * C_NANO,
    rate: { kind: 'fixed', ppm: PPM },
    collusionPpm: 0,
    confirmingPpm,
    lagMax: 0,
    payDelay: 0,
    unbonding: 0,
    ownShare: 0.2,
    clients: 20,
    honest,
    horizon: most,
    probes: 10 * most,
  };
  const rng = new FastRng(seed);
  const trial = (): Life => {
    if (!resamples) return live(world, sometimes(cheat, share), rng);
    const other = { ...cheat, pool: resampled(cheat.pool, rng) };
    return live({ ...world, honest: resampled(honest, rng) }, sometimes(other, share), rng);
  };
  const lives = Array.from({ length: trials }, trial);
  const audits = lives.map((life) => life.audits).sort((a, b) => a - b);
  const mean = audits.reduce((sum, count) => sum + count, 0) / trials;
  const fractionPpm = Math.round(share * PPM);
  const figures: CheatFigures = {
    cheat: cheat.name,
    fractionPpm,
    savedPpm: cheat.savedPpm,
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

/** Trials of the shipped table: enough for means to a tenth, few enough to be made anew by a test. */
export const TABLE_TRIALS: Trials = { trials: 100, most: 5_000, seed: 20_261_126, confirmingPpm: 172_414 };

/** What ships as `MEASURED_CHEATS`: every cheat that saves anything, on every share of its requests. @throws {Error} where one is not always found */
export function measuredCheats({ honest, cheats }: RecordedAnswers, tried: Trials = TABLE_TRIALS): MeasuredCheat[] {
  return [...cheats.values()]
    .filter(({ savedPpm }) => savedPpm > 0)
    .flatMap((cheat) => [
      ...FRACTIONS_PPM.map((fractionPpm) => {
        const { figures, audits, stopped } = measureDetection(cheat, honest, fractionPpm / PPM, tried);
        if (stopped < 1) throw new Error(`${cheat.name} on ${fractionPpm} ppm is found in ${stopped} of the trials`);
        return { ...figures, audits50: quantile(audits, 0.5), audits95: quantile(audits, 0.95) };
      }),
      rarely(cheat),
    ]);
}

/** Found by nothing but answers that convict by themselves, one audit in 1 / (d · φ). */
function rarely({ name, pool, savedPpm }: KnownCheat): MeasuredCheat {
  const answers = pool.flat();
  const hit = (answers.filter(({ isGross }) => isGross).length / answers.length) * (RARE_PPM / PPM);
  // Of a geometric law: the least k with 1 - (1 - hit)^k at least the share.
  const within = (share: number) => Math.ceil(Math.log1p(-share) / Math.log1p(-hit));
  return {
    cheat: name,
    fractionPpm: RARE_PPM,
    savedPpm,
    fault: 'wrong_output',
    auditsMilli: Math.ceil(1000 / hit),
    audits50: within(0.5),
    audits95: within(0.95),
  };
}

/** The least value that a share of the sorted ones does not exceed. */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.ceil(share * sorted.length) - 1]!;
}

/** The file that holds them. */
export function measuredModule(cheats: readonly MeasuredCheat[]): string {
  const rows = cheats.map(({ cheat, fractionPpm, savedPpm, fault, auditsMilli, audits50, audits95 }) => {
    const counts = [auditsMilli, audits50, audits95].map(grouped).join(', ');
    return `  ['${cheat}', ${grouped(fractionPpm)}, ${grouped(savedPpm)}, '${fault}', ${counts}],`;
  });
  return [
    '/** How many audits find each cheat: made by `npm run sim:economy -- --only table` of the recorded answers; do not edit. */',
    "import type { MeasuredCheat } from './detection.ts';",
    '',
    "type Row = readonly [string, number, number, MeasuredCheat['fault'], number, number, number];",
    '',
    '/** Cheat, its share of requests and what it saves in millionths, fault, audits in thousandths on average, audits in half and in 95 of 100 runs. */',
    'const ROWS: readonly Row[] = [',
    ...rows,
    '];',
    '',
    'export const MEASURED_CHEATS: readonly MeasuredCheat[] = ROWS.map(',
    '  ([cheat, fractionPpm, savedPpm, fault, auditsMilli, audits50, audits95]) => {',
    '    return { cheat, fractionPpm, savedPpm, fault, auditsMilli, audits50, audits95 };',
    '  },',
    ');',
    '',
  ].join('\n');
}

function grouped(count: number): string {
  return count < 10_000 ? String(count) : String(count).replace(/\B(?=(\d{3})+$)/g, '_');
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
