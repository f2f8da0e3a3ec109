/** Prices, quotes and covers: what a job costs, and what must be held for it. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { GATEWAY_SETTINGS } from '../../gateway/config.ts';
import { MONEY_MAX_NANO } from '../../gateway/ledger/accounts.ts';
import type { CostShape } from '../../gateway/ledger/price.ts';
import {
  canCoverEscalation,
  committeeBounds,
  coverNano,
  generatingJobMaxNano,
  JOB_TOKENS_MAX,
  jobPrice,
  PRICE_MAX_NANO_PER_MTOK,
  quoteNano,
  scoringJobMaxNano,
  surchargeNano,
} from '../../gateway/ledger/price.ts';

const PRICE = { inputNanoPerMtok: 2_000_000n, outputNanoPerMtok: 10_000_000n };
const shapeOf = (change: Partial<CostShape> = {}): CostShape => ({
  price: PRICE,
  seats: 3,
  choices: 1,
  inputTokens: 10,
  maxTokens: 100,
  ...change,
});
/** Of a single answer's price, that of an audited one, under the settings that ship. */
function auditedMultiple(ppm: number, inputTokens: number, outputTokens: number): number {
  const price = {
    inputNanoPerMtok: GATEWAY_SETTINGS.inputNanoPerMtok.fallback!,
    outputNanoPerMtok: GATEWAY_SETTINGS.outputNanoPerMtok.fallback!,
  };
  const audit = { ppm, regeneratePpm: GATEWAY_SETTINGS.auditRegeneratePpm.fallback!, withinMs: 1 };
  const surcharge = surchargeNano(price, { inputTokens, outputTokens }, audit);
  return 1 + Number(surcharge) / Number(jobPrice(price, { inputTokens, outputTokens, scoredTokens: 0 }).chargeNano);
}

test('README says what audited answers cost at the least and the highest rate, by the shape of prompt and answer', () => {
  const row = readFileSync(path.resolve(import.meta.dirname, '../../README.md'), 'utf8').match(
    /^\| `audited` .*$/m,
  )![0];
  const [floorPpm, ceilingPpm] = [GATEWAY_SETTINGS.auditFloorPpm.fallback!, GATEWAY_SETTINGS.auditCeilingPpm.fallback!];
  const rangeOf = (ppm: number) => [auditedMultiple(ppm, 1, 100_000), auditedMultiple(ppm, 100_000, 1)];
  const [cheap, dear] = [rangeOf(floorPpm), rangeOf(ceilingPpm)];
  expect(row).toContain(`${cheap[0]!.toFixed(3)}–${cheap[1]!.toFixed(2)}× at the least rate of ${floorPpm / 10_000}%`);
  expect(row).toContain(`${dear[0]!.toFixed(2)}–${dear[1]!.toFixed(2)}× at the highest of ${ceilingPpm / 10_000}%`);
  expect(row).toContain(`${auditedMultiple(ceilingPpm, 1_000, 1_000).toFixed(3)}× where prompt and answer are as long`);
  expect(row).toContain(
    `${auditedMultiple(ceilingPpm, 5_000, 100).toFixed(2)}× where the prompt is fifty times as long`,
  );
});

const tokens = fc.integer({ min: 0, max: JOB_TOKENS_MAX });
const nano = fc.bigInt({ min: 0n, max: PRICE_MAX_NANO_PER_MTOK });
const priceArb = fc.record({ inputNanoPerMtok: nano, outputNanoPerMtok: nano });

test('a job costs prompt and scored tokens at the input price and revealed tokens at the output price', () => {
  expect(jobPrice(PRICE, { inputTokens: 10, outputTokens: 5, scoredTokens: 3 })).toEqual({
    exactMicroNano: 76_000_000n,
    chargeNano: 76n,
    payNano: 76n,
  });
});

test('a job that revealed and scored nothing costs nothing, its prompt included', () => {
  expect(jobPrice(PRICE, { inputTokens: 1_000, outputTokens: 0, scoredTokens: 0 }).chargeNano).toBe(0n);
});

test('a fraction of a nano is charged as one and paid as none', () => {
  const tiny = { inputNanoPerMtok: 0n, outputNanoPerMtok: 1n };
  const one = jobPrice(tiny, { inputTokens: 0, outputTokens: 1, scoredTokens: 0 });
  expect(one).toEqual({ exactMicroNano: 1n, chargeNano: 1n, payNano: 0n });
  const whole = jobPrice(tiny, { inputTokens: 0, outputTokens: 1_000_000, scoredTokens: 0 });
  expect(whole).toEqual({ exactMicroNano: 1_000_000n, chargeNano: 1n, payNano: 1n });
});

test('for every price and count, pay ≤ exact ≤ charge ≤ pay + 1, and they part only where there is a fraction', () => {
  fc.assert(
    fc.property(priceArb, tokens, tokens, tokens, (price, inputTokens, outputTokens, scoredTokens) => {
      const { exactMicroNano, chargeNano, payNano } = jobPrice(price, { inputTokens, outputTokens, scoredTokens });
      expect(payNano * 1_000_000n <= exactMicroNano && exactMicroNano <= chargeNano * 1_000_000n).toBe(true);
      expect(chargeNano - payNano <= 1n).toBe(true);
      expect((chargeNano === payNano) === (exactMicroNano % 1_000_000n === 0n)).toBe(true);
    }),
  );
});

