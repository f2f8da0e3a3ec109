/** The margin of a token at the border of top-k and top-p, for any logits: never above the plain one, and 0 for one's own token. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Tolerances } from '#protocol/calibration';
import { MARGIN_CLIP, margin } from '#protocol/evidence';
import { chooseToken, evidenceFor } from '#protocol/sampler';
import { GREEDY, type Sampling } from '#protocol/sampling';
import { tokenMargin } from '../../gateway/judge/border.ts';

const NO_COUNTS = new Map<number, number>();
const float = (min: number, max: number) => fc.double({ min, max, noNaN: true });
const someLogits = fc.array(float(-12, 12), { minLength: 2, maxLength: 40 }).map((values) => Float32Array.from(values));
const someSampling = fc
  .record({ temperature: fc.oneof(fc.constant(0), float(0.1, 2)), topP: float(0.05, 1), topK: fc.nat(12) })
  .map((change): Sampling => ({ ...GREEDY, ...change }));
const someTolerances = float(0, 0.1).map((tie): Tolerances => ({ tie, border: tie, reject: 5 * tie, gross: 1 }));
const someOrder = fc.record({
  sampling: someSampling,
  seed: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  position: fc.nat(1000),
});

test('what an honest run takes has no margin in its own eyes', () => {
  const property = fc.property(someLogits, someOrder, fc.option(someTolerances), (logits, order, tolerances) => {
    const { evidence } = chooseToken(logits, { ...order, outputCounts: NO_COUNTS });
    expect(tokenMargin(evidence, order, tolerances)).toEqual({ margin: 0, atClip: false });
  });
  fc.assert(property, { seed: 21, numRuns: 400 });
});

test('tolerance only ever lowers a margin, and no margin is outside 0 to the clip', () => {
  const property = fc.property(
    someLogits,
    someOrder,
    someTolerances,
    fc.nat(39),
    (logits, order, tolerances, token) => {
      const claimed = token % logits.length;
      const evidence = evidenceFor(logits, { ...order, outputCounts: NO_COUNTS }, claimed);
      const plain = tokenMargin(evidence, order, null).margin;
      const judged = tokenMargin(evidence, order, tolerances);
      expect(judged.margin).toBeLessThanOrEqual(plain);
      expect(judged.margin).toBeGreaterThanOrEqual(0);
      expect(judged.atClip).toBe(judged.margin === MARGIN_CLIP);
    },
  );
  fc.assert(property, { seed: 22, numRuns: 600 });
});

test('a wider border never makes a margin larger', () => {
  const property = fc.property(
    someLogits,
    someOrder,
    fc.nat(39),
    float(0, 0.2),
    float(0, 0.2),
    (logits, order, token, a, b) => {
      const evidence = evidenceFor(logits, { ...order, outputCounts: NO_COUNTS }, token % logits.length);
      const options = { temperature: order.sampling.temperature, seed: order.seed, position: order.position };
      const at = (borderTolerance: number) => margin(evidence, { ...options, borderTolerance }).margin;
      expect(at(Math.max(a, b))).toBeLessThanOrEqual(at(Math.min(a, b)));
    },
  );
  fc.assert(property, { seed: 23, numRuns: 400 });
});

test('no honest machine is rejected whose logits are off by half a tie at most, whatever the support', () => {
  const property = fc.property(
    someLogits,
    someOrder,
    float(0.001, 0.1),
    fc.array(float(-1, 1), { minLength: 40, maxLength: 40 }),
    (logits, order, tie, noise) => {
      const other = logits.map((logit, id) => logit + (noise[id]! * tie) / 2);
      const { id } = chooseToken(other, { ...order, outputCounts: NO_COUNTS });
      const evidence = evidenceFor(logits, { ...order, outputCounts: NO_COUNTS }, id);
      // Logits are rounded to 2^-16, so that a difference of a tie may come out a unit larger.
      const tolerances = { tie: tie + 2 ** -14, border: tie + 2 ** -14, reject: 5 * tie, gross: 1 };
      expect(tokenMargin(evidence, order, tolerances).margin).toBeLessThanOrEqual(tolerances.tie);
    },
  );
  fc.assert(property, { seed: 24, numRuns: 3000 });
});

test('a token that top-p cannot have dropped counts although one kept token is not listed', () => {
  // Nine are kept and eight listed; the claimed one is the likeliest, the best listed one holds 0.055 of 0.049 that may go.
  const evidence = {
    chosen: 90,
    chosenLogit: 776835,
    keptCount: 9,
    lastKeptLogit: 752751,
    massQ32: 2359320553,
    top: [
      [95, 753865],
      [87, 761713],
      [70, 758861],
      [101, 769971],
      [38, 758926],
      [72, 767196],
      [43, 754132],
      [90, 776835],
    ] as const,
  };
  const sampling: Sampling = { ...GREEDY, temperature: 1, topP: 0.5 };
  const order = { sampling, seed: 8820940029043267263n, position: 0 };
  const tolerances = { tie: 0.01, border: 0.01, reject: 0.05, gross: 1 };
  expect(tokenMargin(evidence, order, tolerances)).toEqual({ margin: MARGIN_CLIP, atClip: true });
});

test('a token that top-p leaves out is at the clip although top-k would have had room for it', () => {
  // Three of three within top-k weigh 0.5, 0.3, 0.2: the first two reach top-p = 0.7 by a tenth, which no honest machine loses.
  const logits = Float32Array.from([0.5, 0.3, 0.2, 0.01].map(Math.log));
  const tolerances = { tie: 0.01, border: 0.01, reject: 0.05, gross: 1 };
  const margins = [3, 4].flatMap((topK) => {
    const order = { sampling: { ...GREEDY, temperature: 1, topP: 0.7, topK }, position: 0 };
    return Array.from({ length: 40 }, (_, seed) => {
      const placed = { ...order, seed: BigInt(seed) };
      return tokenMargin(evidenceFor(logits, { ...placed, outputCounts: NO_COUNTS }, 2), placed, tolerances);
    });
  });
  expect(margins.every(({ atClip }) => atClip)).toBe(true);
});
