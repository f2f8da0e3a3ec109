/** Log-probabilities as OpenAI's clients read them: tokens spelled out so that they join to the answer (SPEC.md §12.5). */
import type { Detokenizer } from './detokenizer.ts';
import { utf8 } from './hash.ts';
import { logprobOf, type TokenLogprobs } from './logprobs.ts';

/** The part of a model's text side that is needed. */
export interface TokenSpelling {
  readonly eosIds: readonly number[];
  createDetokenizer(stop: readonly string[]): Pick<Detokenizer, 'push' | 'finish'>;
  /** Bytes of one token; none for special and unknown ids. */
  tokenBytes(id: number): Uint8Array;
  /** Name of a token without bytes, such as `<|im_end|>`; empty where it has none. */
  tokenName(id: number): string;
}

/** One token and its log-probability. */
export interface SpelledToken {
  readonly token: string;
  readonly logprob: number;
  /** Null where the token is no text. */
  readonly bytes: readonly number[] | null;
}

/** An entry of `logprobs.content`. */
export interface SpelledLogprobs extends SpelledToken {
  readonly top_logprobs: readonly SpelledToken[];
}

interface Waiting {
  readonly id: number;
  readonly logprobs: TokenLogprobs;
  /** The text that this token completes. */
  text: string;
  /** Where the text begins and ends in the answer, in UTF-16 code units. */
  readonly start: number;
  readonly end: number;
}

/**
 * Spells one answer's tokens as their text is released. A character of several tokens stands in the entry of the last of
 * them; the entries before it have an empty text and their bytes. What a stop string cuts off has no entry.
 */
export class LogprobSpeller {
  readonly #text: TokenSpelling;
  readonly #detokenizer: Pick<Detokenizer, 'push' | 'finish'>;
  readonly #waiting: Waiting[] = [];
  /** Tokens whose character is not complete yet. */
  readonly #open: { readonly id: number; readonly logprobs: TokenLogprobs }[] = [];
  #length = 0;

  constructor(text: TokenSpelling) {
    this.#text = text;
    this.#detokenizer = text.createDetokenizer([]);
  }

  push(ids: readonly number[], logprobs: readonly TokenLogprobs[]): void {
    ids.forEach((id, at) => {
      // The terminal token is no token of the answer.
      if (this.#text.eosIds.includes(id)) return;
      this.#open.push({ id, logprobs: logprobs[at]! });
      const { delta } = this.#detokenizer.push(id);
      if (delta !== '') this.#settle(delta);
    });
  }

  /** Entries of the tokens whose text is released. @param length of the text that the client has */
  take(length: number): SpelledLogprobs[] {
    const whole = this.#waiting.findIndex(({ end }) => end > length);
    return this.#waiting.splice(0, whole < 0 ? this.#waiting.length : whole).map((token) => this.#spell(token));
  }

  /** The other entries. @param length of the whole answer @param stopped whether a stop string ended it */
  finish(length: number, stopped: boolean): SpelledLogprobs[] {
    this.#settle(this.#detokenizer.finish());
    const whole = this.take(length);
    if (!stopped) return [...whole, ...this.take(this.#length)];
    const cut = this.#waiting.filter(({ start }) => start < length);
    return [
      ...whole,
      ...cut.map((token) => {
        const text = token.text.slice(0, length - token.start);
        return this.#spell({ ...token, text }, utf8(text));
      }),
    ];
  }

  #settle(text: string): void {
    const [start, end] = [this.#length, this.#length + text.length];
    this.#length = end;
    const open = this.#open.splice(0);
    open.forEach((token, at) => {
      this.#waiting.push({ ...token, text: at === open.length - 1 ? text : '', start, end });
    });
  }

  #spell({ id, logprobs: [chosen, top], text, start }: Waiting, cut?: Uint8Array): SpelledLogprobs {
    const bytes = cut ?? this.#bytesOf(id, text, start);
    const own = { token: text, bytes: bytes.length === 0 && text === '' && cut === undefined ? null : [...bytes] };
    return {
      ...own,
      logprob: logprobOf(chosen),
      top_logprobs: top.map(([other, logprob]) => {
        const shown = other === id ? own : this.#alone(other);
        return { token: shown.token, logprob: logprobOf(logprob), bytes: shown.bytes };
      }),
    };
  }

  /** The token's own bytes, without the space that SentencePiece puts before a text. */
  #bytesOf(id: number, text: string, start: number): Uint8Array {
    const bytes = this.#text.tokenBytes(id);
    const alone = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
    return start === 0 && alone !== text && text !== '' && alone.endsWith(text) ? utf8(text) : bytes;
  }

  #alone(id: number): { token: string; bytes: number[] | null } {
    const bytes = this.#text.tokenBytes(id);
    if (bytes.length === 0) return { token: this.#text.tokenName(id), bytes: null };
    return { token: new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes), bytes: [...bytes] };
  }
}

/** `choices[].logprobs` of a chat answer. */
export function chatLogprobs(tokens: readonly SpelledLogprobs[]): object {
  return { content: tokens, refusal: null };
}

/**
 * `choices[].logprobs` of a text completion. The map of a token always has the token itself.
 * @param offset where the first token begins in the text, in Unicode code points
 */
export function completionLogprobs(tokens: readonly SpelledLogprobs[], offset: number): object {
  let at = offset;
  const offsets = tokens.map(({ token }) => {
    const start = at;
    at += codePoints(token);
    return start;
  });
  return {
    tokens: tokens.map(({ token }) => token),
    token_logprobs: tokens.map(({ logprob }) => logprob),
    top_logprobs: tokens.map((entry) =>
      Object.fromEntries([...entry.top_logprobs, entry].map((other) => [keyOf(other), other.logprob])),
    ),
    text_offset: offsets,
  };
}

export function codePoints(text: string): number {
  return [...text].length;
}

/** Tokens that are no whole text would all read the same. */
function keyOf({ token, bytes }: SpelledToken): string {
  if (bytes === null || (token !== '' && !token.includes('\ufffd'))) return token;
  return `bytes:${bytes.map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}`;
}
