/** OpenAI's response objects: the completion, the chunks of a stream, the models. Key order is OpenAI's. */
import type { FinishKind, ModelEntry, ResponseContent, SealedAnswer } from './answer.ts';

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

export function finishReason(finish: FinishKind): 'stop' | 'length' {
  return finish === 'length' ? 'length' : 'stop';
}

export function usageOf(promptTokens: number, outputTokens: number): Usage {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: outputTokens,
    total_tokens: promptTokens + outputTokens,
  };
}

/** What the attestation covers of an answer with one choice. */
export function contentOf(head: AnswerHead, text: string, finish: FinishKind, usage: Usage): ResponseContent {
  const choice = { index: 0, role: 'assistant', content: text, finish_reason: finishReason(finish) } as const;
  return { model: head.model, choices: [choice], usage };
}

/** `chat.completion`. No `system_fingerprint`: the specification has it optional, but not null. */
export function completionBody(
  head: AnswerHead,
  content: ResponseContent,
  assay: SealedAnswer['assay'],
): Record<string, unknown> {
  return {
    id: head.id,
    object: 'chat.completion',
    created: head.created,
    model: head.model,
    choices: content.choices.map(({ index, role, content: text, finish_reason }) => ({
      index,
      message: { role, content: text ?? null, refusal: null },
      logprobs: null,
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
  const choice = (delta: object, finish_reason: string | null) => [{ index: 0, delta, logprobs: null, finish_reason }];
  return {
    /** The first chunk: the role stands here and nowhere else. */
    role: () => chunk(choice({ role: 'assistant', content: '' }, null), noUsage),
    text: (text: string) => chunk(choice({ content: text }, null), noUsage),
    /**
     * The chunks after the last text. The `assay` member is in the last of them: beside the usage where the client
     * asked for it, else in the finish chunk, then with the usage inside, because the content hash needs it.
     */
    last(content: ResponseContent, assay: SealedAnswer['assay']): Record<string, unknown>[] {
      const finish = choice({}, content.choices[0]!.finish_reason);
      if (!includeUsage) return [chunk(finish, { assay: { ...assay, usage: content.usage } })];
      return [chunk(finish, noUsage), chunk([], { usage: content.usage, assay })];
    },
  };
}

/** The `model` object of `/v1/models`. */
export function modelBody(model: ModelEntry): Record<string, unknown> {
  return { id: model.id, object: 'model', created: model.created, owned_by: model.ownedBy };
}
