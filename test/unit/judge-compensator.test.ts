/** The compensator bounds what honest tokens count for: against generators whose errors are as bad as their calibration lets them be. */
import { describe, expect, test } from 'vitest';
import { LOGIT_Q16_MIN, LOGIT_SCALE, MARGIN_CLIP, type TokenEvidence } from '#protocol/evidence';
import { evidenceFor, type SamplerContext } from '#protocol/sampler';
import { GREEDY } from '#protocol/sampling';
import { tokenMargin } from '../../gateway/judge/border.ts';
import { type DifferenceBounds, expectedMargin, listedMargins, tokenTerm } from '../../gateway/judge/compensator.ts';
import { SeededRng } from '../simulation/seeded-rng.ts';
import {
  blindLogits,
  boundsOf,
  FP16_LIKE,
  FP32_LIKE,
  honestPosition,
  type NoiseLaw,
  rangeAt,
  scorersLogits,
  worstLogits,
} from './honest-noise.ts';
import { SAMPLINGS } from './judge-fixture.ts';

/** Of every law and sampling; 1,500 were run once, with the same outcome. */
const POSITIONS = 100;
/** Four standard errors: 3e-5 a case if the bound were tight. */
const SIGMAS = 4;
/** Ranges above the clip and above the tolerances, more often than any calibration allows. */
const WILD: NoiseLaw = { scale: 0.02, power: 1, most: 2 };
const LAWS = [
  ['fp16-like', FP16_LIKE],
  ['fp32-like', FP32_LIKE],
  ['wild', WILD],
] as const;

interface Sums {
  readonly observed: number;
  readonly expected: number;
  /** Standard error of the sum of differences. */
  readonly error: number;
}

function play(name: string, law: NoiseLaw, sampling: SamplerContext['sampling'], worst: boolean): Sums {
  const rng = new SeededRng(`compensator ${name} ${worst}`);
  const bounds = boundsOf(law);
  let [observed, expected, squares] = [0, 0, 0];
  for (let position = 0; position < POSITIONS; position++) {
    const context = { sampling, seed: 7n, position, outputCounts: new Map<number, number>() };
    const logits = scorersLogits(rng, 24, rng.pick([0.5, 4, 12]));
    const range = rangeAt(law, 1 - rng.unit());
    const own = worst ? worstLogits(logits, range, context) : blindLogits(logits, range, rng);
    const term = tokenTerm(honestPosition(logits, own, context).evidence, { sampling, seed: 7n, position }, bounds);
    observed += term.observed;
    expected += term.expected;
    squares += (term.observed - term.expected) ** 2;
  }
  return { observed, expected, error: Math.sqrt(squares) };
}

describe.each(LAWS)('errors %s', (lawName, law) => {
  test.each(SAMPLINGS)('%s: neither the worst nor blind errors count for more than expected', (name, sampling) => {
    for (const worst of [true, false]) {
      const { observed, expected, error } = play(`${lawName} ${name}`, law, sampling, worst);
      expect(observed - expected).toBeLessThan(SIGMAS * error);
    }
  });
});

function plain(margins: readonly number[], more: Partial<TokenEvidence> = {}): TokenEvidence {
  const top = margins.map((margin, id) => [id, Math.round((10 - margin) * LOGIT_SCALE)] as const);
  return {
    chosen: 0,
    chosenLogit: top[0]![1],
    keptCount: 100,
    lastKeptLogit: LOGIT_Q16_MIN,
    massQ32: 2 ** 32 - 1,
    top,
    ...more,
  };
}

const order = { sampling: GREEDY, seed: 0n, position: 0 };
const flat = (steps: DifferenceBounds['near']['survival']): DifferenceBounds => {
  return { tie: 0.25, border: 0.25, nearGap: 0, near: { survival: steps }, apart: { survival: steps } };
};

test('margins of listed claims are those that the judge would take, under every restriction', () => {
  const rng = new SeededRng('listed margins');
  const bounds = boundsOf(FP16_LIKE);
  const tolerances = { tie: bounds.tie, border: bounds.border, reject: 1, gross: 1 };
  for (const [, sampling] of SAMPLINGS.filter(([, { topP, topK }]) => topP < 1 || topK > 0)) {
    for (let position = 0; position < 40; position++) {
      const context = { sampling, seed: 3n, position, outputCounts: new Map<number, number>() };
      const evidence = evidenceFor(scorersLogits(rng, 24, rng.pick([1, 4])), context, 0);
      const { margins } = listedMargins(evidence, context, bounds);
      const judged = evidence.top.map(
        ([chosen, chosenLogit]) => tokenMargin({ ...evidence, chosen, chosenLogit }, context, tolerances).margin,
      );
      for (const [i, margin] of margins.entries()) expect(Math.min(margin, MARGIN_CLIP)).toBeCloseTo(judged[i]!, 12);
    }
  }
});

describe('by hand', () => {
  const bounds = flat([
    { gap: 0.0625, upper: 0.5 },
    { gap: 0.25, upper: 0.125 },
  ]);

  test('every listed token adds its distance from the one before, times the probability of so large a range', () => {
    // 0.125 with 1/2, then 0.375 to the clip with 1/8.
    const evidence = plain([0, 0.125, 3], { keptCount: 3 });
    expect(expectedMargin(evidence, order, bounds)).toBeCloseTo((0.125 * 0.5 + 0.375 * 0.125) / 0.5, 12);
  });

  test('tokens that are not listed add the whole area from the last listed one on', () => {
    // 0.125 with 1/2; from there 0.125 more with 1/2 and 0.25 with 1/8.
    const evidence = plain([0, 0.125]);
    expect(expectedMargin(evidence, order, bounds)).toBeCloseTo((0.125 * 0.5 + 0.125 * 0.5 + 0.25 * 0.125) / 0.5, 12);
  });

  test('the bound is met where the calibration is: an engine that parts as often as it may counts for exactly as much', () => {
    // The range is at least 0.125 in half of all cases, and the second token is then taken.
    const evidence = plain([0, 0.125], { keptCount: 2 });
    const [chosen, chosenLogit] = evidence.top[1]!;
    const observed = [evidence, { ...evidence, chosen, chosenLogit }].map(
      (item) => tokenTerm(item, order, bounds).observed,
    );
    expect((observed[0]! + observed[1]!) / 2).toBeCloseTo(expectedMargin(evidence, order, bounds), 12);
  });

  test('a lone kept token can bring nothing', () => {
    expect(expectedMargin(plain([0], { keptCount: 1 }), order, bounds)).toBe(0);
  });

  test('the claimed token changes nothing: a compensator that it moved would follow the cheat', () => {
    const evidence = plain([0, 0.125, 0.3]);
    const [chosen, chosenLogit] = evidence.top[2]!;
    expect(expectedMargin({ ...evidence, chosen, chosenLogit }, order, bounds)).toBe(
      expectedMargin(evidence, order, bounds),
    );
  });

  test('near-ties have bounds of their own', () => {
    const near = { ...bounds, nearGap: 0.1, near: { survival: [{ gap: 0, upper: 1 }] } };
    const tie = plain([0, 0.05], { keptCount: 2 });
    const clear = plain([0, 0.3], { keptCount: 2 });
    expect(expectedMargin(tie, order, near)).toBeCloseTo(0.05 / 0.5, 3);
    expect(expectedMargin(clear, order, near)).toBe(expectedMargin(clear, order, bounds));
  });
});
