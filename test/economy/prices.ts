/** What clients pay for hidden audits by the gateway's own formula (spec-money.md §11.5): by stake and record, and by the lengths of prompt and answer. */
import { jackpotNano } from '#protocol/jackpot';
import { PPM } from '#protocol/log';
import type { DetectionTable } from '../../gateway/audit/detection.ts';
import { AUDIT_RULES, auditRate, type Incentive } from '../../gateway/audit/equilibrium.ts';
import { AUDIT_SETTINGS } from '../../gateway/config-audits.ts';
import { ANSWERS_MAX } from '../../gateway/examine/occasion.ts';
import { jobPrice, surchargeNano } from '../../gateway/ledger/price.ts';
import { rounded } from './statistics.ts';

/** The demo's prices: a token of an answer costs four of a prompt. */
const PRICE = { inputNanoPerMtok: 50_000_000n, outputNanoPerMtok: 200_000_000n };
/** What a gateway begins with: audits in a million that are a whole answer, choices in a million after which a scorer is tried. */
export const REGENERATE_PPM = AUDIT_SETTINGS.auditRegeneratePpm.fallback!;
export const TRIAL_PPM = 10_000;
/** Audits that a good record has passed. */
export const GOOD_RECORD = 500;

/** Tokens of a prompt and of its answer. */
export interface Shape {
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** As long as each other: what prices by stake are about. */
const EVEN: Shape = { inputTokens: 256, outputTokens: 256 };

/** From a question with a long answer to a document with a short one. */
export const SHAPES: readonly Shape[] = [
  { inputTokens: 50, outputTokens: 400 },
  EVEN,
  { inputTokens: 600, outputTokens: 256 },
  { inputTokens: 1_000, outputTokens: 256 },
  { inputTokens: 2_000, outputTokens: 100 },
  { inputTokens: 4_000, outputTokens: 50 },
];

export const AIMS = { newMultiple: 1.15, recordMultiple: 1.05 } as const;

/** What a provider has at stake, all of it in prices of one answer, and who audits it. */
export interface Backing {
  readonly stake: number;
  readonly collusionPpm: number;
  /** Answers that may be served until an audit has landed. */
  readonly lag: number;
  /** Answers of which a provider's pay is retained once it has a record; a new one has none. */
  readonly payDelay: number;
}

interface Rates {
  readonly newPpm: number;
  readonly recordPpm: number;
}

export interface PriceRow extends Rates {
  readonly table: string;
  readonly stake: number;
  readonly lag: number;
  readonly payDelay: number;
  /** The whole price over that of a single answer. */
  readonly newMultiple: number;
  readonly recordMultiple: number;
  /** Cheats that the rate with a record does not deter, and that of a new provider, which has no pay to lose yet. */
  readonly undeterred: readonly string[];
  readonly newUndeterred: readonly string[];
}

/** By stake, of a prompt as long as its answer. */
export function priceRow(name: string, table: DetectionTable, backing: Backing): PriceRow {
  const { stake, lag, payDelay } = backing;
  const [fresh, known] = ratesOf(table, backing);
  const [newPpm, recordPpm] = [fresh.ratePpm, known.ratePpm];
  return {
    table: name,
    stake,
    lag,
    payDelay,
    newPpm,
    recordPpm,
    newMultiple: rounded(multipleOf(EVEN, newPpm)),
    recordMultiple: rounded(multipleOf(EVEN, recordPpm)),
    undeterred: known.undeterred,
    newUndeterred: fresh.undeterred,
  };
}

export interface ShapeRow extends Shape, Rates {
  /** Tokens of the prompt for each of the answer. */
  readonly ratio: number;
  /** A score of the answer over its price. */
  readonly score: number;
  readonly newMultiple: number;
  readonly recordMultiple: number;
  /** What the gateway's reserve pays for trials of scorers and their prizes beside, over the price of the answer: no part of the multiple. */
  readonly newTrials: number;
  readonly recordTrials: number;
  /** What one examination costs the provider, in prices of an answer: of a week's answers, twice in its life. */
  readonly examination: number;
}

/** The same stake in prices of the answer, and so the same rates, for every shape. */
export function shapeRows(table: DetectionTable, backing: Backing, shapes: readonly Shape[] = SHAPES): ShapeRow[] {
  const [newPpm, recordPpm] = ratesOf(table, backing).map(({ ratePpm }) => ratePpm) as [number, number];
  return shapes.map((shape) => {
    const score = Number(scoreOf(shape)) / Number(wholeOf(shape));
    return {
      ...shape,
      ratio: rounded(shape.inputTokens / shape.outputTokens),
      newPpm,
      recordPpm,
      score: rounded(score),
      newMultiple: rounded(multipleOf(shape, newPpm)),
      recordMultiple: rounded(multipleOf(shape, recordPpm)),
      newTrials: rounded(trialsOf(shape, newPpm)),
      recordTrials: rounded(trialsOf(shape, recordPpm)),
      examination: rounded(ANSWERS_MAX * score),
    };
  });
}

/** Most tokens of a prompt for each of the answer at which the multiple is within its aim, to a hundredth below; null where none is. */
export interface RatioLimits {
  readonly newRatio: number | null;
  readonly recordRatio: number | null;
}

export function ratioLimits(table: DetectionTable, backing: Backing): RatioLimits {
  const [fresh, known] = ratesOf(table, backing);
  return {
    newRatio: ratioLimit(fresh.ratePpm, AIMS.newMultiple),
    recordRatio: ratioLimit(known.ratePpm, AIMS.recordMultiple),
  };
}

/** Above this a prompt is nearly all of the price: the multiple grows no more. */
const RATIO_MAX = 1_000;
const HUNDREDTHS = 100;

function ratioLimit(ratePpm: number, aim: number): number | null {
  const isWithin = (hundredths: number) =>
    multipleOf({ inputTokens: hundredths * 1_000, outputTokens: HUNDREDTHS * 1_000 }, ratePpm) <= aim;
  let [low, high] = [-1, RATIO_MAX * HUNDREDTHS];
  if (isWithin(high)) return RATIO_MAX;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (isWithin(middle)) low = middle;
    else high = middle;
  }
  return low < 0 ? null : low / HUNDREDTHS;
}

