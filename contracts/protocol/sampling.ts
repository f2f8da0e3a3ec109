/** Sampling parameters that every member of a committee must apply in the same way (SPEC.md, "Sampling"). */

import { z } from 'zod';

/** Highest temperature; OpenAI's own limit. */
export const TEMPERATURE_MAX = 2;
/** Largest top-k, 2^20 = 4 times a vocabulary of 256k. */
export const TOP_K_MAX = 2 ** 20;
/** Bound of presence and frequency penalties on both sides; OpenAI's own limit. */
export const PENALTY_MAX = 2;
/** Most logit biases in one request. */
export const LOGIT_BIASES_MAX = 1024;
/** Bound of one logit bias on both sides; OpenAI's own limit. */
export const LOGIT_BIAS_MAX = 100;
/** Most stop strings in one request; OpenAI's own limit. */
export const STOP_STRINGS_MAX = 4;
/** Longest stop string in UTF-16 code units. */
export const STOP_STRING_LENGTH_MAX = 256;
/** Largest token id that the byte encodings can carry, 2^32 - 1. */
export const TOKEN_ID_MAX = 2 ** 32 - 1;
/** Sampler version in manifests, tickets and attestations; a change of any rule in sampler.ts is a new version. */
export const SAMPLER_VERSION = 'assay-sampler/1';

/** How tokens are chosen from logits; part of `samplingHash`. */
export interface Sampling {
  /** 0 = argmax; above 0 the scale of the Gumbel noise. */
  readonly temperature: number;
  /** Smallest cumulative probability to keep, (0, 1]; 1 = off. */
  readonly topP: number;
  /** How many best tokens to keep; 0 = off. */
  readonly topK: number;
  /** Subtracted once from the logit of every token that the output already has. */
  readonly presencePenalty: number;
  /** Subtracted from a token's logit once for each time that the output has it. */
  readonly frequencyPenalty: number;
  /** Added to logits; sorted by id, no id twice. */
  readonly logitBias: readonly (readonly [id: number, bias: number])[];
  /** The answer's text ends before the first of these; sorted as the client gave them. */
  readonly stop: readonly string[];
}

/** Argmax, nothing else. */
export const GREEDY: Sampling = Object.freeze({
  temperature: 0,
  topP: 1,
  topK: 0,
  presencePenalty: 0,
  frequencyPenalty: 0,
  logitBias: [],
  stop: [],
});

/**
 * Whether tokens depend on more than the best raw logit: noise, penalties or bias. Providers whose manifest says
 * `sampler: null` serve only what does not; top-k, top-p and the seed change nothing at temperature 0.
 */
export function needsSampler({ temperature, presencePenalty, frequencyPenalty, logitBias }: Sampling): boolean {
  return temperature !== 0 || presencePenalty !== 0 || frequencyPenalty !== 0 || logitBias.length > 0;
}

/** A finite number in a closed range; -0 becomes 0, so that one value has one encoding. */
const bounded = (min: number, max: number) =>
  z
    .number()
    .min(min)
    .max(max)
    .overwrite((value) => (value === 0 ? 0 : value));

const tokenIdSchema = z.int().min(0).max(TOKEN_ID_MAX);

/** A lone surrogate has no UTF-8 form, so it could neither be hashed nor occur in decoded text. */
const hasLoneSurrogate = (text: string): boolean => /\p{Surrogate}/u.test(text);

/** Parses sampling parameters from the wire; refuses what has two encodings (unsorted or repeated biases). */
export const samplingSchema: z.ZodType<Sampling> = z.strictObject({
  temperature: bounded(0, TEMPERATURE_MAX),
  topP: z.number().gt(0).max(1),
  topK: z
    .int()
    .min(0)
    .max(TOP_K_MAX)
    .overwrite((value) => (value === 0 ? 0 : value)),
  presencePenalty: bounded(-PENALTY_MAX, PENALTY_MAX),
  frequencyPenalty: bounded(-PENALTY_MAX, PENALTY_MAX),
  logitBias: z
    .array(z.tuple([tokenIdSchema, bounded(-LOGIT_BIAS_MAX, LOGIT_BIAS_MAX)]))
    .max(LOGIT_BIASES_MAX)
    .refine((biases) => biases.every(([id], at) => at === 0 || biases[at - 1]![0] < id), 'ids must ascend'),
  stop: z
    .array(
      z
        .string()
        .min(1)
        .max(STOP_STRING_LENGTH_MAX)
        .refine((text) => !hasLoneSurrogate(text), 'must be well-formed Unicode'),
    )
    .max(STOP_STRINGS_MAX),
});
