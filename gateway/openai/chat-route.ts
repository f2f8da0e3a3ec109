/** `POST /v1/chat/completions`. */
import type { Clock } from '#protocol/env';
import { ProtocolError } from '#protocol/errors';
import { errorEnvelope } from '../errors.ts';
import { readBody } from '../http/body.ts';
import type { GatewayContext } from '../http/context.ts';
import { errorFields, type Log } from '../log.ts';
import type { AnswerEvent, AnswerPipeline, AnswerRequest } from './answer.ts';
import { answerText } from './answer-text.ts';
import { type ChatRules, parseChatRequest } from './chat-request.ts';
import { bodyOfFrames, dataFrame, streamFrames } from './chat-stream.ts';
import { openedHeaders } from './headers.ts';
import { type AnswerHead, completionBody, completionId, contentOf, usageOf } from './render.ts';
import { sealedAssay } from './seal.ts';

export interface ChatDeps extends ChatRules {
  readonly pipeline: AnswerPipeline;
  readonly clock: Clock;
  readonly log: Log;
  /** Longest silence of a stream in milliseconds before a comment is sent. */
  readonly keepAliveMs: number;
}

type Opened = Extract<AnswerEvent, { type: 'opened' }>;
type Final = Extract<AnswerEvent, { type: 'final' }>;

/** The handler; it runs behind `requireKey`. */
export function chatCompletions(deps: ChatDeps): (c: GatewayContext) => Promise<Response> {
  return async (c) => {
    const left = new AbortController();
    const onLeft = () => left.abort(new ProtocolError('client_closed', 'The client has left.'));
    // The request's own signal covers plain answers; a stream's `cancel` covers the rest.
    c.req.raw.signal.addEventListener('abort', onLeft, { once: true });
    const bytes = await readBody(c.req.raw, deps.limits.bodyBytesMax);
    const { answer: request, includeUsage } = parseChatRequest(
      {
        requestId: c.get('requestId'),
        apiKey: c.get('apiKey'),
        bytes,
        policyHeader: c.req.header('assay-verification'),
        nonceHeader: c.req.header('assay-nonce'),
        signal: left.signal,
      },
      deps,
    );
    const observation = c.get('observation');
    observation.model = request.model.id;
    observation.mode = request.policy.mode;
    observation.stream = request.stream;
    observation.promptTokens = request.promptIds.length;
    const head: AnswerHead = {
      id: completionId(request.requestId),
      created: Math.floor(deps.clock.nowMs() / 1000),
      model: request.model.id,
    };
    const events = deps.pipeline.answer(request)[Symbol.asyncIterator]();
    const opened = await openedOf(events, left.signal);
    const rest: AsyncIterable<AnswerEvent> = { [Symbol.asyncIterator]: () => events };
    if (!request.stream) return plainAnswer(c, { head, request, opened, rest });
    return streamedAnswer(c, deps, { head, request, opened, rest, includeUsage, onLeft });
  };
}

interface Answering {
  readonly head: AnswerHead;
  readonly request: AnswerRequest;
  readonly opened: Opened;
  readonly rest: AsyncIterable<AnswerEvent>;
}

/** Errors before this event are ordinary error responses, for streams too. */
async function openedOf(events: AsyncIterator<AnswerEvent>, signal: AbortSignal): Promise<Opened> {
  const first = await events.next();
  signal.throwIfAborted();
  if (first.done === true || first.value.type !== 'opened') throw new Error('the pipeline did not open the answer');
  return first.value;
}

async function plainAnswer(c: GatewayContext, { head, request, opened, rest }: Answering): Promise<Response> {
  const detokenized = answerText(request);
  let text = '';
  for await (const event of rest) {
    if (event.type === 'tokens') text += detokenized.push(event.ids);
    if (event.type !== 'final') continue;
    text += detokenized.finish(event.finish);
    observeFinal(c, event);
    const content = contentOf(head, text, event.finish, usageOf(request.promptIds.length, event.outputTokens));
    const sealed = await event.seal(content);
    return new Response(JSON.stringify(completionBody(head, content, sealedAssay(event, sealed))), {
      headers: {
        ...openedHeaders(request.requestId, opened),
        ...sealed.headers,
        'content-type': 'application/json',
        'cache-control': 'no-store',
      },
    });
  }
  throw new Error('the pipeline ended without a final event');
}

function streamedAnswer(
  c: GatewayContext,
  deps: ChatDeps,
  { head, request, opened, rest, includeUsage, onLeft }: Answering & { includeUsage: boolean; onLeft: () => void },
): Response {
  const observation = c.get('observation');
  observation.deferred = true;
  const frames = streamFrames(rest, {
    head,
    request,
    includeUsage,
    onFirstText: () => {
      observation.firstTokenMs = deps.clock.nowMs() - c.get('arrivedMs');
    },
    onFinal: (final) => observeFinal(c, final),
  });
  const body = bodyOfFrames(guardedFrames(frames, c, deps.log, request.signal), {
    clock: deps.clock,
    keepAliveMs: deps.keepAliveMs,
    onCancel: () => {
      onLeft();
      observation.code ??= 'client_closed';
      c.get('ended')();
    },
  });
  return new Response(body, {
    headers: {
      ...openedHeaders(request.requestId, opened),
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      // nginx would otherwise hold the stream back until its buffer is full.
      'x-accel-buffering': 'no',
    },
  });
}

/** Ends a failed stream with an error event and without `[DONE]`: a bare end would look like success to SDKs. */
async function* guardedFrames(
  frames: AsyncGenerator<string, void, undefined>,
  c: GatewayContext,
  log: Log,
  signal: AbortSignal,
): AsyncGenerator<string, void, undefined> {
  try {
    yield* frames;
  } catch (error) {
    const envelope = errorEnvelope(signal.aborted ? signal.reason : error);
    c.get('observation').code = envelope.code;
    if (envelope.status >= 500) {
      log.error('stream_failed', { requestId: c.get('requestId'), code: envelope.code, ...errorFields(error) });
    }
    yield dataFrame(envelope.body);
  } finally {
    c.get('ended')();
  }
}

function observeFinal(c: GatewayContext, final: Final): void {
  const observation = c.get('observation');
  observation.verdict = final.verdict;
  observation.finish = final.finish;
  observation.outputTokens = final.outputTokens;
}
