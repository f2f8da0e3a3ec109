/** The token bucket: against a plain model of what a minute allows, and at its edges. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ProtocolError } from '#protocol/errors';
import { durationText, KeyLimiter } from '../../gateway/limits/key-limiter.ts';
import {
  type Bucket,
  fullBucket,
  fullInMs,
  putBack,
  RATE_MAX,
  refilled,
  taken,
  unitsIn,
} from '../../gateway/limits/token-bucket.ts';

const MINUTE_MS = 60_000;

test('in no window is more let through than a full bucket and what came in', () => {
  const step = fc.record({ afterMs: fc.integer({ min: 0, max: 90_000 }), units: fc.integer({ min: 0, max: 40 }) });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 30 }), fc.array(step, { maxLength: 60 }), (perMinute, steps) => {
      let bucket: Bucket = fullBucket(perMinute, 0);
      let nowMs = 0;
      const let_through: { atMs: number; units: number }[] = [];
      for (const { afterMs, units } of steps) {
        nowMs += afterMs;
        bucket = refilled(bucket, perMinute, nowMs);
        expect(unitsIn(bucket)).toBeGreaterThanOrEqual(0);
        expect(unitsIn(bucket)).toBeLessThanOrEqual(perMinute);
        const after = taken(bucket, perMinute, units);
        if (!('bucket' in after)) continue;
        bucket = after.bucket;
        let_through.push({ atMs: nowMs, units });
        for (const { atMs } of let_through) {
          const units = let_through.filter((each) => each.atMs >= atMs).reduce((sum, each) => sum + each.units, 0);
          expect(units * MINUTE_MS).toBeLessThanOrEqual(perMinute * (MINUTE_MS + nowMs - atMs));
        }
      }
    }),
  );
});

test('what is refused for a time is let through after exactly that time, and not a millisecond before', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 100_000 }),
      fc.integer({ min: 0, max: 100_000 }),
      fc.integer({ min: 1, max: 100_000 }),
      (perMinute, used, units) => {
        const first = taken(fullBucket(perMinute, 0), perMinute, Math.min(used, perMinute));
        if (!('bucket' in first)) throw new Error('a full bucket holds its rate');
        const second = taken(first.bucket, perMinute, units);
        if ('bucket' in second) return;
        if (second.waitMs === null) {
          expect(units).toBeGreaterThan(perMinute);
          return;
        }
        const at = (ms: number) => taken(refilled(first.bucket, perMinute, ms), perMinute, units);
        expect('bucket' in at(second.waitMs)).toBe(true);
        expect('bucket' in at(second.waitMs - 1)).toBe(false);
      },
    ),
  );
});

test('the largest rate is counted exactly', () => {
  const bucket = taken(fullBucket(RATE_MAX, 0), RATE_MAX, RATE_MAX - 1);
  expect('bucket' in bucket && unitsIn(bucket.bucket)).toBe(1);
});

test('a clock that goes back refills nothing, a lowered rate cuts, what is put back does not overflow', () => {
  const empty: Bucket = { level: 0, atMs: 1_000_000 };
  expect(unitsIn(refilled(empty, 60, 0))).toBe(0);
  expect(unitsIn(refilled(refilled(empty, 60, 0), 60, 1_000_000))).toBe(0);
  expect(unitsIn(refilled(fullBucket(60, 0), 6, 0))).toBe(6);
  expect(unitsIn(putBack(fullBucket(60, 0), 60, 5))).toBe(60);
  expect(fullInMs({ level: 0, atMs: 0 }, 60)).toBe(MINUTE_MS);
  expect(fullInMs(fullBucket(0, 0), 0)).toBe(0);
});

test.each([
  [0, '0ms'],
  [17, '17ms'],
  [1000, '1s'],
  [1500, '1.5s'],
  [60_000, '1m0s'],
  [365_900, '6m5s'],
])('%i ms is %s', (ms, text) => {
  expect(durationText(ms)).toBe(text);
});

test('a place is free again when the handler and every hold have ended, once each', () => {
  let nowMs = 0;
  const clock = { nowMs: () => nowMs, sleep: () => new Promise<void>(() => {}) };
  const limiter = new KeyLimiter(clock, { requestsPerMinute: 1000, tokensPerMinute: 100, concurrentRequests: 1 });
  const key = { keyId: 'k', policy: null };
  const first = limiter.enter(key);
  const release = first.hold();
  first.leave();
  first.leave();
  expect(() => limiter.enter(key)).toThrow(ProtocolError);
  release();
  release();
  const second = limiter.enter(key);
  expect(() => limiter.enter(key)).toThrow(ProtocolError);
  second.takeTokens(100);
  expect(() => second.takeTokens(1)).toThrow(expect.objectContaining({ retryable: true, retryAfterMs: 600 }));
  expect(() => second.takeTokens(101)).toThrow(expect.objectContaining({ retryable: false }));
  nowMs += 600;
  second.takeTokens(1);
});
