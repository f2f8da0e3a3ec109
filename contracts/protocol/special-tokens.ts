/**
 * Keeps special tokens (`<|im_end|>` and the like) out of what users write (SPEC.md, "Text").
 *
 * SAFETY: a chat template joins messages into one string; a user who writes a special token's text could otherwise close
 * their own message and open one in another role. Before rendering, an unused noncharacter is put inside every such
 * text in the messages, so that in the rendered string only the template's own special tokens are found; then the
 * noncharacter is taken out, and what the user wrote is tokenised as the plain text that it is.
 */

import { ProtocolError } from './errors.ts';

/** A special token as tokenizer.json describes it. */
export interface SpecialToken {
  readonly id: number;
  readonly content: string;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
}

/** A rendered prompt: plain text and special tokens by turns. */
export type PromptPart =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'special'; readonly token: SpecialToken };

/** Unicode's 32 noncharacters U+FDD0 to U+FDEF, which no text is supposed to contain. */
const MARKERS = Array.from({ length: 32 }, (_, index) => String.fromCharCode(0xfdd0 + index));

/** Finds and guards the special tokens of one tokenizer. */
export class SpecialTokens {
  readonly #byContent: ReadonlyMap<string, SpecialToken>;
  /** Any special token; the longest wins where several begin. */
  readonly #pattern: RegExp;
  readonly #firstCharacters: RegExp;
  readonly #single: readonly string[];

  constructor(tokens: readonly SpecialToken[]) {
    this.#byContent = new Map(tokens.map((token) => [token.content, token]));
    const contents = [...this.#byContent.keys()].sort((a, b) => b.length - a.length || (a < b ? -1 : 1));
    // A pattern that never matches, for tokenizers without special tokens.
    this.#pattern = contents.length === 0 ? /(?!)/gu : new RegExp(contents.map(escaped).join('|'), 'gu');
    const first = [...new Set(contents.map((content) => escaped([...content][0]!)))];
    this.#firstCharacters = first.length === 0 ? /(?!)/gu : new RegExp(first.join('|'), 'gu');
    this.#single = contents.filter((content) => [...content].length < 2);
  }

  /**
   * Renders messages so that no special token in the result comes from them.
   * @param render turns guarded messages into the prompt's text.
   * @throws ProtocolError `invalid_request` when the messages use all markers, hold a special token of one character,
   * or are such that the template would make a special token out of their pieces.
   */
  render<Messages>(messages: Messages, render: (guarded: Messages) => string): PromptPart[] {
    const written = JSON.stringify(messages);
    const marker = MARKERS.find((candidate) => !written.includes(candidate));
    if (marker === undefined || this.#single.some((content) => written.includes(content))) throw refused();
    const guard = (text: string): string => this.#guarded(text, marker);
    const parts = this.#split(render(mapStrings(messages, guard)), marker);
    // A template may cut pieces out of a message, and what remains may join to a special token. With every first
    // character marked nothing can join; if the template's own special tokens then differ, they were not its own.
    const strict = (text: string): string => text.replace(this.#firstCharacters, (first) => first + marker);
    const marked = mapStrings(messages, strict);
    if (JSON.stringify(marked) !== written) {
      const ids = specialIds(this.#split(render(marked), marker));
      if (ids !== specialIds(parts)) throw refused();
    }
    return parts;
  }

  /** Splits a text that is trusted as a whole. */
  split(text: string): PromptPart[] {
    return this.#split(text, undefined);
  }

  /** Puts the marker after the first character of every special token, and of a beginning of one at the end. */
  #guarded(text: string, marker: string): string {
    const inside = text.replace(this.#pattern, (content) => marked(content, marker));
    let from = inside.length;
    for (const content of this.#byContent.keys()) {
      for (let length = Math.min(content.length - 1, inside.length); length > 0; length--) {
        if (inside.endsWith(content.slice(0, length))) {
          from = Math.min(from, inside.length - length);
          break;
        }
      }
    }
    return from === inside.length ? inside : inside.slice(0, from) + marked(inside.slice(from), marker);
  }

  #split(rendered: string, marker: string | undefined): PromptPart[] {
    const parts: PromptPart[] = [];
    const unmarked = (text: string): string => (marker === undefined ? text : text.replaceAll(marker, ''));
    let at = 0;
    let trimNext = false;
    const addText = (end: number, trimEnd: boolean): void => {
      let text = unmarked(rendered.slice(at, end));
      if (trimNext) text = text.trimStart();
      if (trimEnd) text = text.trimEnd();
      if (text !== '') parts.push({ kind: 'text', text });
    };
    for (const match of rendered.matchAll(this.#pattern)) {
      const token = this.#byContent.get(match[0])!;
      addText(match.index, token.lstrip);
      parts.push({ kind: 'special', token });
      at = match.index + match[0].length;
      trimNext = token.rstrip;
    }
    addText(rendered.length, false);
    return parts;
  }
}

function specialIds(parts: readonly PromptPart[]): string {
  return parts
    .map((part) => (part.kind === 'special' ? part.token.id : ''))
    .join(' ')
    .replace(/ +/g, ' ');
}

function marked(content: string, marker: string): string {
  const first = [...content][0]!;
  return first + marker + content.slice(first.length);
}

function refused(): ProtocolError {
  return new ProtocolError('invalid_request', 'messages must not form special tokens of the model', {
    param: 'messages',
  });
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}

/** A copy of a JSON value with every string, also member names, passed through `change`. */
function mapStrings<Value>(value: Value, change: (text: string) => string): Value {
  const map = (item: unknown): unknown => {
    if (typeof item === 'string') return change(item);
    if (Array.isArray(item)) return item.map(map);
    if (typeof item === 'object' && item !== null) {
      return Object.fromEntries(Object.entries(item).map(([name, member]) => [change(name), map(member)]));
    }
    return item;
  };
  return map(value) as Value;
}
