import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Calibration,
  calibrationHash,
  type PairCalibration,
  pairOf,
  parseCalibration,
  survivalBound,
} from '#protocol/calibration';
import { LOGIT_Q16_MIN, LOGIT_SCALE, MASS_Q32_ONE, margin, type TokenEvidence } from '#protocol/evidence';
import {
  designEffect,
  ERROR_SHARES,
  measurePair,
  NEAR_GAP,
  type PositionDifference,
  positionDifference,
} from '#protocol/measure-pair';
import { chooseToken, evidenceFor } from '#protocol/sampler';
import { GREEDY } from '#protocol/sampling';
import { uniforms } from '../fixtures/uniforms.ts';

const VOCAB = 64;
const NOISY = { ...GREEDY, temperature: 1 };

/** What two engines say about one position whose logits differ by `differences`. */
function pairedEvidence(
  logits: readonly number[],
  differences: readonly number[],
  temperature: number,
  position: number,
) {
  const scorers = Float32Array.from(logits);
  const generators = Float32Array.from(logits.map((logit, id) => logit + differences[id]!));
  const sampling = { ...NOISY, temperature };
  const context = { sampling, seed: 5n, position, outputCounts: new Map<number, number>() };
  const { id, evidence: own } = chooseToken(generators, context);
  return { own, scored: evidenceFor(scorers, context, id), noise: { temperature, seed: 5n, position } };
}

const logitsArb = fc.array(fc.double({ min: -4, max: 4, noNaN: true }), { minLength: VOCAB, maxLength: VOCAB });
const differencesArb = fc
  .tuple(
    fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: VOCAB, maxLength: VOCAB }),
    fc.integer({ min: 0, max: 16 }),
  )
  .map(([differences, halvings]) => differences.map((difference) => difference * 2 ** -halvings));

describe('positionDifference', () => {
  it('is never less than the margin that the scorer finds for the token', () => {
    fc.assert(
      fc.property(
        logitsArb,
        differencesArb,
        fc.constantFrom(0, 0.7, 1),
        fc.nat(1000),
        (logits, moved, temperature, position) => {
          const { own, scored, noise } = pairedEvidence(logits, moved, temperature, position);
          const { range } = positionDifference(own, scored, noise);
          const judged = margin(scored, { ...noise, borderTolerance: 0, clip: Number.POSITIVE_INFINITY });
          expect(range).toBeGreaterThanOrEqual(judged.margin - 2 / LOGIT_SCALE);
        },
      ),
    );
  });

  it('is never more than the differences, nor than rounding to 2^-16 adds', () => {
    fc.assert(
      fc.property(logitsArb, differencesArb, fc.nat(1000), (logits, moved, position) => {
        const { own, scored, noise } = pairedEvidence(logits, moved, 1, position);
        const { range } = positionDifference(own, scored, noise);
        expect(range).toBeLessThanOrEqual(Math.max(...moved) - Math.min(...moved) + 3 / LOGIT_SCALE);
      }),
    );
  });

  it('does not see a shift of all logits, and sees a token that the other side does not list at all', () => {
    const logits = Array.from({ length: VOCAB }, (_, id) => -id / 8);
    const shifted = pairedEvidence(logits, new Array<number>(VOCAB).fill(3), 0, 0);
    expect(positionDifference(shifted.own, shifted.scored, shifted.noise).range).toBeLessThan(2 / LOGIT_SCALE);
    const fallen = logits.map((_, id) => (id === 1 ? -5 : 0));
    const { own, scored, noise } = pairedEvidence(logits, fallen, 0, 0);
    expect(own.top.some(([id]) => id === 1)).toBe(false);
    // It was 1/8 behind and is behind the eighth of the others now, which is 1 behind.
    expect(positionDifference(own, scored, noise).range).toBeCloseTo(7 / 8, 3);
  });

  it('measures the border of top-k against the claimed token', () => {
    const item = (lastKept: number, keptCount = 9): TokenEvidence => ({
      chosen: 1,
      chosenLogit: 2 * LOGIT_SCALE,
      keptCount,
      lastKeptLogit: lastKept * LOGIT_SCALE,
      massQ32: MASS_Q32_ONE,
      top: [[1, 2 * LOGIT_SCALE]],
    });
    const noise = { temperature: 0, seed: 0n, position: 0 };
    expect(positionDifference(item(-1), item(-1.25), noise).border).toBe(0.25);
    expect(positionDifference(item(-1), item(-1.25, 8), noise).border).toBeNull();
    const free = { ...item(0), lastKeptLogit: LOGIT_Q16_MIN };
    expect(positionDifference(free, free, noise)).toEqual({
      range: 0,
      nearest: Number.POSITIVE_INFINITY,
      border: null,
    });
  });
});

