/** OpenAI's response objects: the completion, the chunks of a stream, the models. Key order is OpenAI's. */
import type { SpelledLogprobs } from '#protocol/logprob-text';
import type { ShownLogprobs } from '#protocol/logprobs';
import type { FinishedChoice, ModelEntry, ResponseContent, SealedAnswer } from './answer.ts';
import type { ChoiceDelta, ShownChoice } from './shown-choice.ts';

/** What all objects of one answer share. */
export interface AnswerHead {
  readonly id: string;
  /** Seconds since the Unix epoch. */
  readonly created: number;
  readonly model: string;
}

type Usage = ResponseContent['usage'];

/** The completion id that belongs to a request id. */
export function completionId(requestId: string): string {
  return `chatcmpl-${requestId.replace(/^req_/, '')}`;
}

function usageOf(promptTokens: number, outputTokens: number): Usage {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: outputTokens,
    total_tokens: promptTokens + outputTokens,
  };
}

/**
 * What the attestation covers of an answer. The prompt is counted once, as OpenAI counts it, and every choice's output.
 * @param choices by index
 */
export function contentOf(
  head: AnswerHead,
  choices: readonly ShownChoice[],
  finished: readonly FinishedChoice[],
  promptTokens: number,
): ResponseContent {
  const ended = finished.map(({ finish }, index) => choices[index]!.finished(finish));
  return { model: head.model, choices: ended, usage: usageOf(promptTokens, outputTokensOf(finished)) };
}

/** Output tokens of all choices together. */
export function outputTokensOf(finished: readonly FinishedChoice[]): number {
  return finished.reduce((sum, { outputTokens }) => sum + outputTokens, 0);
}

/** `choices[].logprobs` of a chat answer; null where none were asked for. */
export function chatLogprobs(tokens: readonly SpelledLogprobs[] | null): object | null {
  return tokens === null ? null : { content: tokens, refusal: null };
}

/** `chat.completion`. No `system_fingerprint`: the specification has it optional, but not null. */
export function completionBody(
  head: AnswerHead,
  content: ResponseContent,
  assay: SealedAnswer['assay'],
  shown: readonly ShownLogprobs[] | null,
): Record<string, unknown> {
  return {
    id: head.id,
    object: 'chat.completion',
    created: head.created,
    model: head.model,
    choices: content.choices.map(({ index, role, content: text, tool_calls, finish_reason }) => ({
      index,
      message: { role, content: text ?? null, refusal: null, ...(tool_calls ? { tool_calls } : {}) },
      logprobs: shown?.find((choice) => choice.index === index)?.logprobs ?? null,
      finish_reason,
    })),
    usage: content.usage,
    assay,
  };
}

/** Builds the chunks of one stream; `includeUsage` is `stream_options.include_usage`. */
export function chunkBuilder(head: AnswerHead, includeUsage: boolean) {
  const chunk = (choices: readonly object[], tail: object): Record<string, unknown> => ({
    id: head.id,
    object: 'chat.completion.chunk',
    created: head.created,
    model: head.model,
    choices,
    ...tail,
  });
  const noUsage = includeUsage ? { usage: null } : {};
  const choice = (index: number, delta: object, finish_reason: string | null, logprobs: object | null = null) => [
    { index, delta, logprobs, finish_reason },
  ];
  return {
    /** A choice's first chunk: the role stands here and nowhere else. */
    role: (index: number) => chunk(choice(index, { role: 'assistant', content: '' }, null), noUsage),
    piece: (index: number, delta: ChoiceDelta, logprobs: object | null) =>
      chunk(choice(index, delta, null, logprobs), noUsage),
    /**
     * The chunks after the last text, one finish for each choice. The `assay` member is in the last of them: beside the usage
     * where the client asked for it, else in the last finish chunk, then with the usage inside, because the content hash
     * needs it.
     */
    last(content: ResponseContent, assay: SealedAnswer['assay']): Record<string, unknown>[] {
      const finishes = content.choices.map(({ index, finish_reason }) => choice(index, {}, finish_reason));
      if (includeUsage) {
        return [...finishes.map((finish) => chunk(finish, noUsage)), chunk([], { usage: content.usage, assay })];
      }
      const last = chunk(finishes.at(-1)!, { assay: { ...assay, usage: content.usage } });
      return [...finishes.slice(0, -1).map((finish) => chunk(finish, {})), last];
    },
  };
}

/** The `model` object of `/v1/models`. */
export function modelBody(model: ModelEntry): Record<string, unknown> {
  return { id: model.id, object: 'model', created: model.created, owned_by: model.ownedBy };
}
