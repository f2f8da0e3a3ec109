/** Log-probabilities as a saved answer shows them, plain or streamed (SPEC.md §12.5). */

import { z } from 'zod';
import type { ShownLogprobs } from './logprobs.ts';
import { safeParse } from './schema.ts';

const choiceSchema = z.looseObject({ index: z.int().min(0), logprobs: z.looseObject({}).nullish() });
const bodySchema = z.looseObject({ choices: z.array(choiceSchema) });
/** What the parts of a stream are joined from: lists of tokens, one after the other. */
const listsSchema = z.record(z.string(), z.union([z.array(z.unknown()), z.null()]));

/** `choices[].logprobs` of a plain answer, without choices that have none; null where it has not the shape of one. */
export function logprobsOfCompletion(body: unknown): ShownLogprobs[] | null {
  const parsed = safeParse(bodySchema, body);
  if (!parsed.success) return null;
  return parsed.data.choices.flatMap(({ index, logprobs }) => (logprobs ? [{ index, logprobs }] : []));
}

/** The same of a stream: the lists of its chunks joined. */
export function logprobsOfChunks(chunks: readonly unknown[]): ShownLogprobs[] | null {
  const joined = new Map<number, Record<string, unknown[] | null>>();
  for (const chunk of chunks) {
    const parts = logprobsOfCompletion(chunk);
    if (parts === null) return null;
    for (const { index, logprobs } of parts) {
      const lists = safeParse(listsSchema, logprobs);
      if (!lists.success) return null;
      const before = joined.get(index) ?? {};
      for (const [name, list] of Object.entries(lists.data)) {
        before[name] = list === null ? (before[name] ?? null) : [...(before[name] ?? []), ...list];
      }
      joined.set(index, before);
    }
  }
  return [...joined].map(([index, logprobs]) => ({ index, logprobs }));
}
