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
    return { ownMs, othersMs: ownMs.map((ms) => 2 * ms), promptTokens: 64 };
  });

describe('covers', () => {
  test('of few large committees and many small ones come as often as their members do, not by who is among a handful', () => {
    const covers = new Covers();
    const rng = new SeededRng('shares');
    // One trace in six is of a large committee and stands, by the others of its committee, for as many members as any: in all a sixth.
    covers.record(
      'a',
      Array.from({ length: 3000 }, (_, i) => {
        const ownMs = [100 + rng.between(0, 900)];
        return { ownMs, othersMs: [i % 6 === 0 ? 40_000 : 1_000], promptTokens: 64 };
      }),
    );
    const drawn = Array.from(
      { length: 3000 },
      () => covers.draw('a', { promptTokens: 64, ownMs: [100 + rng.between(0, 900)], othersMs: [] }, rng)!,
    );
    const share = drawn.filter((ms) => ms > 6_000).length / drawn.length;
    // Three errors of 0.007, and of the 3,000 that were recorded as many.
    expect(Math.abs(share - 1 / 6)).toBeLessThan(0.03);
  });

  test('are drawn from as many committees as would not be recognised, and from none of another kind', () => {
    const covers = new Covers();
    const rng = new SeededRng('covers');
    covers.record('a', doubled(TRACES_MIN - 1));
    expect([covers.isKnown('a'), covers.draw('a', { promptTokens: 64, ownMs: [200], othersMs: [] }, rng)]).toEqual([
      false,
      null,
    ]);
    covers.record('a', doubled(1));
    expect([covers.isKnown('a'), covers.isKnown('b')]).toEqual([true, false]);
    expect(covers.draw('a', { promptTokens: 64, ownMs: [200], othersMs: [] }, rng)).not.toBeNull();
    expect(covers.draw('b', { promptTokens: 64, ownMs: [200], othersMs: [] }, rng)).toBeNull();
  });

  test('follow what the member does itself', () => {
    const covers = new Covers();
    covers.record('a', doubled(200));
    fc.assert(
      fc.property(fc.integer({ min: 150, max: 1900 }), fc.string(), (own, seed) => {
        const rng = new SeededRng(seed);
        expect(
          Math.abs(covers.draw('a', { promptTokens: 64, ownMs: [own], othersMs: [] }, rng)! - 2 * own),
        ).toBeLessThan(0.05 * own);
        const second = 300 + 2 * (own - 100);
        expect(
          Math.abs(
            covers.draw('a', { promptTokens: 64, ownMs: [own, second], othersMs: [2 * own] }, rng)! - 2 * second,
          ),
        ).toBeLessThan(0.05 * second);
      }),
    );
  });

  test('follow the prompt too: the same own time after twice the prompt is a faster machine, beside whom others take longer', () => {
    const covers = new Covers();
    const rng = new SeededRng('prompts');
    // Machines of four paces, prompts of any length; the others of each committee are all of the middle pace.
    covers.record(
      'a',
      Array.from({ length: 2000 }, (_, i) => {
        const promptTokens = 20 + ((i * 37) % 400);
        const work = promptTokens + 128;
        return { ownMs: [work * (1 + (i % 4) / 2)], othersMs: [work * 2], promptTokens };
      }),
    );
    const meanOf = (promptTokens: number) => {
      const drawn = Array.from(
        { length: 60 },
        () => covers.draw('a', { promptTokens, ownMs: [500], othersMs: [] }, rng)!,
      );
      return drawn.reduce((sum, ms) => sum + ms, 0) / drawn.length;
    };
    expect(meanOf(350) / meanOf(110)).toBeCloseTo(478 / 238, 0);
  });

  test('go on where a committee was shorter, and never come before the order', () => {
    const covers = new Covers();
    covers.record('a', doubled(64));
    const rng = new SeededRng('long');
    for (let rounds = 1; rounds < 9; rounds++) {
      const ownMs = Array.from({ length: rounds }, () => 500);
      const othersMs = Array.from({ length: rounds - 1 }, () => 1000);
      const drawn = covers.draw('a', { promptTokens: 64, ownMs, othersMs }, rng)!;
      expect(drawn).toBeGreaterThanOrEqual(0);
      expect(drawn).toBeLessThan(10_000);
    }
  });

  test('are the same after they were saved, and forget the oldest', () => {
    const covers = new Covers();
    covers.record('a', doubled(4000));
    const restored = new Covers();
    restored.load(covers.saved());
    expect(covers.unsaved).toBe(0);
    const [one, other] = [covers, restored].map((each) =>
      each.draw('a', { promptTokens: 64, ownMs: [20_000], othersMs: [] }, new SeededRng('same')),
    );
    expect(one).toBe(other);
    // The oldest are gone from what is saved, and still lent, until there are four times as many.
    const full = new Covers();
    const early = () => full.draw('a', { promptTokens: 64, ownMs: [100], othersMs: [] }, new SeededRng('same'))!;
    full.record('a', doubled(5000));
    expect(JSON.parse(full.saved()).a).toHaveLength(4096);
    expect(full.saved()).not.toContain('"ownMs":[100,');
    expect(Math.abs(early() - 200)).toBeLessThan(30);
    full.record(
      'a',
      doubled(16_384).map((trace) => ({ ...trace, othersMs: trace.ownMs.map((ms) => 5 * ms) })),
    );
    expect(Math.abs(early() - 500)).toBeLessThan(75);
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
  for (const [i, slope] of slopes(rows, y).entries()) expect(slope).toBeCloseTo([2, -1, 0.5][i]!, 4);
  expect(slopes([[1], [1], [1]], [1, 2, 3])).toEqual([0]);
  expect(slopes([], [])).toEqual([]);
});
