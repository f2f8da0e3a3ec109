/**
 * Reads tool calls out of an answer's text (SPEC.md, "Tools"), the same for a text that comes whole, in pieces, or is checked
 * afterwards by an auditor.
 *
 * The format is the one that most open models are trained on: `<tool_call>{"name": …, "arguments": {…}}</tool_call>`. What
 * stands between the tags and is no call of a tool that the client offered is ordinary text, tags included: nothing that a
 * model wrote disappears.
 */
import { isLosslessNumber, parse, stringify } from 'lossless-json';
import type { ContentToolCall } from './content.ts';
import { taggedHash, toHex, u32, utf8 } from './hash.ts';
import { TAGS } from './version.ts';

const OPEN = '<tool_call>';
const CLOSE = '</tool_call>';
/** Longest call that is looked at, in UTF-16 code units; a longer one is text. Bounds what a stream holds back. */
export const TOOL_CALL_LENGTH_MAX = 2 ** 16;
/** Most calls in one answer; the rest is text. OpenAI's own limit of tools. */
export const TOOL_CALLS_MAX = 128;

/** Deepest nesting of a call's arguments, that of canonical JSON; parsers differ in where they give up beyond it. */
const DEPTH_MAX = 64;

/** How a model writes its calls; one format so far. */
export type ToolFormat = 'tagged_json';

/** One call; `arguments` is a JSON object's text, its numbers as the model wrote them. */
export interface ToolCall {
  readonly name: string;
  readonly arguments: string;
}

/** A piece of an answer that has become certain. */
export type AnswerPiece =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'call'; readonly call: ToolCall };

/**
 * The format that a chat template teaches, or null where it does not show tools or asks for calls in another way.
 * @param isSilent whether a text is a special token, which leaves no trace in the answer's text.
 */
export function toolFormatOf(template: string, isSilent: (text: string) => boolean): ToolFormat | null {
  if (!/\btools\b/.test(template) || !template.includes(OPEN) || !template.includes(CLOSE)) return null;
  return isSilent(OPEN) || isSilent(CLOSE) ? null : 'tagged_json';
}

/**
 * Takes an answer's text piece by piece. White space beside a call is dropped; text is held back while it may belong to
 * a call or to such white space.
 */
export class ToolCallReader {
  readonly #names: ReadonlySet<string>;
  #held = '';
  /** Up to here the call that is open has been searched for its end: every token would search it all again. */
  #searched = 0;
  #calls = 0;
  #afterCall = false;

  /** @param names of the tools that may be called */
  constructor(names: Iterable<string>) {
    this.#names = new Set(names);
  }

