/** In what objects an answer is shown: those of chat completions or those of text completions. */
import type { SpelledLogprobs } from '#protocol/logprob-text';
import type { ShownLogprobs } from '#protocol/logprobs';
import type { AnswerRequest, ContentChoice, FinishedChoice, ResponseContent, SealedAnswer } from './answer.ts';
import type { ChoiceDelta, ShownChoice } from './shown-choice.ts';

/** What all objects of one answer share. */
export interface AnswerHead {
  readonly id: string;
  /** Seconds since the Unix epoch. */
  readonly created: number;
  readonly model: string;
}

/** The chunks of one stream. */
export interface ChunkForm {
  /** What stands before the model's own text of a choice. */
  opening(index: number): Record<string, unknown>[];
  piece(index: number, delta: ChoiceDelta, logprobs: object | null): Record<string, unknown>;
  /**
   * The chunks after the last text, one finish for each choice. The `assay` member is in the last of them: beside the usage
   * where the client asked for it, else in the last finish chunk, then with the usage inside, because the content hash
   * needs it.
   */
  last(content: ResponseContent, assay: SealedAnswer['assay']): Record<string, unknown>[];
}

export interface AnswerForm {
  /** Goes before the random part of an answer's id. */
  readonly idPrefix: string;
  /** What the attestation covers of a choice. */
  choice(shown: ContentChoice): ContentChoice;
  /** `choices[].logprobs`. @param offset of the first token in the choice's text, in Unicode code points */
  logprobs(tokens: readonly SpelledLogprobs[], offset: number): object;
  body(
    head: AnswerHead,
    content: ResponseContent,
    assay: SealedAnswer['assay'],
    shown: readonly ShownLogprobs[] | null,
  ): Record<string, unknown>;
  /** @param includeUsage `stream_options.include_usage` */
  chunks(head: AnswerHead, includeUsage: boolean): ChunkForm;
}

/**
 * What the attestation covers of an answer. Each prompt is counted once, as OpenAI counts it, and every choice's output.
 * @param choices by index
 */
export function contentOf(
  form: AnswerForm,
  head: AnswerHead,
  choices: readonly ShownChoice[],
  finished: readonly FinishedChoice[],
  prompts: AnswerRequest['prompts'],
): ResponseContent {
  const promptTokens = promptTokensOf(prompts);
  const ended = finished.map(({ finish }, index) => form.choice(choices[index]!.finished(finish)));
  const outputTokens = outputTokensOf(finished);
  const usage = {
    prompt_tokens: promptTokens,
    completion_tokens: outputTokens,
    total_tokens: promptTokens + outputTokens,
  };
  return { model: head.model, choices: ended, usage };
}

/** Tokens of all prompts together, each counted once. */
export function promptTokensOf(prompts: AnswerRequest['prompts']): number {
  return prompts.reduce((sum, ids) => sum + ids.length, 0);
}

/** Output tokens of all choices together. */
export function outputTokensOf(finished: readonly FinishedChoice[]): number {
  return finished.reduce((sum, { outputTokens }) => sum + outputTokens, 0);
}

/** The chunks that end a stream, from those that finish its choices; see `ChunkForm.last`. */
export function lastChunks(
  chunk: (choices: readonly object[], tail: object) => Record<string, unknown>,
  finishes: readonly (readonly object[])[],
  {
    usage,
    assay,
    includeUsage,
  }: { usage: ResponseContent['usage']; assay: SealedAnswer['assay']; includeUsage: boolean },
): Record<string, unknown>[] {
  if (includeUsage) {
    return [...finishes.map((finish) => chunk(finish, { usage: null })), chunk([], { usage, assay })];
  }
  const last = chunk(finishes.at(-1)!, { assay: { ...assay, usage } });
  return [...finishes.slice(0, -1).map((finish) => chunk(finish, {})), last];
}
