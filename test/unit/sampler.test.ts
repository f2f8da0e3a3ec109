import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TokenEvidence } from '#protocol/evidence';
import { evidenceConsistent, LOGIT_Q16_MIN, quantiseLogit } from '#protocol/evidence';
import { chooseToken, evidenceFor, perturbedScore } from '#protocol/sampler';
import type { Sampling } from '#protocol/sampling';
import { GREEDY, samplingSchema } from '#protocol/sampling';

interface ChoiceVector {
  name: string;
  input: {
    logits: number[];
    sampling: unknown;
    seed: string;
    position: number;
    outputCounts: [number, number][];
  };
  output: TokenEvidence;
}
const { choices } = JSON.parse(readFileSync(new URL('../vectors/sampler.json', import.meta.url), 'utf8')) as {
  choices: ChoiceVector[];
};
const NO_COUNTS = new Map<number, number>();
const sampling = (change: Partial<Sampling>): Sampling => ({ ...GREEDY, ...change });

describe('chooseToken', () => {
  it.each(choices.map((vector) => [vector.name, vector] as const))('agrees with the independent script: %s', (_, v) => {
    const parsed = samplingSchema.parse(v.input.sampling);
    const context = {
      sampling: parsed,
      seed: BigInt(v.input.seed),
      position: v.input.position,
      outputCounts: new Map(v.input.outputCounts),
    };
    const { id, evidence } = chooseToken(Float32Array.from(v.input.logits), context);
    expect(evidence).toEqual(v.output);
    expect(id).toBe(v.output.chosen);
    const check = { ...context, vocabSize: v.input.logits.length };
    expect(evidenceConsistent(evidence, check)).toEqual({ ok: true });
  });

  it('draws from the softmax distribution at any temperature (chi-square over 20,000 positions)', () => {
    const logits = Float32Array.from([0, 1, 2, -1, 0.5, 1.5, -3]);
    for (const temperature of [0.5, 1, 2]) {
      const weights = [...logits].map((logit) => Math.exp(logit / temperature));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      // 22.46 is the 99.9 % point of chi-square with 6 degrees of freedom; the seed is fixed, so it passes or it does not.
      expect(
        chiSquare(
          logits,
          sampling({ temperature }),
          11n,
          weights.map((weight) => weight / total),
        ),
      ).toBeLessThan(22.46);
    }
  });

  it('draws from the renormalised distribution under top-k and top-p', () => {
    const logits = Float32Array.from([0, 1, 2, -1, 0.5, 1.5, -3]);
    const kept = [2, 5, 1];
    const total = kept.reduce((sum, id) => sum + Math.exp(logits[id]!), 0);
    const shares = [...logits].map((logit, id) => (kept.includes(id) ? Math.exp(logit) / total : 0));
    // 13.82 is the 99.9 % point with 2 degrees of freedom.
    expect(chiSquare(logits, sampling({ temperature: 1, topK: 3 }), 5n, shares)).toBeLessThan(13.82);
    expect(chiSquare(logits, sampling({ temperature: 1, topP: 0.7 }), 6n, shares)).toBeLessThan(13.82);
  });

  it('keys the noise by token id, so that a small change of logits leaves most choices as they are', () => {
    const logits = Float32Array.from({ length: 500 }, (_, id) => Math.sin(id * id));
    const moved = logits.map((logit, id) => logit + (id % 2 ? 1e-3 : -1e-3));
    let same = 0;
    for (let position = 0; position < 200; position++) {
      const context = { sampling: sampling({ temperature: 1 }), seed: 3n, position, outputCounts: NO_COUNTS };
      same += chooseToken(logits, context).id === chooseToken(moved, context).id ? 1 : 0;
    }
    expect(same).toBeGreaterThan(190);
  });

  it('finds the same best tokens as scoring every token, for any logits and parameters', () => {
    const property = fc.property(
      fc.oneof(
        fc.array(fc.float({ min: -40, max: 40, noNaN: true }), { minLength: 1, maxLength: 200 }),
        // Around eight tokens that are nearly alike, small noise decides, too.
        fc.array(fc.float({ min: -1, max: 1, noNaN: true }), { minLength: 7, maxLength: 13 }),
      ),
      fc.double({ min: 0.01, max: 2, noNaN: true }),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
      fc.nat(2 ** 31),
      (values, temperature, seed, position) => {
        const logits = Float32Array.from(values);
        const { evidence } = chooseToken(logits, {
          sampling: sampling({ temperature }),
          seed,
          position,
          outputCounts: NO_COUNTS,
        });
        const all = [...logits].map((logit, id) => {
          const rounded = quantiseLogit(logit);
          return { id, score: perturbedScore(rounded / 65536, temperature, seed, position, id) };
        });
        all.sort((a, b) => b.score - a.score || a.id - b.id);
        expect(evidence.top.map(([id]) => id)).toEqual(all.slice(0, 8).map(({ id }) => id));
      },
    );
    fc.assert(property, { seed: 1, numRuns: 1500 });
  });

  it('is always consistent with itself, for any parameters', () => {
    const property = fc.property(
      fc.array(fc.oneof(fc.float({ min: -30, max: 30, noNaN: true }), fc.constantFrom(0, 1, -5)), {
        minLength: 1,
        maxLength: 120,
      }),
      fc.record({
        temperature: fc.oneof(fc.constant(0), fc.double({ min: 0.05, max: 2, noNaN: true })),
        topP: fc.oneof(fc.constant(1), fc.double({ min: 0.001, max: 1, noNaN: true })),
        topK: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 150 })),
        presencePenalty: fc.double({ min: -2, max: 2, noNaN: true }),
        frequencyPenalty: fc.double({ min: -2, max: 2, noNaN: true }),
      }),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      fc.array(fc.tuple(fc.nat(119), fc.integer({ min: 1, max: 5 })), { maxLength: 10 }),
      (values, change, seed, counts) => {
        const context = { sampling: sampling(change), seed, position: 4, outputCounts: new Map(counts) };
        const { evidence } = chooseToken(Float32Array.from(values), context);
        expect(evidenceConsistent(evidence, { ...context, vocabSize: values.length })).toEqual({ ok: true });
      },
    );
    fc.assert(property, { seed: 2, numRuns: 500 });
  });

  it('takes NaN and infinities for what they are instead of failing', () => {
    const logits = Float32Array.from([Number.NaN, Number.NEGATIVE_INFINITY, 1, Number.NaN]);
    const context = { sampling: sampling({ temperature: 1 }), seed: 1n, position: 0, outputCounts: NO_COUNTS };
    expect(chooseToken(logits, context).id).toBe(2);
    expect(chooseToken(Float32Array.from([1, Number.POSITIVE_INFINITY]), context).id).toBe(1);
  });

  it('refuses an empty vocabulary', () => {
    const context = { sampling: GREEDY, seed: 0n, position: 0, outputCounts: NO_COUNTS };
    expect(() => chooseToken(new Float32Array(0), context)).toThrow(RangeError);
  });

  it('handles a vocabulary of 256k with and without restriction', () => {
    const logits = Float32Array.from({ length: 256_000 }, (_, id) => 12 * Math.sin(id * 12.9898) - 8);
    for (const change of [{}, { topK: 50 }, { topP: 0.95 }, { topK: 1000, topP: 0.9 }]) {
      const context = {
        sampling: sampling({ temperature: 1, ...change }),
        seed: 8n,
        position: 1,
        outputCounts: NO_COUNTS,
      };
      const { evidence } = chooseToken(logits, context);
      expect(evidenceConsistent(evidence, { ...context, vocabSize: logits.length })).toEqual({ ok: true });
    }
  });
});

