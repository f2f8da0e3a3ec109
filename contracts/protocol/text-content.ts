/** What the attestation covers of a text completion, plain or streamed (SPEC.md, "Content hash"). */

import { z } from 'zod';
import { assaySchema, CHOICES_MAX, indexSchema, type ResponseContent, usageSchema } from './content.ts';
import { safeParse } from './schema.ts';

/** What a chat answer has and a text completion has not: present, a client would show another answer. */
const uncovered = { message: z.undefined().optional(), delta: z.undefined().optional() };
const headFields = { object: z.literal('text_completion'), model: z.string() };
const tailFields = { usage: usageSchema.nullish(), assay: assaySchema.nullish() };

const bodySchema = z.object({
  ...headFields,
  choices: z
    .array(z.object({ index: indexSchema, text: z.string(), finish_reason: z.string(), ...uncovered }))
    .max(CHOICES_MAX),
  ...tailFields,
});

const chunkSchema = z.object({
  ...headFields,
  choices: z
    .array(z.object({ index: indexSchema, text: z.string(), finish_reason: z.string().nullable(), ...uncovered }))
    .max(CHOICES_MAX),
  ...tailFields,
});

/** @returns null when the value is no `text_completion`, repeats a choice, or has no usage */
export function contentOfText(body: unknown): ResponseContent | null {
  const parsed = safeParse(bodySchema, body);
  if (!parsed.success) return null;
  const { model, choices, usage, assay } = parsed.data;
  const counted = usage ?? assay?.usage;
  if (!counted || new Set(choices.map(({ index }) => index)).size !== choices.length) return null;
  const covered = choices.map(({ index, text, finish_reason }) => ({ index, text, finish_reason }));
  return { model, choices: covered, usage: counted };
}

/**
 * The covered content of a stream.
 * @returns null when a chunk is none, the model changes, text follows a finish reason, a choice does not finish exactly
 *   once, or there is no usage
 */
export function contentOfTextChunks(chunks: readonly unknown[]): ResponseContent | null {
  const open = new Map<number, { text: string; finish: string | null }>();
  let model: string | null = null;
  let usage: ResponseContent['usage'] | null = null;
  for (const chunk of chunks) {
    const parsed = safeParse(chunkSchema, chunk);
    if (!parsed.success || (model !== null && model !== parsed.data.model)) return null;
    model = parsed.data.model;
    usage = parsed.data.usage ?? parsed.data.assay?.usage ?? usage;
    for (const { index, text, finish_reason } of parsed.data.choices) {
      const choice = open.get(index) ?? { text: '', finish: null };
      if (choice.finish !== null) return null;
      open.set(index, { text: choice.text + text, finish: finish_reason });
    }
  }
  const choices = [...open].map(([index, { text, finish }]) => ({ index, text, finish_reason: finish }));
  if (model === null || usage === null || choices.some(({ finish_reason }) => finish_reason === null)) return null;
  return { model, choices: choices as { index: number; text: string; finish_reason: string }[], usage };
}
