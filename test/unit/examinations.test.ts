/** When there is an occasion for an examination, what is drawn, and how old pay counts as meanwhile (SPEC.md §8.4, spec-money.md §11.8). */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { OCCASIONS } from '#protocol/examination';
import { ANSWERS_MAX, drawAnswers, occasionOf } from '../../gateway/examine/occasion.ts';
import { feeOf } from '../../gateway/ledger/examination-fee.ts';
import { agedUntilMs, PAY_DELAY_MS, SILENT_MS } from '../../gateway/ledger/retained.ts';
import { OCCASION_WORDS } from '../../gateway/store/schema/words.ts';

const DAY_MS = 24 * 3600 * 1000;
const NOW = 100 * DAY_MS;
const facts = { isLeaving: false, examinedAtMs: null, answers: 8, windowMs: 7 * DAY_MS, nowMs: NOW };
const span = (firstDays: number, lastDays: number) => ({
  firstMs: NOW - firstDays * DAY_MS,
  lastMs: NOW - lastDays * DAY_MS,
});

describe('an occasion', () => {
  test('is there for the first time once the oldest answer is six days old, and never again while it goes on', () => {
    expect(occasionOf({ ...facts, span: span(5.9, 0) })).toBe(null);
    expect(occasionOf({ ...facts, span: span(6, 0) })).toBe('first');
    expect(occasionOf({ ...facts, span: span(6, 0), examinedAtMs: NOW - 50 * DAY_MS })).toBe(null);
  });

  test('is there when it leaves or has said nothing for two days, once for what it has answered', () => {
    expect(occasionOf({ ...facts, span: span(3, 0), isLeaving: true })).toBe('last');
    expect(occasionOf({ ...facts, span: span(3, 1.9) })).toBe(null);
    expect(occasionOf({ ...facts, span: span(3, 2) })).toBe('last');
    const examinedAtMs = NOW - 1 * DAY_MS;
    expect(occasionOf({ ...facts, span: span(3, 2), examinedAtMs })).toBe(null);
    expect(occasionOf({ ...facts, span: span(3, 1), isLeaving: true, examinedAtMs })).toBe(null);
    expect(occasionOf({ ...facts, span: span(3, 0.5), isLeaving: true, examinedAtMs })).toBe('last');
  });

  test('is no matter of silence after fewer than eight answers: the first time is waited for, or that it leaves', () => {
    const few = { ...facts, answers: 7 };
    expect(occasionOf({ ...few, span: span(3, 2) })).toBe(null);
    expect(occasionOf({ ...few, span: span(6, 2) })).toBe('first');
    expect(occasionOf({ ...few, span: span(3, 2), isLeaving: true })).toBe('last');
  });

  test('is never there where nothing is kept, and comes before what is kept for a shorter time is gone', () => {
    expect(occasionOf({ ...facts, span: null, isLeaving: true })).toBe(null);
    expect(occasionOf({ ...facts, span: span(0.9, 0), windowMs: DAY_MS })).toBe('first');
    expect(occasionOf({ ...facts, span: span(0.5, 0.3), windowMs: DAY_MS })).toBe('last');
  });

  test('is called as the log and the database call it', () => {
    expect([...OCCASION_WORDS]).toEqual([...OCCASIONS]);
  });
});

describe('pay', () => {
  const ended = (days: number) => ({ beganAtMs: NOW - days * DAY_MS, endedAtMs: NOW - days * DAY_MS + 1 });

  test('of who was never examined grows no older, nor that of who is being examined', () => {
    expect(agedUntilMs({ lastMs: NOW, newest: null }, NOW)).toBe(0);
    const newest = { beganAtMs: NOW - DAY_MS, endedAtMs: null };
    expect(agedUntilMs({ lastMs: NOW, newest }, NOW)).toBe(NOW - DAY_MS);
  });

  test('of who has fallen silent waits for its examination, and grows older after it', () => {
    const lastMs = NOW - 3 * DAY_MS;
    expect(agedUntilMs({ lastMs, newest: ended(9) }, NOW)).toBe(lastMs + SILENT_MS);
    expect(agedUntilMs({ lastMs, newest: ended(1) }, NOW)).toBe(NOW);
    expect(agedUntilMs({ lastMs: NOW - DAY_MS, newest: ended(9) }, NOW)).toBe(NOW);
  });

  test('never waits for what cannot come: it grows older with the clock where nothing is left to be looked at', () => {
    fc.assert(
      fc.property(
        fc.option(fc.record({ beganAtMs: fc.nat(NOW), endedAtMs: fc.nat(NOW) })),
        fc.integer({ min: NOW, max: 2 * NOW }),
        (newest, nowMs) => {
          expect(agedUntilMs({ lastMs: null, newest }, nowMs)).toBe(nowMs);
        },
      ),
    );
  });

  test('of a silent one is never old before its occasion has come', () => {
    fc.assert(
      fc.property(fc.nat(20 * DAY_MS), fc.nat(20 * DAY_MS), (silentMs, sinceMs) => {
        const lastMs = NOW - silentMs;
        const newest = { beganAtMs: lastMs - 1 - sinceMs, endedAtMs: lastMs - sinceMs };
        const occasion = occasionOf({ ...facts, span: { firstMs: lastMs, lastMs }, examinedAtMs: newest.beganAtMs });
        // The pay of its last answer is old at the earliest a week after it; by then it is examined, or waits for that.
        const isOld = agedUntilMs({ lastMs, newest }, NOW) - PAY_DELAY_MS >= lastMs;
        expect(isOld && occasion !== null).toBe(false);
      }),
    );
  });
});

describe('what is drawn', () => {
  const answers = (count: number) => Array.from({ length: count }, (_, i) => ({ requestId: `r${i}`, choice: 0 }));

  test('is all of few, and so many different ones of many', () => {
    const secret = new Uint8Array(32);
    expect(drawAnswers(answers(5), secret)).toHaveLength(5);
    const drawn = drawAnswers(answers(500), secret);
    expect(new Set(drawn.map(({ requestId }) => requestId)).size).toBe(ANSWERS_MAX);
    expect(drawAnswers([...answers(500)].reverse(), secret)).toEqual(drawn);
  });

  test('is each answer as often as any other, by the secret alone', () => {
    const counts = new Map<string, number>();
    for (let round = 0; round < 2_000; round++) {
      const secret = new Uint8Array(32);
      new DataView(secret.buffer).setUint32(0, round);
      for (const { requestId } of drawAnswers(answers(10), secret, 3)) {
        counts.set(requestId, (counts.get(requestId) ?? 0) + 1);
      }
    }
    // 600 expected each, with a standard deviation of 20.5; the secrets are fixed, so this is one outcome for ever.
    for (const { requestId } of answers(10)) expect(Math.abs(counts.get(requestId)! - 600)).toBeLessThan(100);
  });
});

test('the fee is the price of what was looked at alone', () => {
  const of = (outcome: 'held' | 'undone' | 'unsure' | null) => ({ outcome, costNano: 5n });
  expect(feeOf([])).toBe(0n);
  expect(feeOf([of('held'), of('undone'), of('unsure'), of(null)])).toBe(10n);
});
