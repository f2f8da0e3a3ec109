/** OpenAI's objects of text completions. Key order is OpenAI's. */
import { completionLogprobs } from '#protocol/logprob-text';
import { type AnswerForm, lastChunks } from './answer-form.ts';

/** `text_completion`, plain and in chunks. @param echoAt text that a choice begins with, perhaps empty */
export function textForm(echoAt: (choice: number) => string): AnswerForm {
  return {
    idPrefix: 'cmpl-',
    choice: ({ index, content, finish_reason }) => ({ index, text: `${echoAt(index)}${content ?? ''}`, finish_reason }),
    logprobs: completionLogprobs,
    body: (head, content, assay, shown) => ({
      id: head.id,
      object: 'text_completion',
      created: head.created,
      model: head.model,
      choices: content.choices.map(({ index, text, finish_reason }) => ({
        text,
        index,
        logprobs: shown?.find((choice) => choice.index === index)?.logprobs ?? null,
        finish_reason,
      })),
      usage: content.usage,
      assay,
    }),
    chunks(head, includeUsage) {
      const chunk = (choices: readonly object[], tail: object): Record<string, unknown> => ({
        id: head.id,
        object: 'text_completion',
        created: head.created,
        model: head.model,
        choices,
        ...tail,
      });
      const noUsage = includeUsage ? { usage: null } : {};
      const choice = (index: number, text: string, finish_reason: string | null, logprobs: object | null = null) => [
        { text, index, logprobs, finish_reason },
      ];
      return {
        opening(index) {
          const echo = echoAt(index);
          return echo === '' ? [] : [chunk(choice(index, echo, null), noUsage)];
        },
        piece: (index, { content }, logprobs) => chunk(choice(index, String(content), null, logprobs), noUsage),
        last({ choices, usage }, assay) {
          const finishes = choices.map(({ index, finish_reason }) => choice(index, '', finish_reason));
          return lastChunks(chunk, finishes, { usage, assay, includeUsage });
        },
      };
    },
  };
}
