/** The stream of an answer: server-sent events exactly as OpenAI frames them (reference: WHATWG HTML §9.2). */
import { after, type Clock } from '#protocol/env';
import type { AnswerEvent, AnswerKeep, AnswerRequest } from './answer.ts';
import { type AnswerForm, type AnswerHead, contentOf } from './answer-form.ts';
import { type AnswerPart, answerTexts, shownLogprobs } from './answer-text.ts';
import { dataFrame, KEEP_ALIVE_FRAME } from './frames.ts';
import { ownAssay } from './seal.ts';
import { type ChoiceDelta, ShownChoice } from './shown-choice.ts';
import { finishAnswer, type UnfinishedAnswer } from './unfinished-answer.ts';

/** How long a stream may be silent before a comment shows proxies that it lives: below the usual 60 s, twice over. */
export const KEEP_ALIVE_MS = 25_000;

export interface StreamOptions {
  readonly form: AnswerForm;
  readonly head: AnswerHead;
  readonly request: AnswerRequest;
  readonly includeUsage: boolean;
  readonly headers: Readonly<Record<string, string>>;
  /** Keeps the answer; called before the seal. */
  readonly keep?: ((unfinished: UnfinishedAnswer) => Promise<AnswerKeep>) | undefined;
  /** Called once, before the first text leaves. */
  readonly onFirstText: () => void;
  readonly onFinal: (final: Extract<AnswerEvent, { type: 'final' }>) => void;
}

/**
 * The frames of a whole answer, `[DONE]` included.
 * @throws what the pipeline throws; the caller turns it into an error frame
 */
export async function* streamFrames(
  events: AsyncIterable<AnswerEvent>,
  { form, head, headers, request, includeUsage, keep, onFirstText, onFinal }: StreamOptions,
): AsyncGenerator<string, void, undefined> {
  const chunks = form.chunks(head, includeUsage);
  const texts = answerTexts(request);
  const choices = texts.map((_, choice) => new ShownChoice(request, choice));
  let hasBegun = false;
  const told = new Set<number>();
  const framesOf = (choice: number, deltas: readonly ChoiceDelta[], part: AnswerPart, isEnd: boolean): string[] => {
    const { logprobs, offset } = part;
    if (!hasBegun && deltas.length > 0) onFirstText();
    hasBegun ||= deltas.length > 0;
    // A token that completes no character has its log-probabilities all the same; a choice without text has an empty list.
    const owes = logprobs !== null && (logprobs.length > 0 || (isEnd && !told.has(choice)));
    const shown = deltas.length === 0 && owes ? [{ content: '' }] : deltas;
    if (shown.length > 0) told.add(choice);
    const spelled = logprobs && form.logprobs(logprobs, offset);
    return shown.map((delta, at) => dataFrame(chunks.piece(choice, delta, at === 0 ? spelled : null)));
  };
  for (const choice of texts.keys()) yield* chunks.opening(choice).map(dataFrame);
  for await (const event of events) {
    if (event.type === 'opened') continue;
    if (event.type === 'tokens') {
      const part = texts[event.choice]!.push(event);
      yield* framesOf(event.choice, choices[event.choice]!.push(part.text), part, false);
      continue;
    }
    for (const [choice, { finish }] of event.choices.entries()) {
      const part = texts[choice]!.finish(finish);
      yield* framesOf(choice, [...choices[choice]!.push(part.text), ...choices[choice]!.end()], part, true);
    }
    onFinal(event);
    const content = contentOf(form, head, choices, event.choices, request.prompts);
    const shown = shownLogprobs(texts, form);
    const unfinished = { form: 'events', headers, frames: [], tail: chunks.last(content, ownAssay(event)) } as const;
    yield* finishAnswer(unfinished, await event.seal(content, shown, await keep?.(unfinished))).frames;
    return;
  }
  throw new Error('the pipeline ended without a final event');
}

export interface BodyOptions {
  readonly clock: Clock;
  readonly keepAliveMs: number;
  /** The client has left. */
  readonly onCancel: () => void;
  /** Nothing more is sent, whatever ended it. */
  readonly onEnd: () => void;
}

/** A response body that pulls frames as fast as the client reads them, with comments while there are none. */
export function bodyOfFrames(
  frames: AsyncGenerator<string, void, undefined>,
  { clock, keepAliveMs, onCancel, onEnd }: BodyOptions,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let pending: Promise<IteratorResult<string, void>> | null = null;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      pending ??= frames.next().catch((error: unknown) => {
        onEnd();
        throw error;
      });
      const next = await orSilence(pending, clock, keepAliveMs);
      if (next === 'silence') {
        controller.enqueue(encoder.encode(KEEP_ALIVE_FRAME));
        return;
      }
      pending = null;
      if (next.done !== true) return controller.enqueue(encoder.encode(next.value));
      onEnd();
      controller.close();
    },
    cancel() {
      onCancel();
      onEnd();
      // Not awaited: a frame that is being waited for ends when the pipeline sees the abort.
      void frames.return().catch(() => {});
    },
  });
}

async function orSilence<T>(pending: Promise<T>, clock: Clock, silenceMs: number): Promise<T | 'silence'> {
  let cancel = () => {};
  const silence = new Promise<'silence'>((resolve) => {
    cancel = after(clock, silenceMs, () => resolve('silence'));
  });
  try {
    return await Promise.race([pending, silence]);
  } finally {
    cancel();
  }
}
