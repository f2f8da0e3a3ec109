/**
 * What of an answer the attestation covers, and its hash (SPEC.md, "Content hash"): the same value for a saved JSON body,
 * for one that an SDK has re-serialised, and for an accumulated stream.
 */

import { z } from 'zod';
import { canonicalJson } from './canonical.ts';
import type { Hash } from './hash.ts';
import { sha256, toHex, utf8 } from './hash.ts';
import { safeParse } from './schema.ts';

/** Most choices of one answer; OpenAI's own limit of `n`. */
export const CHOICES_MAX = 128;

export interface ContentToolCall {
  readonly id: string;
  readonly type: 'function';
  readonly function: { readonly name: string; readonly arguments: string };
}

export interface ContentChoice {
  readonly index: number;
  /** Of a chat answer. */
  readonly role?: 'assistant';
  /** Of a chat answer; absent, null or empty where the choice is made of tool calls alone: the three are the same then. */
  readonly content?: string | null;
  /** Of a text completion, an echoed prompt included. */
  readonly text?: string;
  readonly tool_calls?: readonly ContentToolCall[];
  readonly finish_reason: string;
}

export interface ContentUsage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
}

/** The covered part of an answer. */
export interface ResponseContent {
  readonly model: string;
  readonly choices: readonly ContentChoice[];
  readonly usage: ContentUsage;
}

/**
 * SHA-256 of the RFC 8785 form of `{model, choices:[{index, role, content, tool_calls, finish_reason}], usage}`; of a text
 * completion, choices are `{index, text, finish_reason}`. Null and absent are the same, an empty list of tool calls is absent,
 * an empty text beside tool calls is too, choices count in the order of their index, and
 * fields that are not named here do not count.
 * @throws {NotCanonicalError} when a text is not well-formed Unicode
 */
export function contentHash(content: ResponseContent): Hash {
  const choices = [...content.choices]
    .sort((a, b) => a.index - b.index)
    .map((choice) => ({
      index: choice.index,
      role: choice.role,
      content: choice.tool_calls?.length ? choice.content || undefined : (choice.content ?? undefined),
      text: choice.text,
      tool_calls: choice.tool_calls?.length ? choice.tool_calls.map(coveredToolCall) : undefined,
      finish_reason: choice.finish_reason,
    }));
  const { prompt_tokens, completion_tokens, total_tokens } = content.usage;
  const usage = { prompt_tokens, completion_tokens, total_tokens };
  return toHex(sha256(utf8(canonicalJson({ model: content.model, choices, usage }))));
}

function coveredToolCall(call: ContentToolCall): ContentToolCall {
  return { id: call.id, type: call.type, function: { name: call.function.name, arguments: call.function.arguments } };
}

const countSchema = z.int().min(0);
export const usageSchema = z.object({
  prompt_tokens: countSchema,
  completion_tokens: countSchema,
  total_tokens: countSchema,
});
export const indexSchema = z
  .int()
  .min(0)
  .max(CHOICES_MAX - 1);
const toolCallSchema = z.object({
  id: z.string(),
  type: z.literal('function'),
  function: z.object({ name: z.string(), arguments: z.string() }),
});
/** Fields that the hash does not cover and that a client would show: present, they make the answer another one. */
const uncovered = { refusal: z.null().optional(), function_call: z.null().optional(), audio: z.null().optional() };
/** Usage stands in `assay` where the client did not ask for it in the stream itself. */
export const assaySchema = z.looseObject({ usage: usageSchema.nullish() });

const completionSchema = z.object({
  model: z.string(),
  choices: z
    .array(
      z.object({
        index: indexSchema,
        finish_reason: z.string(),
        message: z.object({
          role: z.literal('assistant'),
          content: z.string().nullish(),
          tool_calls: z.array(toolCallSchema).nullish(),
          ...uncovered,
        }),
      }),
    )
    .max(CHOICES_MAX),
  usage: usageSchema.nullish(),
  assay: assaySchema.nullish(),
});

