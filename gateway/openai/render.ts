/** OpenAI's objects of chat answers, and the models. Key order is OpenAI's. */
import { chatLogprobs } from '#protocol/logprob-text';
import type { ModelEntry } from './answer.ts';
import { type AnswerForm, lastChunks } from './answer-form.ts';

/** `chat.completion` and its chunks. No `system_fingerprint`: the specification has it optional, but not null. */
export const CHAT_FORM: AnswerForm = {
  idPrefix: 'chatcmpl-',
  choice: (choice) => choice,
  logprobs: (tokens) => chatLogprobs(tokens),
  body: (head, content, assay, shown) => ({
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
  }),
  chunks(head, includeUsage) {
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
      // The role stands here and nowhere else.
      opening: (index) => [chunk(choice(index, { role: 'assistant', content: '' }, null), noUsage)],
      piece: (index, delta, logprobs) => chunk(choice(index, delta, null, logprobs), noUsage),
      last({ choices, usage }, assay) {
        const finishes = choices.map(({ index, finish_reason }) => choice(index, {}, finish_reason));
        return lastChunks(chunk, finishes, { usage, assay, includeUsage });
      },
    };
  },
};

/** The `model` object of `/v1/models`. */
export function modelBody(model: ModelEntry): Record<string, unknown> {
  return { id: model.id, object: 'model', created: model.created, owned_by: model.ownedBy };
}
