/** One response's factors: by how much each bet against its provider's honesty grows or shrinks (spec-judge.md §7.10). Pure. */
import { MARGIN_CLIP, type TokenEvidence } from '#protocol/evidence';
import { BETS, type Bet, FACTOR_SCALE, quantiseFactor } from '#protocol/wealth';
import { areaBound, type DifferenceBounds, type TokenTerm, tokenTerm } from './compensator.ts';
import type { ComparedPosition } from './convict.ts';
import { type CopyTest, copyFactor } from './copying.ts';
import { evidenceDistance, sharedDistance } from './evidence-distance.ts';
import { judgeScore, type ScoredTranscript } from './score.ts';
import { seedlessDrift, seedlessTerm } from './seedless.ts';

/** How tokens of one response are put together. */
export interface FactorRules {
  /** Tokens of a block. */
  readonly blockTokens: number;
  /**
   * `average`: a response is a fixed mixture of its blocks, which holds whatever their errors have in common.
   * `multiply`: blocks are bet on in turn, which holds only where a block's errors say nothing about the next one's.
   */
  readonly blocks: 'average' | 'multiply';
  /** Largest factor of a block, and of a response. */
  readonly blockMax: number;
  readonly responseMax: number;
}

/**
 * Blocks of 32 tokens; block b has the share 1 / (b (b + 1)) of the response's stake, however many there are: shares that went by
 * the response's length would let a deviating token that ends the answer weigh more. At most 128 = 2^7 a response: 1e6 = 2^19.9 takes three.
 */
export const FACTOR_RULES: FactorRules = Object.freeze({
  blockTokens: 32,
  blocks: 'average',
  blockMax: 128,
  responseMax: 128,
});

/** Token by token and without bounds: to measure what the caps and the dependence within a response cost. No basis for a slash. */
export const BARE_FACTOR_RULES: FactorRules = Object.freeze({
  blockTokens: 1,
  blocks: 'multiply',
  blockMax: Number.POSITIVE_INFINITY,
  responseMax: Number.POSITIVE_INFINITY,
});

/** One scored response. */
export interface ScoredResponse {
  readonly claimed: ScoredTranscript;
  /** The scorer's, one item a token. */
  readonly evidence: readonly TokenEvidence[];
  /** The generator's class as the scorer's class sees it. */
  readonly bounds: DifferenceBounds;
  /** Whether the tokens were sampled by noise that nobody else knows: margins then say nothing, surprise does. */
  readonly seedless?: boolean;
  /** Committed evidence that the provider has opened, at positions that it did not choose. */
  readonly opened?: readonly ComparedPosition[];
  /** In a round under a seed of its own: whether it wrote what another had written under another seed. */
  readonly copy?: CopyTest | undefined;
}

/** Positions that are opened at most; each has this share of the stake. */
const OPENED_MAX = 16;
/** Where blocks are multiplied, a bet keeps half of its wealth whatever comes. */
const MULTIPLIED_LOSS_MAX = 1 / 2;
/** Where the mean may drift farther than this, tokens say nothing about temperature. */
const DRIFT_MAX = 0.5;

/**
 * The response's factors, in the order of `BETS`, each with mean at most 1 for an honest provider given all responses before.
 * @returns null where the score is void (missing, padded or extra evidence, or none that a sampler makes): the scorer failed
 */
export function responseFactors(response: ScoredResponse, rules: FactorRules = FACTOR_RULES): number[] | null {
  const { claimed, evidence, bounds, seedless = false } = response;
  const tolerances = { ...bounds, reject: MARGIN_CLIP, gross: MARGIN_CLIP };
  if (judgeScore(claimed, evidence, tolerances) === null) return null;
  const { sampling, seed } = claimed;
  const terms = seedless ? [] : evidence.map((item, position) => tokenTerm(item, { sampling, seed, position }, bounds));
  return BETS.map((one) => {
    const factor = factorOf(one, response, terms, rules);
    return quantiseFactor(Math.min(factor, rules.responseMax)) / FACTOR_SCALE;
  });
}

