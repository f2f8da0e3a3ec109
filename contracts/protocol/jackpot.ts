/**
 * What a scorer earns that finds a planted error (spec-money.md §11.13). Pure: the gateway pays by it, an auditor recomputes it.
 *
 * The verifier's dilemma, "Demystifying incentives in the consensus computer" (Luu et al. 2015): whoever checks gets e·J for an order, with e the
 * share of orders that hold an error and J the prize, and as e goes to 0 nobody checks. Planted errors keep e at a share that is chosen:
 * checking pays by itself wherever e·J is at least what a check costs.
 *
 * Of a choice, each score costs c, and `ordinary` others are asked for beside its trial, which comes with probability t and has o orders, of which q
 * hold a planted error, on average. So e = t·q / (ordinary + t·o), and J = m·c / e = m·c·(ordinary + t·o) / (t·q) with a margin m above 1. Nobody who
 * is asked for a score knows of which kind of choice it is, but a sum of sums in which each kind pays its own checks pays all of them.
 */
import type { AuditDraw, AuditTerms } from './audit.ts';
import { PPM } from './log.ts';

/** Above the cost: the price of a score is a bound of it already, a quarter more is for what a price does not see. */
const MARGIN_PPM = 1_250_000n;
/**
 * Most that one find pays, in scores. Where errors are rarer than one order in 16 (1.25 · 16 = 20), prizes alone would be what all checks cost once more; what is
 * missing there a missed error costs its scorer: two of them put it into quarantine (spec-judge.md §7.13).
 */
export const JACKPOT_SCORES_MAX = 20n;

/** One order of a trial, by what it holds; of a witness's orders all of them, of which the last may hold an error. */
type TrialOrder = 'genuine' | 'edited';
/** Trials look like the orders for which they stand: those of a split come in twos, an audit is one, and so are a witness's, pass by pass. Every shape is as likely. */
const SHAPES: readonly (readonly TrialOrder[])[] = [
  ['genuine'],
  ['edited'],
  ['genuine', 'edited'],
  ['edited', 'genuine'],
];
const SINGLE_SHAPES: readonly (readonly TrialOrder[])[] = [['genuine'], ['edited']];

/** Orders of the trial that a draw makes, where there is a place for an error. @param number draws a number below a bound, by a word of its own */
export function trialShape(mode: string, number: (word: string, below: number) => number): readonly TrialOrder[] {
  const shapes = shapesOf(mode);
  return shapes[number('shape', shapes.length)]!;
}

/** Whether a trial by this draw may hold a planted error: where the transcript has no place for one it has none. */
export function mayHoldError(draw: AuditDraw, mode: string): boolean {
  return trialShape(mode, (word, below) => draw.number(word, below)).includes('edited');
}

/** Of a choice's policy, as far as it decides how many scores are asked for. */
export interface ScoredPolicy {
  readonly mode: string;
  /** Seats. */
  readonly n: number;
}

/** @returns expected scores of a choice beside its trial, in millionths; those of splits and disputes, which nobody foresees, are none */
function ordinaryPpm({ mode, n }: ScoredPolicy, audit: AuditTerms | null): bigint {
  if (mode === 'witnessed') return BigInt(n - 1) * BigInt(PPM);
  if (mode !== 'audited' || audit === null) return 0n;
  return (BigInt(audit.ppm) * BigInt(PPM - audit.regeneratePpm)) / BigInt(PPM);
}

/** What a score of the whole transcript is paid, rounded down: the bound of what a check of it costs. */
export function scoreNano(inputNanoPerMtok: bigint, tokens: { readonly prompt: number; readonly output: number }) {
  return (BigInt(tokens.prompt + tokens.output) * inputNanoPerMtok) / BigInt(PPM);
}

/**
 * The prize for one planted error that a scorer finds.
 * @param costNano what one score of the choice is paid
 * @param trialPpm after how many of a million choices a scorer is tried, as the epoch's entry has it
 * @returns nano-units, rounded up, at most `JACKPOT_SCORES_MAX` scores; 0 where nobody is tried
 * @throws {RangeError} on a share outside 0 to 1,000,000, or a negative cost
 */
export function jackpotNano(
  costNano: bigint,
  trialPpm: number,
  policy: ScoredPolicy,
  audit: AuditTerms | null,
): bigint {
  if (!Number.isInteger(trialPpm) || trialPpm < 0 || trialPpm > PPM) throw new RangeError('"trialPpm" out of range');
  if (costNano < 0n) throw new RangeError('"costNano" is negative');
  if (trialPpm === 0) return 0n;
  const shapes = shapesOf(policy.mode);
  const orders = BigInt(shapes.flat().length);
  const planted = BigInt(shapes.flat().filter((order) => order === 'edited').length);
  const tried = BigInt(trialPpm);
  // Both times the number of shapes, so that o and q are whole.
  const all = ordinaryPpm(policy, audit) * BigInt(shapes.length) + tried * orders;
  const divisor = tried * planted * BigInt(PPM);
  const prize = (costNano * MARGIN_PPM * all + divisor - 1n) / divisor;
  const most = costNano * JACKPOT_SCORES_MAX;
  return prize < most ? prize : most;
}

function shapesOf(mode: string) {
  return mode === 'audited' || mode === 'witnessed' ? SINGLE_SHAPES : SHAPES;
}
