/**
 * `assay-sampler/1`: how a token is chosen from logits, the same for every engine and checker (SPEC.md, "Sampling").
 *
 * All decisions are taken on logits rounded to int32 of 2^-16 after penalties and bias, the values that the evidence
 * carries: whoever holds the evidence can repeat the choice exactly.
 */

import type { TokenEvidence } from './evidence.ts';
import { EVIDENCE_TOP_MAX, LOGIT_Q16_MIN, LOGIT_SCALE, MASS_Q32_ONE, quantiseLogit } from './evidence.ts';
import { gumbelNoise, gumbelOfWord, seedHigh, seedLow } from './philox.ts';
import { BLOCK_TOKENS, highestOf, type RoundedLogits, SAMPLER_KERNEL } from './sampler-kernel.ts';
import type { Sampling } from './sampling.ts';

/** Largest vocabulary: sort keys hold (distance below 2^32) * 2^20 + id, exact in float64. */
export const VOCABULARY_MAX = 2 ** 20;
/** Width of a histogram bucket: 2^12 units of 2^-16 = 1/16 of a logit; 4,096 buckets reach 256 logits down. */
const BUCKET_SHIFT = 12;
const BUCKETS = 4096;
/** Above the largest noise, -ln(-ln(1 - 2^-33)) = 22.8739; 2 rounding errors are far below the padding. */
const NOISE_MAX = 22.875;
/** Least words whose noise may reach 0, 1, … 22: noise is -ln(-ln((word + 1/2) / 2^32)), here with 1e-6 and one word to spare. */
const LEAST_WORDS = Array.from({ length: 23 }, (_, noise) =>
  noise === 0 ? 0 : Math.floor(2 ** 32 * Math.exp(-Math.exp(1e-6 - noise))) - 1,
);
/** Blocks whose best is within 6 logits of the best of all are looked at first; which they are decides nothing. */
const LIKELY_Q16 = 6 * LOGIT_SCALE;

/** What, besides the logits, decides about a token. */
export interface SamplerContext {
  readonly sampling: Sampling;
  /** uint64, or int64 in two's complement. */
  readonly seed: bigint;
  /** 0-based index of the output token. */
  readonly position: number;
  /** How often each id occurs among the output tokens before this position. */
  readonly outputCounts: ReadonlyMap<number, number>;
}

interface Support {
  /** Kept ids, best logit first, or `null` for the whole vocabulary. */
  readonly ids: Float64Array | null;
  readonly keptCount: number;
  readonly lastKeptLogit: number;
  readonly massQ32: number;
}

/**
 * Chooses the token of one position.
 * @param logits raw logits of the whole vocabulary, at most 2^20; NaN counts as the smallest.
 * @throws RangeError for an empty or too large vocabulary, which is a fault of the caller.
 */
export function chooseToken(logits: Float32Array, context: SamplerContext): { id: number; evidence: TokenEvidence } {
  const adjusted = adjustLogits(logits, context);
  const { support, top } = rank(adjusted, context);
  const [id, chosenLogit] = top[0]!;
  return { id, evidence: evidenceOf(id, chosenLogit, support, top) };
}

/**
 * The scorer's evidence for a token that somebody else claims: `chosen` is the claimed token with the scorer's own
 * logit (the smallest one where the vocabulary has no such id), all else is what the scorer itself would say.
 */
export function evidenceFor(logits: Float32Array, context: SamplerContext, claimedId: number): TokenEvidence {
  const adjusted = adjustLogits(logits, context);
  const { support, top } = rank(adjusted, context);
  return evidenceOf(claimedId, adjusted.values[claimedId] ?? LOGIT_Q16_MIN, support, top);
}

/** The value that decides: logit + T * noise; the logit itself at temperature 0. */
export function perturbedScore(logit: number, temperature: number, seed: bigint, position: number, id: number): number {
  return temperature === 0 ? logit : logit + temperature * gumbelNoise(seed, position, id);
}

function evidenceOf(
  chosen: number,
  chosenLogit: number,
  support: Support,
  top: readonly (readonly [number, number])[],
): TokenEvidence {
  const { keptCount, lastKeptLogit, massQ32 } = support;
  return { chosen, chosenLogit, keptCount, lastKeptLogit, massQ32, top };
}

