/** Tests of sampled text without its seed, and of text that two providers have in common. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LOGIT_Q16_MIN, LOGIT_SCALE, MASS_Q32_ONE, type TokenEvidence } from '#protocol/evidence';
import { chooseToken, evidenceFor } from '#protocol/sampler';
import { BETS } from '#protocol/wealth';
import { COPY_PROBABILITY_MAX, copyProbability } from '../../gateway/judge/copying.ts';
import { responseFactors } from '../../gateway/judge/factors.ts';
import { seedlessDrift, seedlessTerm } from '../../gateway/judge/seedless.ts';
import { SeededRng } from '../simulation/seeded-rng.ts';
import { scorersLogits } from './honest-noise.ts';
import { sampled } from './judge-fixture.ts';

const EXACT = {
  tie: 0,
  border: 0,
  nearGap: 0,
  near: { survival: [{ gap: 0, upper: 0 }] },
  apart: { survival: [{ gap: 0, upper: 0 }] },
};

const listedLogits = fc.uniqueArray(fc.integer({ min: -4 * LOGIT_SCALE, max: 4 * LOGIT_SCALE }), {
  minLength: 2,
  maxLength: 8,
});

function listed(logits: readonly number[], at: number): TokenEvidence {
  const top = logits.map((logit, id) => [id, logit] as const);
  return {
    chosen: at,
    chosenLogit: logits[at]!,
    keptCount: logits.length,
    lastKeptLogit: LOGIT_Q16_MIN,
    massQ32: MASS_Q32_ONE,
    top,
  };
}

/** Text sampled at another temperature with noise of its own, and a scorer's evidence with the order's. */
function sampledAt(temperature: number, tokens: number, name: string) {
  const rng = new SeededRng(name);
  const sampling = sampled({});
  const items = Array.from({ length: tokens }, (_, position) => {
    const logits = scorersLogits(rng, 40, 4);
    const own = { sampling: sampled({ temperature }), seed: 99n, position, outputCounts: new Map() };
    const { id } = chooseToken(logits, own);
    return evidenceFor(logits, { ...own, sampling, seed: 5n }, id);
  });
  return { claimed: { tokens: items.map(({ chosen }) => chosen), sampling, seed: 5n }, evidence: items };
}

describe('terms', () => {
  test('where the whole law is listed, both tests have mean 0 under it, exactly', () => {
    fc.assert(
      fc.property(listedLogits, fc.double({ min: 0.2, max: 2, noNaN: true }), (logits, temperature) => {
        const weights = logits.map((logit) => Math.exp(logit / LOGIT_SCALE / temperature));
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        const terms = logits.map((_, at) => seedlessTerm(listed(logits, at), { temperature }));
        const mean = (of: 'rank' | 'surprise') =>
          terms.reduce((sum, term, i) => sum + (term[of] * weights[i]!) / total, 0);
        expect(mean('rank')).toBeCloseTo(0, 9);
        expect(mean('surprise')).toBeCloseTo(0, 9);
        for (const { rank, surprise } of terms)
          expect(Math.max(Math.abs(rank), Math.abs(surprise))).toBeLessThan(1 + 1e-9);
      }),
    );
  });

  test("elsewhere the scorer's own draw and an honest token may change places", () => {
    const swapped = (a: number, b: number): TokenEvidence => ({
      ...listed([b], 0),
      chosen: 9,
      chosenLogit: a,
      keptCount: 50,
    });
    const [one, other] = [
      seedlessTerm(swapped(100, 9_000), sampled({})),
      seedlessTerm(swapped(9_000, 100), sampled({})),
    ];
    expect(one.rank + other.rank).toBe(0);
    expect(one.surprise + other.surprise).toBe(0);
  });
});

describe('temperatures', () => {
  const surpriseBets = BETS.flatMap(({ test: kind, stake }, at) => (kind === 'surprise' ? [{ stake, at }] : []));

  function bestOf(temperature: number, tokens: number) {
    const response = sampledAt(temperature, tokens, `t ${temperature}`);
    const factors = responseFactors({ ...response, bounds: EXACT, seedless: true })!;
    return surpriseBets
      .map(({ stake, at }) => ({ stake, factor: factors[at]! }))
      .sort((a, b) => b.factor - a.factor)[0]!;
  }

  test('0.5 for 1 is found by the bet on likely tokens, 1.6 for 1 by the bet on unlikely ones', () => {
    expect(bestOf(0.5, 300)).toMatchObject({ stake: expect.any(Number), factor: 128 });
    expect(bestOf(0.5, 300).stake).toBeGreaterThan(0);
    expect(bestOf(1.6, 300)).toMatchObject({ factor: 128 });
    expect(bestOf(1.6, 300).stake).toBeLessThan(0);
  });

  test('the right temperature raises little, and margins say nothing of noise that nobody knows', () => {
    expect(bestOf(1, 300).factor).toBeLessThan(20);
    const factors = responseFactors({ ...sampledAt(1, 50, 'margins'), bounds: EXACT, seedless: true })!;
    for (const [i, { test: kind }] of BETS.entries()) if (kind === 'margin') expect(factors[i]).toBe(1);
  });

  test('the mean may drift by twice the distance in total variation, at T = 1 and a tie of 0.1 by 0.1', () => {
    expect(seedlessDrift({ tie: 0.1 }, { temperature: 1 })).toBeCloseTo(2 * Math.tanh(0.05), 12);
  });
});

describe('copies', () => {
  test('the bound is at least the probability of the tokens', () => {
    fc.assert(
      fc.property(listedLogits, fc.nat(7), (logits, at) => {
        const place = at % logits.length;
        const evidence = listed(logits, place);
        const weights = logits.map((logit) => Math.exp(logit / LOGIT_SCALE));
        const exact = weights[place]! / weights.reduce((sum, weight) => sum + weight, 0);
        const partly = { ...evidence, keptCount: 100, top: evidence.top.slice(0, 3) };
        for (const item of [evidence, partly]) {
          expect(copyProbability([item], sampled({}), { tie: 0 })).toBeGreaterThanOrEqual(exact * (1 - 1e-9));
        }
      }),
    );
  });

  test('sixty sampled tokens in common are a copy, greedy answers in common are not', () => {
    const { evidence } = sampledAt(1, 60, 'copy');
    expect(copyProbability(evidence, sampled({}), { tie: 0.01 })).toBeLessThan(COPY_PROBABILITY_MAX);
    expect(copyProbability(evidence, sampled({ temperature: 0 }), { tie: 0.01 })).toBe(1);
  });

  test('two tokens in common are none', () => {
    const { evidence } = sampledAt(1, 2, 'chance');
    expect(copyProbability(evidence, sampled({}), { tie: 0.01 })).toBeGreaterThan(COPY_PROBABILITY_MAX);
  });
});
