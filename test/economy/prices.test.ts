/** What the gateway charges for hidden audits, against the aims: 1.15 of a single answer at a stake of 100, 1.05 with a record. */
import { describe, expect, test } from 'vitest';
import { DEFAULT_DETECTION } from '../../gateway/audit/detection.ts';
import { type CostShape, quoteNano } from '../../gateway/ledger/price.ts';
import { COLLUSION_PPM } from './economy.ts';
import {
  AIMS,
  type Backing,
  GOOD_RECORD,
  multipleOf,
  priceRow,
  REGENERATE_PPM,
  ratioLimits,
  SHAPES,
  shapeRows,
} from './prices.ts';

const AIMED: Backing = { stake: 100, collusionPpm: COLLUSION_PPM, lag: 8, payDelay: 400 };
const rows = shapeRows(DEFAULT_DETECTION, AIMED);
const limits = ratioLimits(DEFAULT_DETECTION, AIMED);

describe('the price of audits', () => {
  test('is what the gateway quotes for an audited answer over what it quotes for a single one', () => {
    for (const { inputTokens, outputTokens } of SHAPES) {
      const single: CostShape = {
        price: { inputNanoPerMtok: 50_000_000n, outputNanoPerMtok: 200_000_000n },
        seats: 1,
        choices: 1,
        inputTokens,
        maxTokens: outputTokens,
      };
      const audit = { ppm: 123_456, regeneratePpm: REGENERATE_PPM, withinMs: 1 };
      const quoted = Number(quoteNano({ ...single, audit })) / Number(quoteNano(single));
      expect(multipleOf({ inputTokens, outputTokens }, audit.ppm)).toBeCloseTo(quoted, 9);
    }
  });

  test('at a stake of 100 answers is within 1.15 of a single one, 1.05 with a good record, where the prompt is as long as the answer or shorter', () => {
    expect(GOOD_RECORD).toBe(500);
    const row = priceRow('all', DEFAULT_DETECTION, AIMED);
    expect(row.newMultiple).toBeLessThanOrEqual(AIMS.newMultiple);
    expect(row.recordMultiple).toBeLessThanOrEqual(AIMS.recordMultiple);
    expect(row.undeterred).toEqual([]);
    for (const { ratio, newMultiple, recordMultiple } of rows.filter(({ ratio }) => ratio <= 1)) {
      expect([ratio, newMultiple <= AIMS.newMultiple, recordMultiple <= AIMS.recordMultiple]).toEqual([
        ratio,
        true,
        true,
      ]);
    }
  });

  test('is above both aims for long prompts with short answers', () => {
    for (const { newMultiple, recordMultiple } of rows.filter(({ ratio }) => ratio >= 20)) {
      expect(newMultiple).toBeGreaterThan(AIMS.newMultiple);
      expect(recordMultiple).toBeGreaterThan(AIMS.recordMultiple);
    }
  });

  test('by hand: a new provider is audited at the ceiling of a quarter, nine tenths of it scores at the price of a prompt', () => {
    expect(rows[1]).toMatchObject({ inputTokens: 256, outputTokens: 256, newPpm: 250_000, score: 0.4 });
    // 1 + 0.25 · (0.9 · 0.4 + 0.1) = 1.115.
    expect(rows[1]!.newMultiple).toBeCloseTo(1.115, 3);
    // (4,000 + 50) · 50 / (4,000 · 50 + 50 · 200) = 0.9643; 1 + 0.25 · (0.9 · 0.9643 + 0.1) = 1.242; 64 scores of it.
    expect(rows.at(-1)).toMatchObject({ inputTokens: 4_000, newMultiple: 1.242, examination: 61.71 });
  });

  test('reaches its aims at the named ratios of prompt and answer, and not a hundredth above', () => {
    for (const [ratio, ppm, aim] of [
      [limits.newRatio!, rows[0]!.newPpm, AIMS.newMultiple],
      [limits.recordRatio!, rows[0]!.recordPpm, AIMS.recordMultiple],
    ] as const) {
      const at = (inputs: number) => multipleOf({ inputTokens: inputs, outputTokens: 100_000 }, ppm);
      expect(at(Math.round(ratio * 100_000))).toBeLessThanOrEqual(aim);
      expect(at(Math.round((ratio + 0.01) * 100_000))).toBeGreaterThan(aim);
    }
  });

  test('leaves out what trials of scorers cost the reserve: two scores after one answer in a hundred, and prizes', () => {
    // At the ceiling the prize is cut: 0.01 · (2 + 20 / 2) = 0.12 scores.
    for (const { score, newTrials, recordTrials } of rows) {
      expect(newTrials).toBeCloseTo(0.12 * score, 4);
      expect(recordTrials).toBeLessThanOrEqual(newTrials);
      expect(recordTrials).toBeGreaterThan(0.02 * score);
    }
  });
});
