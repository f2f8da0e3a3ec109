/** The body of `POST /v1/completions` as far as it decides the answer (SPEC.md §4.1); gateway and verifier read it alike. */
import { z } from 'zod';
import { generationFields, parseBody } from './chat-body.ts';
import { CHOICES_MAX } from './content.ts';
import { ProtocolError } from './errors.ts';
import { TOKENS_MAX } from './schema.ts';
import type { TextModel } from './text.ts';

/** Most alternatives a token that this endpoint of OpenAI's has. */
const COMPLETION_LOGPROBS_MAX = 5;

const idsSchema = z.array(z.int().min(0)).min(1).max(TOKENS_MAX);

const { metadata: _, max_completion_tokens: __, ...fields } = generationFields;
const completionBodySchema = z.looseObject({
  ...fields,
  prompt: z
    .union([z.string(), z.array(z.string()).min(1), idsSchema, z.array(idsSchema).min(1)], {
      error: 'expected a string, token ids, or a list of either',
    })
    .nullable(),
  echo: z.boolean().nullish(),
  logprobs: z.int().min(0).max(COMPLETION_LOGPROBS_MAX).nullish(),
});

export type CompletionBody = z.infer<typeof completionBodySchema>;

/**
 * Checks the shape of a body.
 * @throws {ProtocolError} `invalid_request`, or `unsupported_parameter` for what OpenAI takes and nobody here could answer for
 */
export function parseCompletionBody(given: Readonly<Record<string, unknown>>): CompletionBody {
  const { prompt } = given;
  // Before the schema, which looks into every one of them.
  if (Array.isArray(prompt) && typeof prompt[0] !== 'number' && prompt.length > CHOICES_MAX) {
    const message = `Invalid 'prompt': expected at most ${CHOICES_MAX} prompts.`;
    throw new ProtocolError('invalid_request', message, { param: 'prompt' });
  }
  if (given.max_tokens === 0) {
    throw unserved('max_tokens', 'Answers without a token are not served: there would be nothing to seal.');
  }
  const body = parseBody(completionBodySchema, given);
  if (body.echo === true && typeof body.logprobs === 'number') {
    throw unserved('logprobs', 'Log-probabilities of an echoed prompt are not served: no provider seals them.');
  }
  return body;
}

function unserved(param: string, message: string): ProtocolError {
  return new ProtocolError('unsupported_parameter', message, { param });
}

/** One prompt: its text, or its token ids. */
export type Prompt = string | readonly number[];

/** The prompts of a body in order, at least one. */
export function promptsOfBody({ prompt }: Pick<CompletionBody, 'prompt'>): readonly Prompt[] {
  if (prompt === null) return [''];
  if (typeof prompt === 'string') return [prompt];
  return typeof prompt[0] === 'number' ? [prompt as number[]] : (prompt as string[] | number[][]);
}

/** The prompt's token ids: a text after the model's start token, if it has one; ids as they are. */
export function idsOfPrompt(prompt: Prompt, text: Pick<TextModel, 'encodePrompt'>): readonly number[] {
  return typeof prompt === 'string' ? text.encodePrompt(prompt) : prompt;
}

/** What stands before the model's own text: the prompt where it is echoed, else nothing. */
export function echoOf(
  { echo }: Pick<CompletionBody, 'echo'>,
  prompt: Prompt,
  text: Pick<TextModel, 'decode'>,
): string {
  if (echo !== true) return '';
  return typeof prompt === 'string' ? prompt : text.decode(prompt);
}
