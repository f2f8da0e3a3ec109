import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StopMatcher } from '#protocol/stop';

/** Reads a text in the given pieces; returns the deltas and whether a stop string was found. */
function read(stops: string[], pieces: string[]): { deltas: string[]; stopped: boolean } {
  const matcher = new StopMatcher(stops);
  const results = pieces.map((piece) => matcher.push(piece));
  return {
    deltas: [...results.map(({ delta }) => delta), matcher.finish()],
    stopped: results.at(-1)?.stopped ?? false,
  };
}

/** The rule in the plainest way: the smallest end of any stop string, then the longest one that ends there. */
function cutPlainly(stops: string[], text: string): string {
  for (let end = 1; end <= text.length; end++) {
    const matching = stops.filter((stop) => text.slice(0, end).endsWith(stop));
    if (matching.length > 0) return text.slice(0, end - Math.max(...matching.map((stop) => stop.length)));
  }
  return text;
}

describe('StopMatcher', () => {
  it.each<[string, string[], string[], string[]]>([
    ['passes everything on when there is no stop string', [], ['a', 'b'], ['a', 'b', '']],
    ['holds back what may be the beginning of a stop string', ['END'], ['a E', 'N', 'x'], ['a ', '', 'ENx', '']],
    ['lets held-back text go at the end', ['END'], ['a EN'], ['a ', 'EN']],
    ['never shows a stop string that came in pieces', ['END'], ['a E', 'N', 'D b', 'c'], ['a ', '', '', '', '']],
    ['drops what follows the stop string in the same piece', ['.'], ['one. two'], ['one', '']],
    ['finds a stop string at the very start', ['\n'], ['\nabc'], ['', '']],
    ['goes back to a shorter beginning when a longer one fails', ['aab'], ['a', 'a', 'a', 'b'], ['', '', 'a', '', '']],
    ['takes the stop string that is complete first', ['abc', 'b'], ['abc'], ['a', '']],
    ['takes the longest of those that are complete together', ['b', 'ab'], ['xab'], ['x', '']],
  ])('%s', (_, stops, pieces, deltas) => {
    expect(read(stops, pieces).deltas).toEqual(deltas);
  });

  it('agrees with the plain rule for every way to cut a text into pieces', () => {
    const letters = fc.constantFrom('a', 'b', '🐟', '日');
    const words = fc.array(letters, { minLength: 1, maxLength: 4 }).map((list) => list.join(''));
    const property = fc.property(
      fc.array(words, { maxLength: 4 }),
      fc.array(fc.array(letters, { maxLength: 5 }), { maxLength: 12 }),
      (stops, pieces) => {
        const texts = pieces.map((piece) => piece.join(''));
        const { deltas, stopped } = read(stops, texts);
        const whole = cutPlainly(stops, texts.join(''));
        expect(deltas.join('')).toBe(whole);
        expect(stopped).toBe(stops.some((stop) => texts.join('').includes(stop)) && texts.length > 0);
      },
    );
    fc.assert(property, { seed: 3, numRuns: 2000 });
  });

  it('reads a long repetitive text against a stop string that almost matches in linear time', () => {
    const stop = `${'a'.repeat(255)}b`;
    const matcher = new StopMatcher([stop]);
    let length = 0;
    for (let piece = 0; piece < 2000; piece++) length += matcher.push('a'.repeat(100)).delta.length;
    expect(length).toBe(200_000 - 255);
    expect(matcher.push('b').stopped).toBe(true);
  });
});