/** Penalties, then bias, in float64; then rounding to int32 of 2^-16. What comes back is valid until the next position's. */
function adjustLogits(logits: Float32Array, { sampling, outputCounts }: SamplerContext): RoundedLogits {
  if (logits.length === 0 || logits.length > VOCABULARY_MAX) {
    throw new RangeError(`vocabulary must have 1 to ${VOCABULARY_MAX} tokens, got ${logits.length}`);
  }
  const rounded = SAMPLER_KERNEL.round(logits);
  const { presencePenalty, frequencyPenalty, logitBias } = sampling;
  const changed = new Map<number, number>();
  if (presencePenalty !== 0 || frequencyPenalty !== 0) {
    for (const [id, count] of outputCounts) {
      if (id < logits.length && count > 0) changed.set(id, logits[id]! - presencePenalty - frequencyPenalty * count);
    }
  }
  for (const [id, bias] of logitBias) {
    if (id < logits.length) changed.set(id, (changed.get(id) ?? logits[id]!) + bias);
  }
  for (const [id, logit] of changed) rounded.values[id] = quantiseLogit(logit);
  for (const id of changed.keys()) {
    const block = Math.floor(id / BLOCK_TOKENS);
    rounded.highs[block] = highestOf(rounded.values, block);
  }
  return rounded;
}

function rank(rounded: RoundedLogits, { sampling, seed, position }: SamplerContext) {
  const support = restrict(rounded, sampling);
  const best = new BestTokens(rounded.values);
  const { temperature } = sampling;
  if (temperature === 0) offerLikeliest(best, rounded);
  else if (support.ids === null) offerAll(best, rounded, temperature, seed, position);
  else offerKept(best, rounded, support.ids, { temperature, seed, position });
  return { support, top: best.list() };
}

/** The best tokens so far by (score descending, id ascending). */
class BestTokens {
  /** The score to beat; a lower one cannot enter. */
  threshold = Number.NEGATIVE_INFINITY;
  readonly #adjusted: Int32Array;
  readonly #ids: number[] = [];
  readonly #scores: number[] = [];

  constructor(adjusted: Int32Array) {
    this.#adjusted = adjusted;
  }

