/** `POST /v1/chat/completions` and `POST /v1/completions`: the same but for how a request is read and an answer is shown. */
import type { Hash } from '#protocol/hash';
import { errorEnvelope } from '../errors.ts';
import { readBody } from '../http/body.ts';
import type { GatewayContext } from '../http/context.ts';
import { errorFields, type Log } from '../log.ts';
import type { AnswerEvent, AnswerKeep, AnswerPipeline, AnswerRequest, KeyedCall } from './answer.ts';
import { type AnswerForm, type AnswerHead, contentOf, outputTokensOf, promptTokensOf } from './answer-form.ts';
import { answerTexts, shownLogprobs } from './answer-text.ts';
import { type ChatCall, type ChatRules, type ParsedRequest, parseChatRequest } from './chat-request.ts';
import { streamFrames } from './chat-stream.ts';
import { parseCompletionRequest } from './completion-request.ts';
import { dataFrame } from './frames.ts';
import { openedHeaders } from './headers.ts';
import { keyedCall, type MadeAnswer } from './idempotency.ts';
import { ownAssay } from './seal.ts';
import { type Making, type ServeDeps, serveAnswer } from './serve-answer.ts';
import { ShownChoice } from './shown-choice.ts';
import { finishAnswer, type UnfinishedAnswer } from './unfinished-answer.ts';

export interface ChatDeps extends ChatRules, ServeDeps {
  readonly pipeline: AnswerPipeline;
  readonly log: Log;
}

type Opened = Extract<AnswerEvent, { type: 'opened' }>;
type Final = Extract<AnswerEvent, { type: 'final' }>;

type Handler = (c: GatewayContext) => Promise<Response>;

/** The handler of chat completions; it runs behind `requireKey`. */
export function chatCompletions(deps: ChatDeps): Handler {
  return answering(deps, parseChatRequest);
}

/** The handler of text completions; it runs behind `requireKey`. */
export function textCompletions(deps: ChatDeps): Handler {
  return answering(deps, parseCompletionRequest);
}

function answering(deps: ChatDeps, parse: (call: ChatCall, rules: ChatRules) => ParsedRequest): Handler {
  return async (c) => {
    const bytes = await readBody(c.req.raw, deps.limits.bodyBytesMax);
    const parsed = parse(
      {
        requestId: c.get('requestId'),
        apiKey: c.get('apiKey'),
        bytes,
        policyHeader: c.req.header('assay-verification'),
        nonceHeader: c.req.header('assay-nonce'),
        signal: c.req.raw.signal,
      },
      deps,
    );
    const keyed = keyedCallOf(c, parsed.answer.bodyHash, deps.clock.nowMs());
    observeRequest(c, parsed.answer);
    return serveAnswer(c, deps, keyed, (making) => makeAnswer(c, deps, { ...parsed, making, keyed }));
  };
}

/** The call that the client's `Idempotency-Key` names: body, route and the headers that decide the answer. */
export function keyedCallOf(c: GatewayContext, bodyHash: Hash, nowMs: number): KeyedCall | null {
  const header = (name: string) => c.req.header(name) ?? null;
  const parts = { route: c.req.path, bodyHash, policy: header('assay-verification'), nonce: header('assay-nonce') };
  return keyedCall(c.req.header('idempotency-key'), parts, nowMs);
}

async function makeAnswer(
  c: GatewayContext,
  deps: ChatDeps,
  { answer, form, includeUsage, making, keyed }: ParsedRequest & { making: Making; keyed: KeyedCall | null },
): Promise<MadeAnswer> {
  const { signal, keeper } = making;
  const request: AnswerRequest = { ...answer, signal, ...(keyed ? { keyed } : {}) };
  const head: AnswerHead = {
    id: `${form.idPrefix}${request.requestId.replace(/^req_/, '')}`,
    created: Math.floor(deps.clock.nowMs() / 1000),
    model: request.model.id,
  };
  c.get('admission').takeTokens(tokensAsked(request));
  const events = deps.pipeline.answer(request)[Symbol.asyncIterator]();
  const opened = await openedOf(events, signal);
  const rest: AsyncIterable<AnswerEvent> = { [Symbol.asyncIterator]: () => events };
  const keep = keeper ? (unfinished: UnfinishedAnswer) => keeper(request.requestId, unfinished) : undefined;
  const shared: Answering = { form, head, request, opened, rest, keep };
  return request.stream ? streamedAnswer(c, deps, { ...shared, includeUsage }) : plainAnswer(c, shared);
}

