/** Reads a saved answer: a JSON body, `curl -i` output, or a captured event stream (SPEC.md §10.4). */

import { type AssayMember, zAssayMember } from './assay-member.ts';
import { contentOfChunks, contentOfCompletion, type ResponseContent } from './content.ts';
import type { ShownLogprobs } from './logprobs.ts';
import { safeParse } from './schema.ts';
import { logprobsOfChunks, logprobsOfCompletion } from './shown-logprobs.ts';
import { contentOfText, contentOfTextChunks } from './text-content.ts';

/** A saved answer as the checks need it. */
export interface SavedResponse {
  /** Lower-case names; empty where only the body was saved. */
  readonly headers: ReadonlyMap<string, string>;
  /** The body's own id. */
  readonly id: string | null;
  /** The covered content; null where the answer has not the shape of one. */
  readonly content: ResponseContent | null;
  /** Of the choices that have some; null where they have no readable shape. */
  readonly logprobs: readonly ShownLogprobs[] | null;
  /** Null where there is none, or it is malformed. */
  readonly assay: AssayMember | null;
}

/** Longest saved text, in UTF-16 code units: 64 Mi. */
export const SAVED_LENGTH_MAX = 1 << 26;

const STATUS_LINE = /^HTTP\/[0-9.]+ [0-9]{3}[^\n]*\n/;

/** @returns null when the text is none of the three forms */
export function parseSavedResponse(text: string): SavedResponse | null {
  if (text.length > SAVED_LENGTH_MAX) return null;
  const { headers, body } = splitHeaders(text.replace(/^\uFEFF/, ''));
  const json = parseJson(body);
  if (json !== undefined) return ofCompletion(headers, json);
  const chunks = parseEventStream(body);
  return chunks === null ? null : ofChunks(headers, chunks);
}

/** Takes header blocks off the front: proxies and 100-continue make several, the last one counts. */
function splitHeaders(text: string): { headers: Map<string, string>; body: string } {
  let body = text;
  let headers = new Map<string, string>();
  while (STATUS_LINE.test(body)) {
    const end = /\r?\n\r?\n/.exec(body);
    const block = end ? body.slice(0, end.index) : body;
    headers = new Map();
    for (const line of block.split(/\r?\n/).slice(1)) {
      const colon = line.indexOf(':');
      if (colon > 0) headers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim());
    }
    body = end ? body.slice(end.index + end[0].length) : '';
  }
  return { headers, body };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** The JSON payloads of a text/event-stream; null when an event is not JSON, is an error, or there is none. */
function parseEventStream(text: string): unknown[] | null {
  const chunks: unknown[] = [];
  for (const event of text.replaceAll('\r\n', '\n').split('\n\n')) {
    const lines = event.split('\n').filter((line) => line.startsWith('data:'));
    if (lines.length === 0) continue;
    const payload = lines.map((line) => line.slice('data:'.length).replace(/^ /, '')).join('\n');
    if (payload === '[DONE]') continue;
    const chunk = parseJson(payload);
    if (typeof chunk !== 'object' || chunk === null || 'error' in chunk) return null;
    chunks.push(chunk);
  }
  return chunks.length === 0 ? null : chunks;
}

function ofCompletion(headers: Map<string, string>, body: unknown): SavedResponse | null {
  if (typeof body !== 'object' || body === null) return null;
  const { id, assay } = body as { id?: unknown; assay?: unknown };
  return {
    headers,
    id: textOrNull(id),
    content: contentOfCompletion(body) ?? contentOfText(body),
    logprobs: logprobsOfCompletion(body),
    assay: assayOf(assay),
  };
}

function ofChunks(headers: Map<string, string>, chunks: readonly unknown[]): SavedResponse {
  const id = (chunks[0] as { id?: unknown }).id;
  // The last one counts: it is the one that was made when everything was known.
  const assay = chunks.map((chunk) => (chunk as { assay?: unknown }).assay).findLast((member) => member != null);
  return {
    headers,
    id: textOrNull(id),
    content: contentOfChunks(chunks) ?? contentOfTextChunks(chunks),
    logprobs: logprobsOfChunks(chunks),
    assay: assayOf(assay),
  };
}

function assayOf(value: unknown): AssayMember | null {
  const parsed = safeParse(zAssayMember, value);
  return parsed.success ? parsed.data : null;
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