/** Responses of 16 positions whose ranges are exponential with a scale that each response has for itself. */
function simulatedUnits(next: () => number, count: number): PositionDifference[][] {
  return Array.from({ length: count }, () => {
    const scale = 0.001 * (0.2 - Math.log(1 - next()));
    return Array.from({ length: 16 }, () => ({
      range: -scale * Math.log(1 - next()),
      nearest: next() * 2,
      border: null,
    }));
  });
}

describe('measurePair', () => {
  const next = uniforms(11);
  const units = simulatedUnits(next, 600);
  const pair = measurePair({ generator: 'a', scorer: 'b', units }, 1e-3)!;

  it('bounds every rate that fresh responses show', () => {
    const fresh = simulatedUnits(next, 5000).flat();
    for (const { gap } of pair.apart.survival) {
      const rate = fresh.filter(({ range }) => range > gap).length / fresh.length;
      expect(survivalBound(pair, gap * 1.0001, 1)).toBeGreaterThan(rate);
      expect(survivalBound(pair, gap * 1.0001, 0)).toBeGreaterThan(rate);
    }
  });

  it('misses no true rate of either stratum, at any gap, more often than delta says, where whole responses go wrong', () => {
    // Near-ties and other positions go wrong by themselves, a response's four at once; each step down another few responses do.
    const steps = [0.15, 0.1, 0.05, 0.02, 0.01, 0.005];
    const rate = 0.0185;
    const range = () => steps[Math.floor(next() / rate)] ?? 0.00001;
    const truth = (gap: number) => rate * steps.filter((step) => step > gap).length;
    const response = (): PositionDifference[] => {
      const [near, apart] = [range(), range()];
      return [near, near, near, near, apart, apart, apart, apart].map((each, at) => ({
        ...{ range: each, nearest: at < 4 ? 0.1 : 1, border: null },
      }));
    };
    const runs = 400;
    const countMissed = (delta: number) => {
      let missed = 0;
      for (let run = 0; run < runs; run++) {
        const units = Array.from({ length: 120 }, response);
        const { near, apart } = measurePair({ generator: 'a', scorer: 'b', units }, delta)!;
        if ([...near.survival, ...apart.survival].some(({ gap, upper }) => upper < truth(gap))) missed++;
      }
      return missed;
    };
    expect(countMissed(0.2)).toBeLessThan(0.2 * runs);
  });

  it('divides its error among the bounds, and no more of it than there is', () => {
    const shares = [...ERROR_SHARES.near, ...ERROR_SHARES.apart];
    expect(shares.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 12);
    expect(shares).toHaveLength(pair.near.survival.length + pair.apart.survival.length);
  });

  it('counts near-ties and other positions by themselves', () => {
    const near = units.flat().filter(({ nearest }) => nearest <= NEAR_GAP).length;
    expect(pair.near.positions).toBe(near);
    expect(pair.apart.positions).toBe(600 * 16 - near);
    const noisyTies = units.map((unit) =>
      unit.map((item) => (item.nearest <= NEAR_GAP ? { ...item, range: 0.1 } : item)),
    );
    const other = measurePair({ generator: 'a', scorer: 'b', units: noisyTies }, 1e-3)!;
    expect(survivalBound(other, 0.09, NEAR_GAP)).toBeGreaterThan(0.9);
    expect(survivalBound(other, 0.09, 1)).toBe(survivalBound(pair, 0.09, 1));
  });

  it('finds a design effect near one where positions are independent, and the length of responses where they are one', () => {
    const alone = Array.from({ length: 2000 }, () => Array.from({ length: 10 }, () => ({ range: next() })));
    expect(designEffect(alone)).toBeGreaterThan(0.85);
    expect(designEffect(alone)).toBeLessThan(1.15);
    const same = Array.from({ length: 2000 }, () => new Array(10).fill({ range: next() }) as { range: number }[]);
    expect(designEffect(same)).toBeGreaterThan(9);
    expect(designEffect(same)).toBeLessThan(11);
  });

  it('gives no tolerances to classes that are as far apart as models are, and none for nothing', () => {
    const far = units.map((unit) => unit.map((item) => ({ ...item, range: 0.3 })));
    expect(measurePair({ generator: 'a', scorer: 'b', units: far }, 1e-3)).toBeNull();
    expect(measurePair({ generator: 'a', scorer: 'b', units: [[]] }, 1e-3)).toBeNull();
  });

  it('has tolerances that no position of its own exceeds', () => {
    expect(pair.tie).toBeGreaterThanOrEqual(pair.quantiles.at(-1)!.range);
    expect(pair.reject).toBe(5 * pair.tie);
    expect(pair.gross).toBe(1);
  });
});