/**
 * The covered content of a `chat.completion` body, also of one that the OpenAI SDK accumulated from a stream.
 * @returns null when the value has not this shape, repeats a choice, or has no usage
 */
export function contentOfCompletion(body: unknown): ResponseContent | null {
  const parsed = safeParse(completionSchema, body);
  if (!parsed.success) return null;
  const { model, choices, usage, assay } = parsed.data;
  const counted = usage ?? assay?.usage;
  if (!counted || new Set(choices.map((choice) => choice.index)).size !== choices.length) return null;
  return {
    model,
    choices: choices.map(({ index, message, finish_reason }) => ({
      index,
      role: message.role,
      content: message.content ?? null,
      tool_calls: message.tool_calls ?? [],
      finish_reason,
    })),
    usage: counted,
  };
}

/** Identity and name come once, with the first piece of a call; arguments in any number of pieces. */
const callDeltaSchema = z.object({
  index: indexSchema,
  id: z.string().nullish(),
  type: z.literal('function').nullish(),
  function: z.object({ name: z.string().nullish(), arguments: z.string().nullish() }).nullish(),
});

const chunkSchema = z.object({
  model: z.string(),
  choices: z
    .array(
      z.object({
        index: indexSchema,
        finish_reason: z.string().nullish(),
        delta: z.object({
          role: z.literal('assistant').nullish(),
          content: z.string().nullish(),
          tool_calls: z.array(callDeltaSchema).nullish(),
          ...uncovered,
        }),
      }),
    )
    .max(CHOICES_MAX),
  usage: usageSchema.nullish(),
  assay: assaySchema.nullish(),
});

/**
 * The covered content of a stream.
 * @param chunks the parsed `data:` payloads in order, without `[DONE]`.
 * @returns null when a chunk has not the shape of `chat.completion.chunk`, the model changes, text follows a finish
 *   reason, a choice does not finish exactly once, or there is no usage
 */
export function contentOfChunks(chunks: readonly unknown[]): ResponseContent | null {
  const open = new Map<number, OpenChoice>();
  let model: string | null = null;
  let usage: ContentUsage | null = null;
  for (const chunk of chunks) {
    const parsed = safeParse(chunkSchema, chunk);
    if (!parsed.success) return null;
    if (model !== null && model !== parsed.data.model) return null;
    model = parsed.data.model;
    usage = parsed.data.usage ?? parsed.data.assay?.usage ?? usage;
    for (const { index, delta, finish_reason } of parsed.data.choices) {
      const choice = open.get(index) ?? { text: '', calls: [], finish: null };
      if (choice.finish !== null || !(delta.tool_calls ?? []).every((call) => addCall(choice.calls, call))) return null;
      open.set(index, { ...choice, text: choice.text + (delta.content ?? ''), finish: finish_reason ?? null });
    }
  }
  if (model === null || usage === null) return null;
  const choices: ContentChoice[] = [];
  for (const [index, { text, calls, finish }] of open) {
    if (finish === null) return null;
    choices.push({ index, role: 'assistant', content: text, tool_calls: calls, finish_reason: finish });
  }
  return { model, choices, usage };
}

interface OpenChoice {
  readonly text: string;
  readonly calls: ContentToolCall[];
  readonly finish: string | null;
}

/** Adds a piece of a call; false where it begins out of turn, without identity, or changes one. */
function addCall(calls: ContentToolCall[], { index, id, function: piece }: z.infer<typeof callDeltaSchema>): boolean {
  const before = calls[index];
  const more = piece?.arguments ?? '';
  if (before === undefined) {
    if (index !== calls.length || !id || !piece?.name) return false;
    calls.push({ id, type: 'function', function: { name: piece.name, arguments: more } });
    return true;
  }
  if (id || piece?.name) return false;
  const { name, arguments: text } = before.function;
  calls[index] = { ...before, function: { name, arguments: text + more } };
  return true;
}
