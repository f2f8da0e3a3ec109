/** From token ids to text, in pieces or at once (SPEC.md, "Text"). */

import { StopMatcher } from './stop.ts';

/** How a model's tokens become bytes. */
export interface TokenBytes {
  /** Bytes of one token; empty for special, terminal and unknown ids. */
  bytesOf(id: number): Uint8Array;
  /** How many spaces at the very start of a text are not part of it (SentencePiece's dummy prefix): 0 or 1. */
  readonly leadingSpaces: number;
}

/** Turns one transcript into text; the deltas and `finish()` joined are the whole text. */
export class Detokenizer {
  readonly #tokens: TokenBytes;
  readonly #matcher: StopMatcher;
  // A byte order mark is a character like any other.
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  #leadingSpaces: number;

  /** @param stop stop strings as in `Sampling`. */
  constructor(tokens: TokenBytes, stop: readonly string[]) {
    this.#tokens = tokens;
    this.#matcher = new StopMatcher(stop);
    this.#leadingSpaces = tokens.leadingSpaces;
  }

  /** Takes the next token; a character whose bytes are not complete yet waits for the next one. */
  push(id: number): { delta: string; stopped: boolean } {
    return this.#matcher.push(this.#trim(this.#decoder.decode(this.#tokens.bytesOf(id), { stream: true })));
  }

  /**
   * Ends the text: an unfinished character becomes U+FFFD, held-back text is let go.
   * @returns the rest of the text; empty after a stop string.
   */
  finish(): string {
    const last = this.#matcher.push(this.#trim(this.#decoder.decode()));
    return last.delta + this.#matcher.finish();
  }

  #trim(piece: string): string {
    let from = 0;
    while (this.#leadingSpaces > 0 && from < piece.length) {
      if (piece[from] === ' ') {
        from++;
        this.#leadingSpaces--;
      } else {
        this.#leadingSpaces = 0;
      }
    }
    return from === 0 ? piece : piece.slice(from);
  }
}

/** A transcript as text. */
export interface FinalText {
  readonly text: string;
  /** Index of the token that completed a stop string, or null; an honest transcript has no token after it. */
  readonly stoppedAt: number | null;
}

/** The text of a whole transcript, by the same rule as the pieces. */
export function detokenize(tokens: TokenBytes, ids: readonly number[], stop: readonly string[]): FinalText {
  const detokenizer = new Detokenizer(tokens, stop);
  const pieces: string[] = [];
  for (let index = 0; index < ids.length; index++) {
    const { delta, stopped } = detokenizer.push(ids[index]!);
    pieces.push(delta);
    if (stopped) return { text: pieces.join(''), stoppedAt: index };
  }
  pieces.push(detokenizer.finish());
  return { text: pieces.join(''), stoppedAt: null };
}
