/** Whether a provider can tell from what it sees that it is alone: a slice of `npm run bench:covers` (SPEC.md §5.7). */
import { beforeAll, describe, expect, test } from 'vitest';
import {
  CALLS,
  CLASSIFIERS,
  heldOut,
  loneMembers,
  PERMISSION_SIZES,
  SLOTS,
  seatedMembers,
} from '../fixtures/cover-samples.ts';
import type { Sample } from '../fixtures/tell-apart.ts';

/**
 * The error of an area is 0.29 · √(2 / 200) = 0.029: two of them tell 0.56 from 0.5, three 0.59. What is left below that, the large run shows
 * (`npm run bench:covers`: 1,000 jobs of each kind, an error of 0.013).
 */
const SIZES = { jobs: 200, before: { three: 300, fifteen: 60 } };
/** Only time in this process, of a thousand committees. */
const PATIENCE_MS = 300_000;

describe('a provider that sits alone', () => {
  let many: Sample[];
  let covered: Sample[];
  let bare: Sample[];
  beforeAll(async () => {
    many = await seatedMembers(SIZES, 'slice');
    covered = await loneMembers(SIZES, true, 'slice');
    bare = await loneMembers(SIZES, false, 'slice');
  }, PATIENCE_MS);

  test.each(CLASSIFIERS)(
    'is not told from one of many on times, sizes, slots and times over work by %s, and is without covers',
    (_, train) => {
      const { area, error } = heldOut(many, covered, train, SIZES.jobs);
      // Some hundredths beside the error are what the large run leaves.
      expect(Math.abs(area - 0.5)).toBeLessThan(3 * error + 0.03);
      // The same at once where covers are switched off.
      const told = heldOut(many, bare, train, SIZES.jobs);
      expect(told.low).toBeGreaterThan(0.75);
      expect(area).toBeLessThan(told.area - 0.2);
    },
  );

  test('gets orders and permissions of the same sizes, in the same order, in slots that say nothing', () => {
    // Decimal numbers and a slot of one digit or two make the only differences there are.
    const range = (samples: readonly Sample[], at: number) => {
      const values = samples.map((sample) => sample[at]!);
      return [Math.min(...values), Math.max(...values)];
    };
    for (const at of PERMISSION_SIZES) expect(range(covered, at)).toEqual(range(many, at));
    for (const at of CALLS) expect(range(covered, at)).toEqual(range(many, at));
    for (const at of SLOTS)
      expect([range(covered, at), range(many, at)]).toEqual([
        [0, 15],
        [0, 15],
      ]);
  });
});
