/** Deadlines, whatever comes first: the work, the time, or the caller's leaving; and nothing is left behind. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DeadlineError, within } from '../../gateway/round/deadline.ts';
import { START_MS, VirtualClock } from '../simulation/virtual-clock.ts';

const LEFT = new Error('left');
/** Odd, even and multiples of four keep the three events from falling on one instant. */
const someEnds = fc.record({
  workMs: fc.nat(200).map((n) => 4 * n + 1),
  deadlineMs: fc.nat(200).map((n) => 4 * n + 2),
  leavesMs: fc.option(fc.nat(200).map((n) => 4 * n + 4)),
  fails: fc.boolean(),
});

test('the first of work, deadline and leaving decides, and the work is told at that instant', async () => {
  const property = fc.asyncProperty(someEnds, async ({ workMs, deadlineMs, leavesMs, fails }) => {
    const clock = new VirtualClock();
    const parent = new AbortController();
    if (leavesMs !== null) void clock.sleep(leavesMs).then(() => parent.abort(LEFT));
    let told: unknown = null;
    const work = async (own: () => AbortSignal) => {
      const signal = own();
      signal.addEventListener('abort', () => {
        told = signal.reason;
      });
      await clock.sleep(workMs);
      if (fails) throw new Error('failed');
      return 'done';
    };
    const outcome = await clock.run(
      within(clock, START_MS + deadlineMs, parent.signal, work).then(
        (value) => ({ value, atMs: clock.nowMs() - START_MS }),
        (error: unknown) => ({ error, atMs: clock.nowMs() - START_MS }),
      ),
    );
    const firstMs = Math.min(workMs, deadlineMs, leavesMs ?? Number.POSITIVE_INFINITY);
    expect(outcome.atMs).toBe(firstMs);
    if (firstMs === workMs) {
      expect(told).toBeNull();
      expect('value' in outcome ? outcome.value : (outcome.error as Error).message).toBe(fails ? 'failed' : 'done');
    } else {
      const error = 'error' in outcome ? outcome.error : null;
      expect(told).toBe(error);
      if (firstMs === deadlineMs) expect(error).toBeInstanceOf(DeadlineError);
      else expect(error).toBe(LEFT);
    }
  });
  await fc.assert(property, { seed: 91, numRuns: 200 });
});
