/**
 * The trace of each request, from the client's `traceparent` to every provider's (W3C Trace Context; names of the OpenTelemetry GenAI
 * conventions). Without a receiver the client's context is passed on as it came; without that either, there is nothing to do.
 */
import {
  parseTraceparent,
  type SpanAttributes,
  TRACEPARENT,
  type TraceContext,
  type TraceSpan,
  type Traces,
  traceparentOf,
} from '#protocol/trace-context';
import type { Observation } from '../http/context.ts';
import type { GenAiOperation } from '../metrics.ts';
import type { Reply, ReplyBody, ReplyFetch } from '../round/reply.ts';

/** One request's place in its trace. */
interface RequestTrace {
  readonly context: TraceContext;
  readonly span: TraceSpan | null;
}

/** Calls to providers that are work of their own; permissions and cancellations are steps of these. */
const OPERATIONS: readonly { readonly path: RegExp; readonly name: string; readonly operation: string }[] = [
  { path: /\/v1\/jobs$/, name: 'chat', operation: 'chat' },
  { path: /\/v1\/scores$/, name: 'score', operation: 'score' },
];

export class RequestTraces {
  readonly #traces: Traces | null;
  readonly #byRequest = new Map<string, RequestTrace>();

  /** @param traces null: contexts are passed on and nothing is recorded */
  constructor(traces: Traces | null) {
    this.#traces = traces;
  }

  /** Begins a request's trace. @returns the trace's id, for the log; null where there is none */
  begin(requestId: string, operation: GenAiOperation, header: string | undefined): string | null {
    if (this.#traces === null && header === undefined) return null;
    const parent = parseTraceparent(header);
    const attributes = {
      'gen_ai.operation.name': operation,
      'gen_ai.provider.name': 'assay',
      'assay.request.id': requestId,
    };
    const span = this.#traces?.start(operation, { kind: 'server', parent, attributes }) ?? null;
    const context = span?.context ?? parent;
    if (context === null) return null;
    this.#byRequest.set(requestId, { context, span });
    return context.traceId;
  }

  /** Ends it, with what was learned of the request. */
  end(requestId: string, seen: Observation, status: number): void {
    const known = this.#byRequest.get(requestId);
    if (known === undefined) return;
    this.#byRequest.delete(requestId);
    known.span?.set({
      'gen_ai.request.model': seen.model,
      'gen_ai.usage.input_tokens': seen.promptTokens,
      'gen_ai.usage.output_tokens': seen.outputTokens,
      'gen_ai.response.finish_reasons': seen.finish === undefined ? undefined : [seen.finish],
      'http.response.status_code': status,
      'assay.policy.mode': seen.mode,
      'assay.verdict': seen.verdict,
    });
    known.span?.end(seen.code);
  }

  /** `fetch` for the calls of one request to providers; the plain one where it has no trace. */
  fetchFor(requestId: string, fetch: ReplyFetch): ReplyFetch | null {
    const known = this.#byRequest.get(requestId);
    if (known === undefined) return null;
    return (url, init) => this.#call(known, fetch, url, init);
  }

  async #call(
    { context, span: parent }: RequestTrace,
    fetch: ReplyFetch,
    url: string,
    init: RequestInit,
  ): Promise<Reply> {
    const operation = parent === null ? undefined : OPERATIONS.find(({ path }) => path.test(url));
    const span = operation === undefined ? null : this.#startCall(operation, context, url);
    const headers = {
      ...(init.headers as Record<string, string>),
      [TRACEPARENT]: traceparentOf(span?.context ?? context),
    };
    if (span === null) return fetch(url, { ...init, headers });
    try {
      const response = await fetch(url, { ...init, headers });
      span.set({ 'http.response.status_code': response.status });
      if (!response.ok || response.body === null) span.end(response.ok ? undefined : String(response.status));
      return response.body === null ? response : endingWithBody(response, response.body, span);
    } catch (error) {
      span.end(error instanceof Error ? error.name : 'error');
      throw error;
    }
  }

  #startCall(operation: (typeof OPERATIONS)[number], parent: TraceContext, url: string): TraceSpan {
    const { hostname, port } = new URL(url);
    const attributes: SpanAttributes = {
      'gen_ai.operation.name': operation.operation,
      'gen_ai.provider.name': 'assay',
      'server.address': hostname,
      'server.port': port === '' ? undefined : Number(port),
    };
    return this.#traces!.start(operation.name, { kind: 'client', parent, attributes });
  }
}

/** The same reply; the span ends with its body, however that ends. */
function endingWithBody({ status, ok, headers }: Reply, body: ReplyBody, span: TraceSpan): Reply {
  const cancelling = (given: Pick<ReplyBody, 'cancel'>) => async () => {
    span.end();
    await given.cancel();
  };
  const getReader = () => {
    const reader = body.getReader();
    const read = async () => {
      try {
        const step = await reader.read();
        if (step.done) span.end();
        return step;
      } catch (error) {
        span.end('stream_broken');
        throw error;
      }
    };
    return { read, cancel: cancelling(reader) };
  };
  return { status, ok, headers, body: { getReader, cancel: cancelling(body) } };
}