/** The whole price over that of a single answer, as the gateway charges it. */
export function multipleOf(shape: Shape, ppm: number): number {
  const surcharge = surchargeNano(PRICE, shape, { ppm, regeneratePpm: REGENERATE_PPM, withinMs: 0 });
  return 1 + Number(surcharge) / Number(wholeOf(shape));
}

/** Of a new provider, and of one with a record. */
function ratesOf(table: DetectionTable, { stake, collusionPpm, lag, payDelay }: Backing) {
  const priceNano = wholeOf(EVEN);
  const stakeNano = priceNano * BigInt(stake);
  const incentive: Incentive = {
    priceNano,
    stakeNano,
    freeNano: stakeNano,
    lagNano: priceNano * BigInt(lag),
    collusionPpm,
  };
  const at = (passed: number, retained: number) =>
    auditRate(
      { ...incentive, retainedNano: priceNano * BigInt(retained) },
      { passed, isFlagged: false },
      table,
      AUDIT_RULES,
    );
  return [at(0, 0), at(GOOD_RECORD, payDelay)] as const;
}

/** After one choice in so many the referee and a scorer score it, and half of the time there is an error to be found. */
function trialsOf(shape: Shape, ppm: number): number {
  const scoreNano = scoreOf(shape);
  const terms = { ppm, regeneratePpm: REGENERATE_PPM, withinMs: 0 };
  const prizeNano = jackpotNano(scoreNano, TRIAL_PPM, { mode: 'audited', n: 1 }, terms);
  return ((TRIAL_PPM / PPM) * (2 * Number(scoreNano) + Number(prizeNano) / 2)) / Number(wholeOf(shape));
}

function wholeOf({ inputTokens, outputTokens }: Shape): bigint {
  return jobPrice(PRICE, { inputTokens, outputTokens, scoredTokens: 0 }).chargeNano;
}

function scoreOf({ inputTokens, outputTokens }: Shape): bigint {
  return jobPrice(PRICE, { inputTokens, outputTokens: 0, scoredTokens: outputTokens }).chargeNano;
}