interface Answering {
  readonly form: AnswerForm;
  readonly head: AnswerHead;
  readonly request: AnswerRequest;
  readonly opened: Opened;
  readonly rest: AsyncIterable<AnswerEvent>;
  readonly keep: ((unfinished: UnfinishedAnswer) => Promise<AnswerKeep>) | undefined;
}

/** Errors before this event are ordinary error responses, for streams too. */
async function openedOf(events: AsyncIterator<AnswerEvent>, signal: AbortSignal): Promise<Opened> {
  const first = await events.next();
  try {
    signal.throwIfAborted();
    if (first.done === true || first.value.type !== 'opened') throw new Error('the pipeline did not open the answer');
    return first.value;
  } catch (error) {
    // Nobody takes what else it has: it must not wait for that.
    await events.return?.();
    throw error;
  }
}

async function plainAnswer(
  c: GatewayContext,
  { form, head, request, opened, rest, keep }: Answering,
): Promise<MadeAnswer> {
  const texts = answerTexts(request);
  for await (const event of rest) {
    if (event.type === 'tokens') texts[event.choice]!.push(event);
    if (event.type !== 'final') continue;
    for (const [choice, { finish }] of event.choices.entries()) texts[choice]!.finish(finish);
    observeFinal(c, request, event);
    const choices = texts.map(({ text }, index) => wholeChoice(request, index, text));
    const content = contentOf(form, head, choices, event.choices, request.prompts);
    const shown = shownLogprobs(texts, form);
    const headers = {
      ...openedHeaders(request.requestId, opened),
      'content-type': 'application/json',
      'cache-control': 'no-store',
    };
    const tail = [form.body(head, content, ownAssay(event), shown)];
    const unfinished = { form: 'json', headers, frames: [], tail } as const;
    const whole = finishAnswer(unfinished, await event.seal(content, shown, await keep?.(unfinished)));
    return { headers: whole.headers, body: whole.frames.join('') };
  }
  throw new Error('the pipeline ended without a final event');
}

function wholeChoice(request: AnswerRequest, index: number, text: string): ShownChoice {
  const choice = new ShownChoice(request, index);
  choice.push(text);
  choice.end();
  return choice;
}

function streamedAnswer(
  c: GatewayContext,
  deps: ChatDeps,
  { form, head, request, opened, rest, keep, includeUsage }: Answering & { includeUsage: boolean },
): MadeAnswer {
  const observation = c.get('observation');
  observation.deferred = true;
  const headers = {
    ...openedHeaders(request.requestId, opened),
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache, no-transform',
    // nginx would otherwise hold the stream back until its buffer is full.
    'x-accel-buffering': 'no',
  };
  const frames = streamFrames(rest, {
    form,
    head,
    headers,
    request,
    includeUsage,
    keep,
    onFirstText: () => {
      observation.firstTokenMs = deps.clock.nowMs() - c.get('arrivedMs');
    },
    onFinal: (final) => observeFinal(c, request, final),
  });
  return { headers, body: guardedFrames(frames, c, deps.log, request.signal) };
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

function observeRequest(c: GatewayContext, request: AnswerRequest): void {
  const observation = c.get('observation');
  observation.model = request.model.id;
  observation.mode = request.policy.mode;
  observation.stream = request.stream;
  observation.promptTokens = promptTokensOf(request.prompts);
}

/** The most tokens that a request can come to, as its key's limit counts them. */
function tokensAsked(request: AnswerRequest): number {
  return promptTokensOf(request.prompts) + request.maxTokens * request.choices;
}

function observeFinal(c: GatewayContext, request: AnswerRequest, final: Final): void {
  const outputTokens = outputTokensOf(final.choices);
  c.get('admission').giveBackTokens(request.maxTokens * request.choices - outputTokens);
  const observation = c.get('observation');
  observation.verdict = final.verdict;
  // One word a request; of several choices, the first's.
  observation.finish = final.choices[0]!.finish;
  observation.outputTokens = outputTokens;
}