test.each([
  { inputTokens: -1, outputTokens: 1, scoredTokens: 0 },
  { inputTokens: 0, outputTokens: 1.5, scoredTokens: 0 },
  { inputTokens: 0, outputTokens: 1, scoredTokens: Number.NaN },
  { inputTokens: JOB_TOKENS_MAX + 1, outputTokens: 1, scoredTokens: 0 },
])('counts that are no token counts are refused: %o', (work) => {
  expect(() => jobPrice(PRICE, work)).toThrow(RangeError);
});

test.each([-1n, PRICE_MAX_NANO_PER_MTOK + 1n])('the price %s is refused, for input and for output', (price) => {
  const work = { inputTokens: 1, outputTokens: 1, scoredTokens: 0 };
  expect(() => jobPrice({ ...PRICE, inputNanoPerMtok: price }, work)).toThrow(RangeError);
  expect(() => jobPrice({ ...PRICE, outputNanoPerMtok: price }, work)).toThrow(RangeError);
});

test('the quote is every choice of every seat, generated to the end and rounded up per job', () => {
  expect(quoteNano(shapeOf())).toBe(3n * (20n + 1_000n));
  expect(quoteNano(shapeOf({ choices: 4 }))).toBe(12n * 1_020n);
  const tiny = { inputNanoPerMtok: 0n, outputNanoPerMtok: 1n };
  expect(quoteNano(shapeOf({ price: tiny }))).toBe(3n);
});

test('no job within the limits is charged more than its share of the quote', () => {
  const counts = fc.integer({ min: 0, max: 10_000 });
  fc.assert(
    fc.property(priceArb, counts, counts, fc.nat(100), (price, inputTokens, maxTokens, percent) => {
      const outputTokens = Math.floor((maxTokens * percent) / 100);
      const quote = quoteNano(shapeOf({ price, seats: 1, inputTokens, maxTokens }));
      expect(jobPrice(price, { inputTokens, outputTokens, scoredTokens: 0 }).chargeNano <= quote).toBe(true);
    }),
  );
});

test('a quote that no account can hold is refused as insufficient_quota', () => {
  const price = { inputNanoPerMtok: PRICE_MAX_NANO_PER_MTOK, outputNanoPerMtok: PRICE_MAX_NANO_PER_MTOK };
  const large = shapeOf({ price, seats: 3, maxTokens: JOB_TOKENS_MAX });
  expect(() => quoteNano(large)).toThrowError(expect.objectContaining({ code: 'insufficient_quota' }));
});

test('a single seat has one replacement, a quorum 3n + 1 generations and 5n scoring passes', () => {
  expect(committeeBounds(1)).toEqual({ generatingJobs: 2, scoringJobs: 0 });
  expect(committeeBounds(3)).toEqual({ generatingJobs: 10, scoringJobs: 15 });
  expect(committeeBounds(7)).toEqual({ generatingJobs: 22, scoringJobs: 35 });
});

test('the cover pays every job that the committee may cause, for every choice', () => {
  const generation = 2n * (10n + 110n) + 1_000n;
  const scoring = 2n * (10n + 100n);
  expect(generatingJobMaxNano(shapeOf())).toBe(generation);
  expect(scoringJobMaxNano(shapeOf())).toBe(scoring);
  expect(coverNano(shapeOf())).toBe(10n * generation + 15n * scoring);
  expect(coverNano(shapeOf({ choices: 2 }))).toBe(2n * coverNano(shapeOf()));
  expect(coverNano(shapeOf({ seats: 1 }))).toBe(2n * generation);
});

test('the most that a job can earn is never below what it earns', () => {
  const counts = fc.integer({ min: 1, max: 10_000 });
  fc.assert(
    fc.property(priceArb, counts, counts, fc.nat(), fc.nat(), (price, inputTokens, maxTokens, a, b) => {
      const shape = shapeOf({ price, inputTokens, maxTokens });
      const outputTokens = a % (maxTokens + 1);
      const scoredTokens = b % (maxTokens + 1);
      const member = jobPrice(price, { inputTokens, outputTokens, scoredTokens });
      expect(member.payNano <= generatingJobMaxNano(shape)).toBe(true);
      const scorer = jobPrice(price, { inputTokens, outputTokens: 0, scoredTokens });
      expect(scorer.payNano <= scoringJobMaxNano(shape)).toBe(true);
    }),
  );
});

test('the longest job there can be still has a most that it can earn', () => {
  expect(generatingJobMaxNano(shapeOf({ inputTokens: 10, maxTokens: JOB_TOKENS_MAX }))).toBeGreaterThan(0n);
});

test('the reserve covers a request exactly down to its last nano', () => {
  const cover = coverNano(shapeOf());
  expect(canCoverEscalation(cover, shapeOf())).toBe(true);
  expect(canCoverEscalation(cover - 1n, shapeOf())).toBe(false);
  const price = { inputNanoPerMtok: PRICE_MAX_NANO_PER_MTOK, outputNanoPerMtok: PRICE_MAX_NANO_PER_MTOK };
  const large = shapeOf({ price, maxTokens: JOB_TOKENS_MAX });
  expect(coverNano(large)).toBeGreaterThan(MONEY_MAX_NANO);
  expect(canCoverEscalation(coverNano(large), large)).toBe(false);
});
