/** Answers of honest and cheating machines as the judge sees them: made by its own functions once, then drawn from by the million. */
import { LOGIT_SCALE, type TokenEvidence } from '#protocol/evidence';
import { chooseToken, evidenceFor, type SamplerContext } from '#protocol/sampler';
import { convict } from '../../gateway/judge/convict.ts';
import { responseFactors } from '../../gateway/judge/factors.ts';
import { judgeScore } from '../../gateway/judge/score.ts';
import { FastRng } from '../bench/nulls/fast-rng.ts';
import { boundsOf, type NoiseLaw, rangeAt, worstLogits } from '../unit/honest-noise.ts';
import { sampled } from '../unit/judge-fixture.ts';

/** Lengths of answers in tokens, each as likely; what `test/bench/nulls` has too. */
export const LENGTHS = [4, 8, 16, 32, 48] as const;
/** Tokens that toy logits are over. */
const VOCABULARY = 32;
/** Width of the toy logits: a deviation of 1.5. */
const SPREAD = 3;
/** Positions that the accused opens at most (spec-judge.md §7.7). */
const OPENED = 16;

/** Honest errors like those of fp16 for fp32 on minnow-5m: another token in 1 of 2,000, a mean margin below 1e-5. */
const HONEST_LAW: NoiseLaw = { scale: 5e-4, power: 2, most: 0.1 };
/** The calibration of the honest class: exact for the noise, and a floor as one of some thousand responses has it. */
const BOUNDS = boundsOf(HONEST_LAW, 0.002);
/** As the shipped calibration has it for one class: far above every honest difference, far below another model's. */
const TOLERANCES = { ...BOUNDS, reject: 0.35, gross: 1 };

/** What a provider runs in place of what it was asked to. */
export interface Machine {
  readonly name: string;
  /** Of what the answer costs, in millionths. */
  readonly savedPpm: number;
  /** Its logits at a position. */
  readonly logits: (real: Float32Array, rng: FastRng, context: SamplerContext) => Float32Array;
}

/** Normal errors at a share of the positions, none elsewhere: quantisation errs rarely and then much. */
function noisy(deviation: number, share = 1) {
  return (real: Float32Array, rng: FastRng) => {
    if (rng.unit() >= share) return real;
    // Three uniforms: near enough to a normal deviate, and bounded as quantisation errors are.
    return real.map((logit) => logit + deviation * 2 * (rng.unit() + rng.unit() + rng.unit() - 1.5));
  };
}

/** A few likely tokens, a long tail, whatever the prompt. */
function someLogits(rng: FastRng): Float32Array {
  return Float32Array.from({ length: VOCABULARY }, () => {
    const logit = SPREAD * (rng.unit() + rng.unit() + rng.unit() - 1.5);
    return Math.round(logit * LOGIT_SCALE) / LOGIT_SCALE;
  });
}

/** Errors as large as the calibration allows, in the worst direction: no honest machine looks worse. */
export const HONEST: Machine = {
  name: 'honest',
  savedPpm: 0,
  logits: (real, rng, context) => worstLogits(real, rangeAt(HONEST_LAW, 1 - rng.unit()), context),
};

/**
 * Deviations of logits for which the share of other tokens and the mean clipped margin come near what was measured on minnow-5m
 * (int8 1.2% and 0.0056, int4 7.4% and 0.058, minnow-1m 45% and 0.44). Savings are upper ends: no measurement of hardware.
 */
export const CHEATS: readonly Machine[] = [
  { name: 'smaller_model', savedPpm: 900_000, logits: noisy(1.2) },
  // An answer from a cache, or one that an accomplice wrote to another prompt: it has nothing to do with the question.
  {
    name: 'cached',
    savedPpm: 900_000,
    logits: (_, rng) => someLogits(rng),
  },
  { name: 'int4', savedPpm: 500_000, logits: noisy(0.45, 0.35) },
  { name: 'int8', savedPpm: 300_000, logits: noisy(0.26, 0.1) },
];

/** One audited answer. */
export interface Answer {
  readonly tokens: number;
  /** Of every bet, as the judge takes them. */
  readonly factors: readonly number[];
  /** Whether this answer convicts by itself (spec-judge.md §7.6). */
  readonly isGross: boolean;
  /** Share of tokens that the scorer would not have taken, and mean margin / Δ. */
  readonly other: number;
  readonly margin: number;
}

/** Answers of each length, in the order of `LENGTHS`. */
export type AnswerPool = readonly (readonly Answer[])[];

/** @param perLength answers of each length */
export function poolOfMachine(machine: Machine, perLength: number, seed: number): AnswerPool {
  return LENGTHS.map((tokens) => {
    const rng = new FastRng(seed + 1_000 * tokens);
    return Array.from({ length: perLength }, () => answerOf(machine, tokens, rng));
  });
}

function answerOf(machine: Machine, tokens: number, rng: FastRng): Answer {
  const sampling = sampled({});
  const seed = BigInt(rng.below(2 ** 31));
  const claimedTokens: number[] = [];
  const own: TokenEvidence[] = [];
  const scored: TokenEvidence[] = [];
  let others = 0;
  for (let position = 0; position < tokens; position++) {
    const context: SamplerContext = { sampling, seed, position, outputCounts: new Map() };
    const real = someLogits(rng);
    const { id, evidence } = chooseToken(machine.logits(real, rng, context), context);
    claimedTokens.push(id);
    own.push(evidence);
    const theirs = evidenceFor(real, context, id);
    if (theirs.top[0]![0] !== id) others++;
    scored.push(theirs);
  }
  const claimed = { tokens: claimedTokens, sampling, seed };
  const factors = responseFactors({ claimed, evidence: scored, bounds: BOUNDS });
  const judgement = judgeScore(claimed, scored, TOLERANCES);
  if (factors === null || judgement === null) throw new Error('a made answer must be one that can be judged');
  const opened = Math.min(OPENED, tokens);
  const positions = Array.from({ length: opened }, (_, i) => Math.floor((i * tokens) / opened));
  const compared = positions.map((position) => ({ position, own: own[position]!, scored: scored[position]! }));
  // Two judges of one class see the same.
  const conviction = convict(claimed, compared, [judgement, judgement], TOLERANCES);
  return {
    tokens,
    factors,
    isGross: judgement.vote === 'reject' && conviction !== null,
    other: others / tokens,
    margin: judgement.meanMargin,
  };
}
