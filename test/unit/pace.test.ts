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

describe('what was seen of a class', () => {
  const microsOf = (book: PaceBook) => paceOf(book, null)!.paceMicros;

  test('goes by its slowest operator, however many fast ones have been seen as often', () => {
    let book = seals(EMPTY_BOOK, 'slow', 1000);
    for (let i = 0; i < 14; i++) book = seals(book, `fast-${i}`, 1);
    expect(microsOf(book)).toBe(2 ** 14);
  });

  test('goes by the upper median: by the slower half where there are two', () => {
    expect(microsOf(seals(seals(EMPTY_BOOK, 'a', 100, SAMPLES / 2), 'a', 1000, SAMPLES / 2))).toBe(2 ** 14);
    expect(microsOf(seals(seals(EMPTY_BOOK, 'a', 100, SAMPLES / 2 + 1), 'a', 1000, SAMPLES / 2 - 1))).toBe(2 ** 10);
  });

  test('counts a seal that missed its deadline twice: it took longer than was waited', () => {
    expect(microsOf(seals(EMPTY_BOOK, 'a', 100, SAMPLES, true))).toBe(2 * microsOf(seals(EMPTY_BOOK, 'a', 100)));
  });

  test('forgets seals after sixteen more, and a peak of load after sixty-four more seatings', () => {
    const faster = seals(seals(EMPTY_BOOK, 'a', 1000), 'a', 100);
    expect(microsOf(faster)).toBe(2 ** 10);
    expect(faster.operators.get('a')).toHaveLength(SAMPLES);
    let book = withSeating(faster, 8, 1);
    for (let seating = 0; seating < 63; seating++) book = withSeating(book, 1, 1);
    expect(paceOf(book, null)!.load).toBe(8);
    expect(paceOf(withSeating(book, 1, 1), null)!.load).toBe(1);
  });

  test('gives as many times the time as the load says', () => {
    const calm = sealDeadlineMs({ paceMicros: 1000, load: 1 }, 100, BOUNDS);
    expect(sealDeadlineMs({ paceMicros: 1000, load: 4 }, 100, BOUNDS)).toBe(4 * calm);
  });
});

test('starting a job counts as thirty-two tokens, and a prompt as a sixteenth of its own', () => {
  expect(sealWork(0, 8, true)).toBe(40);
  expect(sealWork(1600, 8, true)).toBe(140);
  expect(sealWork(1601, 8, true)).toBe(141);
});

test('the prompt counts for the first chunk only', () => {
  expect(sealWork(1600, 8, true) - sealWork(1600, 8, false)).toBeGreaterThanOrEqual(100);
  expect(sealWork(1_000_000, 8, false)).toBe(8);
});