const PAIR: PairCalibration = measurePair(
  { generator: 'a', scorer: 'b', units: simulatedUnits(uniforms(3), 50) },
  1e-3,
)!;
const FILE: Calibration = {
  version: 1,
  model: 'some',
  modelDigest: `0x${'11'.repeat(32)}`,
  unit: 'response',
  pairs: [PAIR],
  provenance: {
    date: '2026-11-26',
    machine: 'x',
    runtime: 'y',
    method: 'z',
    command: 'c',
    promptsHash: `0x${'22'.repeat(32)}`,
    prompts: { written: 50 },
    tokensPerResponse: 16,
  },
};

describe('a calibration file', () => {
  it('survives JSON with the same hash, and changes it with any figure', () => {
    const read = parseCalibration(JSON.parse(JSON.stringify(FILE)))!;
    expect(calibrationHash(read)).toBe(calibrationHash(FILE));
    expect(calibrationHash({ ...FILE, pairs: [{ ...PAIR, tie: PAIR.tie + 0.01 }] })).not.toBe(calibrationHash(FILE));
  });

  it('holds for its own pair in its own direction alone', () => {
    expect(pairOf(FILE, 'a', 'b')).toBe(PAIR);
    expect(pairOf(FILE, 'b', 'a')).toBeNull();
    expect(pairOf(FILE, 'a', 'c')).toBeNull();
    expect(pairOf(null, 'a', 'b')).toBeNull();
  });

  it.each([
    [
      'bounds that ascend',
      {
        ...PAIR,
        near: {
          ...PAIR.near,
          survival: [
            { gap: 0.1, upper: 0.1 },
            { gap: 0.2, upper: 0.2 },
          ],
        },
      },
    ],
    [
      'gaps that do not ascend',
      {
        ...PAIR,
        apart: {
          ...PAIR.apart,
          survival: [
            { gap: 0.1, upper: 0.2 },
            { gap: 0.1, upper: 0.1 },
          ],
        },
      },
    ],
    ['no bounds', { ...PAIR, apart: { ...PAIR.apart, survival: [] } }],
    ['a tie as wide as the clip', { ...PAIR, tie: 0.5 }],
    ['an error of nothing', { ...PAIR, delta: 0 }],
    ['an unknown field', { ...PAIR, passed: true }],
  ])('with %s is none', (_, pair) => {
    expect(parseCalibration({ ...FILE, pairs: [pair] })).toBeNull();
  });

  it('bounds nothing below its first gap, and everything beyond its last by the last bound', () => {
    const { survival } = PAIR.apart;
    expect(survivalBound(PAIR, 0, 1)).toBe(1);
    expect(survivalBound(PAIR, survival[0]!.gap, 1)).toBe(1);
    expect(survivalBound(PAIR, 1000, 1)).toBe(survival.at(-1)!.upper);
  });
});