describe('evidenceFor', () => {
  const logits = Float32Array.from([3, 1, 2, 0]);
  const context = { sampling: sampling({ temperature: 1 }), seed: 2n, position: 5, outputCounts: NO_COUNTS };

  it("is the generator's own evidence when the claim is its choice", () => {
    const { id, evidence } = chooseToken(logits, context);
    expect(evidenceFor(logits, context, id)).toEqual(evidence);
  });

  it("reports the scorer's logit of another claim and leaves the rest as it is", () => {
    const { evidence } = chooseToken(logits, context);
    expect(evidenceFor(logits, context, 3)).toEqual({ ...evidence, chosen: 3, chosenLogit: 0 });
  });

  it('gives the smallest logit to a claimed id that the vocabulary does not have', () => {
    expect(evidenceFor(logits, context, 4)).toMatchObject({ chosen: 4, chosenLogit: LOGIT_Q16_MIN });
  });
});

function chiSquare(logits: Float32Array, how: Sampling, seed: bigint, shares: number[]): number {
  const draws = 20_000;
  const counts = new Array<number>(logits.length).fill(0);
  for (let position = 0; position < draws; position++) {
    const { id } = chooseToken(logits, { sampling: how, seed, position, outputCounts: NO_COUNTS });
    counts[id]! += 1;
  }
  let sum = 0;
  shares.forEach((share, id) => {
    if (share === 0) expect(counts[id]).toBe(0);
    else sum += (counts[id]! - share * draws) ** 2 / (share * draws);
  });
  return sum;
}
