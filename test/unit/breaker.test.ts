import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  admits,
  afterEvent,
  type Breaker,
  type BreakerEvent,
  breakerAt,
  CONSECUTIVE_MAX,
  FORGIVEN_AFTER,
  NEW_BREAKER,
  OPEN_MAX_MS,
  OPEN_MS,
  openMs,
  PROBES_NEEDED,
  WINDOW,
} from '../../gateway/committee/breaker.ts';
import type { CandidateSkip } from '../../gateway/committee/capability-skips.ts';
import { passedOver } from '../../gateway/committee/passed-over.ts';
import type { Seat } from '../../gateway/committee/seat.ts';

const EVENTS = ['sent', 'answered', 'failed', 'dropped'] as const;
const steps = fc.array(fc.record({ event: fc.constantFrom(...EVENTS), ms: fc.integer({ min: 0, max: 400_000 }) }), {
  maxLength: 200,
});

function play(events: readonly BreakerEvent[], from: Breaker = NEW_BREAKER, nowMs = 0): Breaker {
  return events.reduce((breaker, event) => afterEvent(breaker, event, nowMs), from);
}

const times = (count: number, event: BreakerEvent) => Array.from({ length: count }, () => event);

describe('a breaker', () => {
  test('opens at the fifth failure in a row, not at the fourth', () => {
    expect(play(times(CONSECUTIVE_MAX - 1, 'failed')).kind).toBe('closed');
    expect(play(times(CONSECUTIVE_MAX, 'failed'))).toMatchObject({ kind: 'open', opens: 1, untilMs: OPEN_MS });
  });

  test('opens where half of the last outcomes are failures, though never two in a row', () => {
    const flapping = Array.from({ length: WINDOW }, (_, i): BreakerEvent => (i % 2 === 0 ? 'answered' : 'failed'));
    expect(play(flapping).kind).toBe('open');
    const rare = Array.from({ length: 200 }, (_, i): BreakerEvent => (i % 3 === 0 ? 'failed' : 'answered'));
    expect(play(rare).kind).toBe('closed');
  });

  test('admits nobody while open, one at a time while half open, everybody once enough have answered', () => {
    const open = play(times(CONSECUTIVE_MAX, 'failed'));
    expect(admits(open, OPEN_MS - 1)).toBe(false);
    expect(admits(open, OPEN_MS)).toBe(true);
    const probing = afterEvent(open, 'sent', OPEN_MS);
    expect(admits(probing, OPEN_MS)).toBe(false);
    expect(admits(afterEvent(probing, 'dropped', OPEN_MS), OPEN_MS)).toBe(true);
    const closed = play(times(PROBES_NEEDED, 'answered'), probing, OPEN_MS);
    expect(closed.kind).toBe('closed');
    expect(admits(closed, OPEN_MS)).toBe(true);
  });

  test('of a provider that fails its probe stays open twice as long, up to a bound', () => {
    let breaker = play(times(CONSECUTIVE_MAX, 'failed'));
    let nowMs = 0;
    for (let opens = 2; opens < 40; opens++) {
      nowMs += openMs(opens - 1);
      breaker = play(['sent', 'failed'], breaker, nowMs);
      expect(breaker).toMatchObject({
        kind: 'open',
        opens,
        untilMs: nowMs + Math.min(OPEN_MAX_MS, OPEN_MS * 2 ** (opens - 1)),
      });
    }
  });

  test('of a provider that flaps opens for longer each time, until it has answered long enough', () => {
    const once = play(times(PROBES_NEEDED, 'answered'), play(times(CONSECUTIVE_MAX, 'failed')), OPEN_MS);
    const twice = play(times(CONSECUTIVE_MAX, 'failed'), once, OPEN_MS);
    expect(twice).toMatchObject({ kind: 'open', opens: 2 });
    const forgiven = play(times(FORGIVEN_AFTER, 'answered'), once, OPEN_MS);
    expect(play(times(CONSECUTIVE_MAX, 'failed'), forgiven, OPEN_MS)).toMatchObject({ kind: 'open', opens: 1 });
  });

  test('looks back on the last twenty outcomes alone: a good past buys nothing', () => {
    let breaker = play(times(100, 'answered'));
    for (let i = 0; i < 4 && breaker.kind === 'closed'; i++) {
      breaker = play([...times(CONSECUTIVE_MAX - 1, 'failed'), 'answered'], breaker);
    }
    expect(breaker.kind).toBe('open');
  });

  test('is not closed by its first answer, nor forgiven by answers with a failure between them', () => {
    const open = play(times(CONSECUTIVE_MAX, 'failed'));
    const probed = play(['sent', 'answered'], open, OPEN_MS);
    expect(probed.kind).toBe('half_open');
    const closed = play(['sent', 'answered'], probed, OPEN_MS);
    const half = times(FORGIVEN_AFTER - 5, 'answered');
    const unforgiven = play([...half, 'failed', ...half], closed, OPEN_MS);
    expect(unforgiven).toMatchObject({ kind: 'closed', opens: 1 });
  });

  test('never stays shut for longer than its bound, whatever happens', () => {
    fc.assert(
      fc.property(steps, (events) => {
        let breaker: Breaker = NEW_BREAKER;
        let nowMs = 0;
        for (const { event, ms } of events) {
          nowMs += ms;
          breaker = afterEvent(breaker, event, nowMs);
          if (breaker.kind === 'open') expect(breaker.untilMs - breaker.sinceMs).toBeLessThanOrEqual(OPEN_MAX_MS);
          const later = breakerAt(breaker, nowMs + OPEN_MAX_MS);
          expect(later.kind).not.toBe('open');
        }
      }),
    );
  });

  test('never opens without a failure, and never closes without an answer', () => {
    fc.assert(
      fc.property(steps, (events) => {
        let breaker: Breaker = NEW_BREAKER;
        let nowMs = 0;
        for (const { event, ms } of events) {
          nowMs += ms;
          const before = breakerAt(breaker, nowMs);
          breaker = afterEvent(breaker, event, nowMs);
          if (before.kind !== 'open' && breaker.kind === 'open') expect(event).toBe('failed');
          if (before.kind !== 'closed' && breaker.kind === 'closed') expect(event).toBe('answered');
          if (before.kind === 'open') expect(breaker).toEqual(before);
        }
      }),
    );
  });

  test('forgets jobs that ended without an outcome: whoever drops out leaves no probe behind', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50 }), (jobs) => {
        let breaker = play(times(CONSECUTIVE_MAX, 'failed'));
        for (let job = 0; job < jobs; job++) breaker = play(['sent', 'dropped'], breaker, OPEN_MS);
        expect(admits(breaker, OPEN_MS)).toBe(true);
      }),
    );
  });
});

describe('a draw', () => {
  const seat = (name: string) => ({ address: name, operator: name }) as unknown as Seat;
  const skip = (name: string) => ({ provider: name, reason: 'breaker:open', logIndex: 1 }) as unknown as CandidateSkip;
  const candidates = ['a', 'b', 'c', 'd', 'e'].map(seat);

  test('passes failing providers over while enough others are left', () => {
    expect(passedOver(candidates, [], [skip('a'), skip('b')], 3)).toEqual([skip('a'), skip('b')]);
  });

  test('looks at no breaker where they would leave too few, and never at only some', () => {
    const failing = ['a', 'b', 'c'].map(skip);
    expect(passedOver(candidates, [], failing, 3)).toEqual([]);
    const unable = [{ ...skip('e'), reason: 'capability:sampler' }];
    expect(passedOver(candidates, unable, [skip('a')], 4)).toEqual(unable);
  });

  test('names nobody twice', () => {
    expect(passedOver(candidates, [skip('a')], [skip('a')], 3)).toEqual([skip('a')]);
  });
});