  push(piece: string): AnswerPiece[] {
    this.#held += piece;
    const pieces: AnswerPiece[] = [];
    while (this.#step(pieces));
    return pieces;
  }

  /** The text is over: what was held back is what it is. */
  finish(): AnswerPiece[] {
    const rest = this.#held;
    this.#held = '';
    // A call that was begun and never closed is text; white space after the last call still belongs to the call.
    const text = this.#afterCall ? rest.trimStart() : rest;
    return text === '' ? [] : [{ kind: 'text', text }];
  }

  /** Settles the beginning of what is held; false when it must wait for more. */
  #step(pieces: AnswerPiece[]): boolean {
    if (this.#afterCall) this.#held = this.#held.trimStart();
    const open = this.#calls < TOOL_CALLS_MAX ? this.#held.indexOf(OPEN) : -1;
    if (open < 0) {
      this.#emit(pieces, this.#held.slice(0, this.#certain()));
      return false;
    }
    const before = this.#held.slice(0, open);
    const close = this.#held.indexOf(CLOSE, Math.max(open + OPEN.length, this.#searched - CLOSE.length));
    if (close < 0 && this.#held.length - open < OPEN.length + TOOL_CALL_LENGTH_MAX + CLOSE.length) {
      // White space before the tag is dropped if a call follows, kept if it turns out to be none.
      this.#emit(pieces, before.trimEnd());
      this.#searched = this.#held.length;
      return false;
    }
    const call = close < 0 ? null : this.#callIn(this.#held.slice(open + OPEN.length, close));
    if (call === null) {
      // No call: the tag itself is text, what follows is looked at anew.
      this.#emit(pieces, this.#held.slice(0, open + OPEN.length));
      return true;
    }
    this.#emit(pieces, before.trimEnd());
    // What was emitted is no longer held, so the tags are looked up anew.
    this.#held = this.#held.slice(this.#held.indexOf(CLOSE, this.#held.indexOf(OPEN)) + CLOSE.length);
    this.#searched = 0;
    this.#afterCall = true;
    this.#calls += 1;
    pieces.push({ kind: 'call', call });
    return true;
  }

  /** How much of what is held can neither begin a tag nor be white space before one. */
  #certain(): number {
    if (this.#calls >= TOOL_CALLS_MAX) return this.#held.length;
    let end = this.#held.length;
    for (let length = Math.min(OPEN.length - 1, end); length > 0; length--) {
      if (!this.#held.endsWith(OPEN.slice(0, length))) continue;
      end -= length;
      break;
    }
    return this.#held.slice(0, end).trimEnd().length;
  }

  #emit(pieces: AnswerPiece[], text: string): void {
    if (text === '') return;
    pieces.push({ kind: 'text', text });
    this.#held = this.#held.slice(text.length);
    this.#searched = 0;
    this.#afterCall = false;
  }

  #callIn(text: string): ToolCall | null {
    if (text.length > TOOL_CALL_LENGTH_MAX || depthOf(text) > DEPTH_MAX) return null;
    let call: unknown;
    try {
      call = parse(text);
    } catch {
      return null;
    }
    if (!isObject(call) || typeof call.name !== 'string' || !this.#names.has(call.name)) return null;
    return isObject(call.arguments) ? { name: call.name, arguments: stringify(call.arguments)! } : null;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !isLosslessNumber(value);
}

/** How deep brackets nest, those in strings left out. */
function depthOf(json: string): number {
  let [depth, deepest] = [0, 0];
  for (const [bracket] of json.replace(/"(?:[^"\\]|\\.)*"/g, '').matchAll(/[[\]{}]/g)) {
    depth += bracket === '[' || bracket === '{' ? 1 : -1;
    deepest = Math.max(deepest, depth);
  }
  return deepest;
}

/** Hex digits of a call's id: 96 bits. */
const ID_DIGITS = 24;

/** The id of the call at `index` of a choice: it follows from the request, so that nobody has to be believed. */
export function toolCallId(requestId: string, choice: number, index: number): string {
  const hash = taggedHash(TAGS.toolCall, u32(choice), u32(index), utf8(requestId));
  return `call_${toHex(hash).slice(2, 2 + ID_DIGITS)}`;
}

/** OpenAI's word for how a choice ended. */
export function finishReason(finish: 'stop' | 'stop_string' | 'length', hasCalls: boolean): string {
  if (finish === 'length') return 'length';
  return hasCalls ? 'tool_calls' : 'stop';
}

/** A choice's text as it is shown: without tools, the text itself. */
export function readAnswer(
  text: string,
  toolNames: readonly string[],
  requestId: string,
  choice: number,
): { content: string; toolCalls: ContentToolCall[] } {
  if (toolNames.length === 0) return { content: text, toolCalls: [] };
  const read = readToolCalls(text, toolNames);
  return { content: read.text, toolCalls: read.calls.map((call, index) => shownCall(call, requestId, choice, index)) };
}

/** A call as OpenAI's answers show it. */
export function shownCall(call: ToolCall, requestId: string, choice: number, index: number): ContentToolCall {
  return {
    id: toolCallId(requestId, choice, index),
    type: 'function',
    function: { name: call.name, arguments: call.arguments },
  };
}

/** All of a text at once. */
export function readToolCalls(text: string, names: Iterable<string>): { text: string; calls: readonly ToolCall[] } {
  const reader = new ToolCallReader(names);
  const pieces = [...reader.push(text), ...reader.finish()];
  return {
    text: pieces.map((piece) => (piece.kind === 'text' ? piece.text : '')).join(''),
    calls: pieces.flatMap((piece) => (piece.kind === 'call' ? [piece.call] : [])),
  };
}
