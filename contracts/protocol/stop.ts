/** Where a stop string ends a text, the same for every way the text is cut into pieces (SPEC.md, "Text"). */

/**
 * Reads a text piece by piece and ends it before the first stop string.
 *
 * The stop string that is complete first wins; of several that are complete at the same character the longest does.
 * That depends on the text alone: a reader who gets it whole and one who gets it letter by letter agree. What might be
 * the beginning of a stop string is held back (Knuth, Morris and Pratt's automaton, one for each stop string).
 */
export class StopMatcher {
  readonly #stops: readonly string[];
  readonly #fallbacks: readonly Uint16Array[];
  readonly #matched: number[];
  #held = '';
  #stopped = false;

  /** @param stops well-formed, not empty, at most 256 UTF-16 code units each (`samplingSchema`). */
  constructor(stops: readonly string[]) {
    this.#stops = stops;
    this.#fallbacks = stops.map(fallbacksOf);
    this.#matched = stops.map(() => 0);
  }

  /**
   * Takes the next piece, which must not end inside a character.
   * @returns what is now certain to belong to the text, and whether a stop string was found; after that all is dropped.
   */
  push(piece: string): { delta: string; stopped: boolean } {
    if (this.#stopped) return { delta: '', stopped: true };
    if (this.#stops.length === 0) return { delta: piece, stopped: false };
    const text = this.#held + piece;
    for (let at = this.#held.length; at < text.length; at++) {
      const length = this.#advance(text.charCodeAt(at));
      if (length > 0) {
        this.#held = '';
        this.#stopped = true;
        return { delta: text.slice(0, at + 1 - length), stopped: true };
      }
    }
    const certain = text.length - Math.max(...this.#matched);
    this.#held = text.slice(certain);
    return { delta: text.slice(0, certain), stopped: false };
  }

  /** The text is over: what was held back belongs to it. */
  finish(): string {
    const rest = this.#held;
    this.#held = '';
    return rest;
  }

  /** Reads one code unit; returns the length of the longest stop string that it completes, or 0. */
  #advance(unit: number): number {
    let longest = 0;
    for (let index = 0; index < this.#stops.length; index++) {
      const stop = this.#stops[index]!;
      const fallbacks = this.#fallbacks[index]!;
      let matched = this.#matched[index]!;
      while (matched > 0 && stop.charCodeAt(matched) !== unit) matched = fallbacks[matched - 1]!;
      if (stop.charCodeAt(matched) === unit) matched++;
      if (matched === stop.length) longest = Math.max(longest, matched);
      this.#matched[index] = matched;
    }
    return longest;
  }
}

/** For each length of a match the length of the longest shorter one that the same text also ends with. */
function fallbacksOf(stop: string): Uint16Array {
  const fallbacks = new Uint16Array(stop.length);
  for (let at = 1, matched = 0; at < stop.length; at++) {
    while (matched > 0 && stop.charCodeAt(at) !== stop.charCodeAt(matched)) matched = fallbacks[matched - 1]!;
    if (stop.charCodeAt(at) === stop.charCodeAt(matched)) matched++;
    fallbacks[at] = matched;
  }
  return fallbacks;
}