  offer(id: number, score: number): void {
    if (score < this.threshold) return;
    const [ids, scores] = [this.#ids, this.#scores];
    let at = ids.length;
    while (at > 0 && (score > scores[at - 1]! || (score === scores[at - 1]! && id < ids[at - 1]!))) at--;
    if (at === EVIDENCE_TOP_MAX) return;
    ids.splice(at, 0, id);
    scores.splice(at, 0, score);
    if (ids.length > EVIDENCE_TOP_MAX) {
      ids.pop();
      scores.pop();
    }
    if (ids.length === EVIDENCE_TOP_MAX) this.threshold = scores[EVIDENCE_TOP_MAX - 1]!;
  }

  list(): readonly (readonly [number, number])[] {
    return this.#ids.map((id) => [id, this.#adjusted[id]!] as const);
  }
}

/** Without noise; a block whose best is too low has no other that enters. */
function offerLikeliest(best: BestTokens, { values, highs }: RoundedLogits): void {
  for (let block = 0; block < highs.length; block++) {
    if (highs[block]! / LOGIT_SCALE < best.threshold) continue;
    const first = BLOCK_TOKENS * block;
    const end = Math.min(first + BLOCK_TOKENS, values.length);
    for (let id = first; id < end; id++) best.offer(id, values[id]! / LOGIT_SCALE);
  }
}

function offerKept(
  best: BestTokens,
  { values }: RoundedLogits,
  ids: Float64Array,
  { temperature, seed, position }: { temperature: number; seed: bigint; position: number },
): void {
  const { words, ask } = SAMPLER_KERNEL.draw(position >>> 0, seedLow(seed), seedHigh(seed));
  for (const id of ids) {
    ask(Math.floor(id / BLOCK_TOKENS));
    best.offer(id, values[id]! / LOGIT_SCALE + temperature * gumbelOfWord(words[id]!));
  }
}

/**
 * Offers the whole vocabulary, skipping what cannot enter: a block of four whose logits are too low for any noise needs no Philox, one
 * whose words are too low for the noise that its best would need no logarithms. Likely blocks come first: the sooner the eighth
 * best is known, the more are skipped. The order of offers decides nothing.
 */
function offerAll(
  best: BestTokens,
  { values, highs }: RoundedLogits,
  temperature: number,
  seed: bigint,
  position: number,
): void {
  const { words, ask } = SAMPLER_KERNEL.draw(position >>> 0, seedLow(seed), seedHigh(seed));
  const likely = highestIn(highs) - LIKELY_Q16;
  for (let pass = 0; pass < 2; pass++) {
    for (let block = 0; block < highs.length; block++) {
      const high = highs[block]!;
      if (high >= likely !== (pass === 0)) continue;
      const needed = (best.threshold - high / LOGIT_SCALE) / temperature;
      if (needed > NOISE_MAX) continue;
      ask(block);
      const least = needed > 0 ? LEAST_WORDS[needed | 0]! : 0;
      const first = BLOCK_TOKENS * block;
      if (
        words[first]! < least &&
        words[first + 1]! < least &&
        words[first + 2]! < least &&
        words[first + 3]! < least
      ) {
        continue;
      }
      const end = Math.min(first + BLOCK_TOKENS, values.length);
      for (let id = first; id < end; id++) {
        const word = words[id]!;
        if (word >= least) best.offer(id, values[id]! / LOGIT_SCALE + temperature * gumbelOfWord(word));
      }
    }
  }
}

function highestIn(values: Int32Array): number {
  let highest = LOGIT_Q16_MIN;
  for (let at = 0; at < values.length; at++) if (values[at]! > highest) highest = values[at]!;
  return highest;
}

/** Top-k, then top-p among what top-k kept; at temperature 0 neither matters, so neither is applied. */
function restrict({ values: adjusted, highs }: RoundedLogits, { temperature, topK, topP }: Sampling): Support {
  if (temperature === 0 || (topK === 0 && topP === 1)) {
    return { ids: null, keptCount: adjusted.length, lastKeptLogit: LOGIT_Q16_MIN, massQ32: MASS_Q32_ONE };
  }
  const highest = highestIn(highs);
  // Summed in the order of ids: float64 sums depend on their order, so the order is part of the rule.
  const weights = new Float64Array(adjusted.length);
  let total = 0;
  for (let id = 0; id < adjusted.length; id++) {
    const weight = Math.exp((adjusted[id]! - highest) / LOGIT_SCALE / temperature);
    weights[id] = weight;
    total += weight;
  }
  const keys = sortedCandidates(adjusted, highest, topK > 0 ? { count: topK } : { mass: topP * total, weights });
  const candidates = topK > 0 ? keys.subarray(0, Math.min(topK, keys.length)) : keys;
  const ordered = candidates.map((key) => key % VOCABULARY_MAX);
  let kept = ordered.length;
  let mass = 0;
  for (const id of ordered) mass += weights[id]!;
  // What top-p is a share of; without it, what top-k cuts off is all that there is to tell.
  const whole = topP < 1 && topK > 0 ? mass : total;
  if (topP < 1) {
    const wanted = topP * whole;
    mass = 0;
    for (kept = 0; kept < ordered.length && (kept === 0 || mass < wanted); kept++) mass += weights[ordered[kept]!]!;
  }
  const ids = ordered.subarray(0, kept);
  const lastKeptLogit = adjusted[ids[kept - 1]!]!;
  // Two sums of the same numbers may differ in the last bit; all is all.
  const share = kept === adjusted.length ? 1 : mass / whole;
  const massQ32 = Math.min(MASS_Q32_ONE, Math.floor(share * MASS_Q32_ONE));
  return { ids, keptCount: kept, lastKeptLogit, massQ32 };
}

type Enough = { readonly count: number } | { readonly mass: number; readonly weights: Float64Array };

/**
 * Sort keys (distance from the best logit) * 2^20 + id, ascending, of at least as many best tokens as asked for.
 * A histogram tells how far down to look, so that a large vocabulary is not sorted as a whole.
 */
function sortedCandidates(adjusted: Int32Array, highest: number, enough: Enough): Float64Array {
  const counts = new Uint32Array(BUCKETS);
  const masses = new Float64Array(BUCKETS);
  const bucketOf = (id: number): number => Math.min(BUCKETS - 1, (highest - adjusted[id]!) >>> BUCKET_SHIFT);
  const weights = 'weights' in enough ? enough.weights : undefined;
  for (let id = 0; id < adjusted.length; id++) {
    const bucket = bucketOf(id);
    counts[bucket]! += 1;
    if (weights !== undefined) masses[bucket]! += weights[id]!;
  }
  let [count, mass, last] = [0, 0, 0];
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    count += counts[bucket]!;
    mass += masses[bucket]!;
    last = bucket;
    // The padding covers that these sums are taken in another order than the deciding ones.
    if ('mass' in enough ? mass >= enough.mass * (1 + 1e-9) : count >= enough.count) break;
  }
  const keys = new Float64Array(count);
  let at = 0;
  for (let id = 0; id < adjusted.length; id++) {
    if (bucketOf(id) <= last) keys[at++] = (highest - adjusted[id]!) * VOCABULARY_MAX + id;
  }
  return keys.sort();
}
