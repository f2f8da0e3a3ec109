import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  ALLOWANCE,
  EMPTY_BOOK,
  LOAD_MAX,
  type Pace,
  type PaceBook,
  paceOf,
  SAMPLES,
  SAMPLES_MIN,
  sealDeadlineMs,
  sealWork,
  withSeal,
  withSeating,
} from '../../gateway/committee/pace.ts';

const BOUNDS = { leastMs: 100, mostMs: 60_000 };

function seals(book: PaceBook, operator: string, ms: number, count = SAMPLES, isLate = false): PaceBook {
  let after = book;
  for (let i = 0; i < count; i++) after = withSeal(after, { operator, work: 100, ms, isLate });
  return after;
}

describe('the deadline of a class', () => {
  test('is the longest one while nobody has been seen often enough', () => {
    const book = seals(EMPTY_BOOK, 'a', 10, SAMPLES_MIN - 1);
    expect(paceOf(book, null)).toBeNull();
    expect(sealDeadlineMs(null, 100, BOUNDS)).toBe(BOUNDS.mostMs);
  });

  test('is eight times what the slowest operator usually takes, in steps of two', () => {
    const pace = paceOf(seals(EMPTY_BOOK, 'a', 100), null)!;
    // 100 ms for 100 tokens are 1,000 microseconds a token; the step above is 1,024.
    expect(pace).toEqual({ paceMicros: 1024, load: 1 });
    expect(sealDeadlineMs(pace, 100, BOUNDS)).toBe(Math.ceil((ALLOWANCE * 1024 * 100) / 1000));
  });

  test('cannot be shortened by fast operators, however many they are', () => {
    const slow = seals(EMPTY_BOOK, 'slow', 1000);
    const before = paceOf(slow, null)!;
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 999 }), { maxLength: 100 }), (times) => {
        let book = slow;
        for (const [i, ms] of times.entries()) {
          book = withSeal(book, { operator: `fast-${i % 14}`, work: 100, ms, isLate: false });
        }
        expect(paceOf(book, before)!.paceMicros).toBeGreaterThanOrEqual(before.paceMicros);
      }),
    );
  });

  test('grows when members of the class miss it, until the honest ones have their time', () => {
    let pace = paceOf(seals(EMPTY_BOOK, 'a', 100), null)!;
    let book = seals(EMPTY_BOOK, 'a', 100);
    const needed = 10_000;
    for (let tries = 0; sealDeadlineMs(pace, 100, BOUNDS) < needed; tries++) {
      expect(tries).toBeLessThan(10);
      book = seals(book, 'a', sealDeadlineMs(pace, 100, BOUNDS), SAMPLES, true);
      pace = paceOf(book, pace)!;
    }
  });

  test('does not change with every wobble around a step', () => {
    let pace: Pace | null = null;
    const seen = new Set<Pace | null>();
    let book = EMPTY_BOOK;
    for (let i = 0; i < 200; i++) {
      book = withSeal(book, { operator: 'a', work: 100, ms: i % 2 === 0 ? 100 : 105, isLate: false });
      pace = paceOf(book, pace);
      seen.add(pace);
    }
    expect(seen.size).toBeLessThanOrEqual(3);
  });

  test('stays within its bounds and is never longer for less work or less load', () => {
    const paces = fc.record({
      paceMicros: fc.integer({ min: 0, max: 31 }).map((power) => 2 ** power),
      load: fc.constantFrom(1, 2, 4, 8),
    });
    fc.assert(
      fc.property(paces, fc.nat(1_000_000), fc.nat(1_000_000), (pace, work, more) => {
        const ms = sealDeadlineMs(pace, work, BOUNDS);
        expect(ms).toBeGreaterThanOrEqual(BOUNDS.leastMs);
        expect(ms).toBeLessThanOrEqual(BOUNDS.mostMs);
        expect(sealDeadlineMs(pace, work + more, BOUNDS)).toBeGreaterThanOrEqual(ms);
        const busier = { ...pace, load: Math.min(LOAD_MAX, pace.load * 2) };
        expect(sealDeadlineMs(busier, work, BOUNDS)).toBeGreaterThanOrEqual(ms);
      }),
    );
  });

  test('is stretched by load, up to eight times', () => {
    const book = seals(EMPTY_BOOK, 'a', 100);
    expect(paceOf(withSeating(book, 4, 4), null)!.load).toBe(1);
    expect(paceOf(withSeating(book, 5, 4), null)!.load).toBe(2);
    expect(paceOf(withSeating(book, 1000, 4), null)!.load).toBe(LOAD_MAX);
    expect(paceOf(withSeating(book, 1000, 0), null)!.load).toBe(LOAD_MAX);
  });
});

test('the prompt counts for the first chunk only', () => {
  expect(sealWork(1600, 8, true) - sealWork(1600, 8, false)).toBeGreaterThanOrEqual(100);
  expect(sealWork(1_000_000, 8, false)).toBe(8);
});
