/**
 * The chat-completions body as far as it decides the answer (SPEC.md, "Bodies"): gateway and offline verifier read it by
 * the same rules, so that a prompt or a temperature that the client did not send shows.
 */

import { z } from 'zod';
import { CHOICES_MAX } from './content.ts';
import { ProtocolError } from './errors.ts';
import { TOP_LOGPROBS_MAX } from './logprobs.ts';
import {
  LOGIT_BIAS_MAX,
  LOGIT_BIASES_MAX,
  PENALTY_MAX,
  STOP_STRING_LENGTH_MAX,
  STOP_STRINGS_MAX,
  TEMPERATURE_MAX,
  TOKEN_ID_MAX,
  TOP_K_MAX,
} from './sampling.ts';
import { safeParse } from './schema.ts';

/** Longest model id in a request. */
export const MODEL_ID_LENGTH_MAX = 256;

/** Parts are checked one by one later, so that an unserved kind is named by its place. */
const contentSchema = z.union([z.string(), z.array(z.looseObject({ type: z.string().max(64) })).min(1)], {
  error: 'expected a string or a non-empty array of content parts',
});
const textMessage = <Role extends string>(role: Role) =>
  z.looseObject({ role: z.literal(role), content: contentSchema });

const messageSchema = z.discriminatedUnion(
  'role',
  [
    textMessage('developer'),
    textMessage('system'),
    textMessage('user'),
    z.looseObject({
      role: z.literal('assistant'),
      content: contentSchema.nullish(),
      refusal: z.string().nullish(),
      tool_calls: z.unknown().optional(),
      function_call: z.unknown().optional(),
      audio: z.unknown().optional(),
    }),
    z.looseObject({ role: z.literal('tool'), content: contentSchema, tool_call_id: z.string().min(1).max(256) }),
    z.looseObject({ role: z.literal('function') }),
  ],
  { error: 'role must be developer, system, user, assistant or tool' },
);

const stopSchema = z.string().min(1).max(STOP_STRING_LENGTH_MAX);
const penaltySchema = z.number().min(-PENALTY_MAX).max(PENALTY_MAX).nullish();
const tokenCountSchema = z.int().min(1).nullish();
const tokenKey = /^(0|[1-9][0-9]{0,9})$/;

/** What chat and text completions share. */
export const generationFields = {
  model: z.string().min(1).max(MODEL_ID_LENGTH_MAX),
  temperature: z.number().min(0).max(TEMPERATURE_MAX).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  // -1 is how vLLM's clients switch it off.
  top_k: z.int().min(-1).max(TOP_K_MAX).nullish(),
  presence_penalty: penaltySchema,
  frequency_penalty: penaltySchema,
  logit_bias: z
    .record(z.string().regex(tokenKey), z.number().min(-LOGIT_BIAS_MAX).max(LOGIT_BIAS_MAX))
    .refine((biases) => Object.keys(biases).length <= LOGIT_BIASES_MAX, `at most ${LOGIT_BIASES_MAX} tokens`)
    .refine((biases) => Object.keys(biases).every((id) => Number(id) <= TOKEN_ID_MAX), 'token id out of range')
    .nullish(),
  stop: z
    .union([stopSchema, z.array(stopSchema).max(STOP_STRINGS_MAX)], {
      error: `expected a non-empty string of at most ${STOP_STRING_LENGTH_MAX} characters, or up to ${STOP_STRINGS_MAX} of them`,
    })
    .nullish(),
  n: z.int().min(1).max(CHOICES_MAX).nullish(),
  max_tokens: tokenCountSchema,
  max_completion_tokens: tokenCountSchema,
  stream: z.boolean().nullish(),
  stream_options: z
    .looseObject({ include_usage: z.boolean().nullish(), include_obfuscation: z.boolean().nullish() })
    .nullish(),
  user: z.string().nullish(),
  metadata: z.record(z.string(), z.unknown()).nullish(),
  verification: z.unknown().optional(),
};

/** Body of `POST /v1/chat/completions`; unknown fields pass and are ignored, as OpenAI's schema allows them. */
export const chatBodySchema = z.looseObject({
  ...generationFields,
  messages: z.array(messageSchema).min(1),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(TOP_LOGPROBS_MAX).nullish(),
});

export type ChatBody = z.infer<typeof chatBodySchema>;
/** The fields that decide how tokens are chosen. */
export type SamplingFields = Pick<
  ChatBody,
  'temperature' | 'top_p' | 'top_k' | 'presence_penalty' | 'frequency_penalty' | 'logit_bias' | 'stop'
>;
export type ChatBodyMessage = ChatBody['messages'][number];

/**
 * Checks the shape of a body.
 * @throws {ProtocolError} `invalid_request`; it names the field and never quotes its value
 */
export function parseChatBody(fields: Readonly<Record<string, unknown>>): ChatBody {
  return parseBody(chatBodySchema, fields);
}

/** The same for any body. @throws {ProtocolError} `invalid_request` */
export function parseBody<T>(schema: z.ZodType<T>, fields: Readonly<Record<string, unknown>>): T {
  const parsed = safeParse(schema, fields);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const param = paramOfPath(issue.path);
  throw new ProtocolError('invalid_request', `Invalid '${param}': ${issue.message}.`, { param });
}

/**
 * How many alternatives the client wants beside each token's log-probability; null where it wants none at all.
 * @throws {ProtocolError} `invalid_request` for alternatives without `logprobs`
 */
export function logprobsOfBody({ logprobs, top_logprobs }: Pick<ChatBody, 'logprobs' | 'top_logprobs'>): number | null {
  if (logprobs === true) return top_logprobs ?? 0;
  if ((top_logprobs ?? 0) === 0) return null;
  const message = "'top_logprobs' is only accepted where 'logprobs' is true.";
  throw new ProtocolError('invalid_request', message, { param: 'top_logprobs' });
}

/** OpenAI's way to write a place in the body: `messages[0].content`. Keys that the client chose are left out. */
function paramOfPath(path: readonly PropertyKey[]): string {
  const [first, ...rest] = path;
  if (first === 'logit_bias' || first === 'metadata') return first;
  return rest.reduce<string>(
    (text, key) => (typeof key === 'number' ? `${text}[${key}]` : `${text}.${String(key)}`),
    String(first ?? 'body'),
  );
}
