/** From OpenAI's sampling fields to the protocol's (SPEC.md, "Bodies"). */

import type { SamplingFields } from './chat-body.ts';
import { ProtocolError } from './errors.ts';
import { type Sampling, samplingSchema } from './sampling.ts';
import { safeParse } from './schema.ts';

/** OpenAI's default. */
const TEMPERATURE_DEFAULT = 1;

/** @throws {ProtocolError} `invalid_request` when a stop string is not well-formed Unicode */
export function samplingOfBody(body: SamplingFields): Sampling {
  const topP = body.top_p ?? 1;
  const topK = Math.max(0, body.top_k ?? 0);
  const stop = body.stop ?? [];
  const parsed = safeParse(samplingSchema, {
    temperature: body.temperature ?? TEMPERATURE_DEFAULT,
    // OpenAI allows top_p 0: the smallest set that reaches it is the best token alone, which is top-k 1.
    topP: topP === 0 ? 1 : topP,
    topK: topP === 0 ? 1 : topK,
    presencePenalty: body.presence_penalty ?? 0,
    frequencyPenalty: body.frequency_penalty ?? 0,
    logitBias: logitBiases(body.logit_bias ?? {}),
    stop: typeof stop === 'string' ? [stop] : stop,
  });
  if (parsed.success) return parsed.data;
  // The body's schema has the same bounds, so what is left is the one thing that it does not look at.
  throw new ProtocolError('invalid_request', 'A stop string is not well-formed Unicode.', { param: 'stop' });
}

/** Ascending ids without biases of 0, so that equal requests have equal hashes. */
function logitBiases(biases: Readonly<Record<string, number>>): [number, number][] {
  return Object.entries(biases)
    .map(([id, bias]): [number, number] => [Number(id), bias])
    .filter(([, bias]) => bias !== 0)
    .sort(([a], [b]) => a - b);
}
