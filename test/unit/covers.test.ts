/** Committees lent to lone members: from enough of them, by what was before, the same after a restart (SPEC.md §5.7). */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CommitteeTrace, Covers, TRACES_MIN } from '../../gateway/committee/covers.ts';
import { slopes } from '../../gateway/committee/least-squares.ts';
import { SeededRng } from '../simulation/seeded-rng.ts';

/** Others that take twice as long as oneself in every round. */
const doubled = (count: number): CommitteeTrace[] =>
  Array.from({ length: count }, (_, i) => {
    const ownMs = [100 + 10 * i, 300 + 20 * i];
    return { ownMs, othersMs: ownMs.map((ms) => 2 * ms), weight: 1 };
  });

describe('covers', () => {
  test('are drawn from as many committees as would not be recognised, and from none of another kind', () => {
    const covers = new Covers();
    const rng = new SeededRng('covers');
    covers.record('a', doubled(TRACES_MIN - 1));
    expect([covers.isKnown('a'), covers.draw('a', [200], [], rng)]).toEqual([false, null]);
    covers.record('a', doubled(1));
    expect([covers.isKnown('a'), covers.isKnown('b')]).toEqual([true, false]);
    expect(covers.draw('a', [200], [], rng)).not.toBeNull();
    expect(covers.draw('b', [200], [], rng)).toBeNull();
  });

  test('follow what the member does itself', () => {
    const covers = new Covers();
    covers.record('a', doubled(200));
    fc.assert(
      fc.property(fc.integer({ min: 150, max: 1900 }), fc.string(), (own, seed) => {
        const rng = new SeededRng(seed);
        expect(Math.abs(covers.draw('a', [own], [], rng)! - 2 * own)).toBeLessThan(0.05 * own);
        const second = 300 + 2 * (own - 100);
        expect(Math.abs(covers.draw('a', [own, second], [2 * own], rng)! - 2 * second)).toBeLessThan(0.05 * second);
      }),
    );
  });

  test('go on where a committee was shorter, and never come before the order', () => {
    const covers = new Covers();
    covers.record('a', doubled(64));
    const rng = new SeededRng('long');
    for (let rounds = 1; rounds < 9; rounds++) {
      const ownMs = Array.from({ length: rounds }, () => 500);
      const drawn = covers.draw(
        'a',
        ownMs,
        Array.from({ length: rounds - 1 }, () => 1000),
        rng,
      )!;
      expect(drawn).toBeGreaterThanOrEqual(0);
      expect(drawn).toBeLessThan(10_000);
    }
  });

  test('are the same after they were saved, and forget the oldest', () => {
    const covers = new Covers();
    covers.record('a', doubled(5000));
    const restored = new Covers();
    restored.load(covers.saved());
    expect(covers.unsaved).toBe(0);
    const [one, other] = [covers, restored].map((each) => each.draw('a', [20_000], [], new SeededRng('same')));
    expect(one).toBe(other);
    // The first are gone.
    expect(covers.saved()).not.toContain('"ownMs":[100,');
    for (const text of [
      '',
      'null',
      '{"a":[{"ownMs":[1],"othersMs":[]}]}',
      '[',
      '{"a":[{"ownMs":[-1],"othersMs":[1]}]}',
    ]) {
      const empty = new Covers();
      empty.load(text);
      expect(empty.isKnown('a')).toBe(false);
    }
  });
});

test('least squares finds the slopes that made the samples, and none where there is nothing to find', () => {
  const rng = new SeededRng('slopes');
  const rows = Array.from({ length: 200 }, () => [rng.unit(), rng.unit(), rng.unit()]);
  const y = rows.map(([a, b, c]) => 3 + 2 * a! - b! + 0.5 * c!);
  const alike = rows.map(() => 1);
  for (const [i, slope] of slopes(rows, y, alike).entries()) expect(slope).toBeCloseTo([2, -1, 0.5][i]!, 4);
  expect(slopes([[1], [1], [1]], [1, 2, 3], [1, 1, 1])).toEqual([0]);
  expect(slopes([], [], [])).toEqual([]);
});