function factorOf(one: Bet, response: ScoredResponse, terms: readonly TokenTerm[], rules: FactorRules): number {
  switch (one.test) {
    case 'margin':
      return rules.blocks === 'average' ? averaged(terms, one, rules) : multiplied(terms, one, rules);
    case 'opened':
      return openedFactor(response, one);
    case 'surprise':
      return response.seedless === true ? surpriseFactor(response, one) : 1;
    case 'copied':
      return response.copy === undefined ? 1 : copyFactor(response.copy, rules.responseMax);
  }
}

/** Gain of one token: mean at most 0 for an honest one, and never below -1. */
function gainOf({ observed, expected, nearest }: TokenTerm, { stake, reach }: Bet, lossMax: number): number {
  // Reach and stake depend on what the scorer saw, not on what was claimed: the mean stays what it is.
  if (nearest > reach) return 0;
  return Math.min(stake, lossMax / expected) * (observed - expected);
}

/** Fixed shares of blocks, and 1 for what is not there: linear, so that dependence within the response changes no mean. */
function averaged(terms: readonly TokenTerm[], one: Bet, { blockTokens, blockMax }: FactorRules): number {
  let factor = 1;
  for (let block = 1; (block - 1) * blockTokens < terms.length; block++) {
    const tokens = terms.slice((block - 1) * blockTokens, block * blockTokens);
    const gain = tokens.reduce((sum, term) => sum + gainOf(term, one, 1), 0) / blockTokens;
    factor += Math.min(gain, blockMax - 1) / (block * (block + 1));
  }
  return factor;
}

function multiplied(terms: readonly TokenTerm[], one: Bet, { blockTokens, blockMax }: FactorRules): number {
  let factor = 1;
  for (let first = 0; first < terms.length; first += blockTokens) {
    const tokens = terms.slice(first, first + blockTokens);
    const gain = tokens.reduce((sum, term) => sum + gainOf(term, one, MULTIPLIED_LOSS_MAX), 0) / blockTokens;
    factor *= Math.min(1 + gain, blockMax);
  }
  return factor;
}

/**
 * Committed evidence against the scorer's. For an honest provider the distance of §7.6 is at most the position's range, whose
 * clipped mean the calibration bounds. Lists that share too little to compare count as 0 here: what is proven of
 * them is about tokens below the border of a support too, which no calibration measures.
 */
function openedFactor({ opened = [], claimed, bounds }: ScoredResponse, one: Bet): number {
  const expected = areaBound(bounds) / MARGIN_CLIP;
  const gains = opened.slice(0, OPENED_MAX).map((pair) => {
    const distance = sharedDistance(pair) === null ? 0 : evidenceDistance(pair, claimed);
    const observed = Math.min(1, Math.max(0, distance) / MARGIN_CLIP);
    return gainOf({ observed, expected, nearest: 0 }, one, 1);
  });
  return 1 + gains.reduce((sum, gain) => sum + gain, 0) / OPENED_MAX;
}

/**
 * The generator's own noise is fresh for every token, so tokens are bet on in turn. Machines whose logits are within `tie` of each
 * other move the mean by the drift at most, which is paid in full at every token.
 */
function surpriseFactor({ evidence, claimed, bounds }: ScoredResponse, { stake }: Bet): number {
  const { sampling } = claimed;
  const drift = sampling.temperature === 0 ? 1 : seedlessDrift(bounds, sampling);
  // Under top-p the supports of two machines may differ by more than logits do.
  if (drift > DRIFT_MAX || sampling.topP < 1) return 1;
  return evidence.reduce((factor, item) => {
    const { rank, surprise } = seedlessTerm(item, sampling);
    return factor * (1 + stake * ((rank + surprise) / 2) - Math.abs(stake) * drift);
  }, 1);
}
