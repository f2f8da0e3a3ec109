/** One job's place in the trace of the request that it is for (W3C Trace Context; OpenTelemetry GenAI names). */
import type { ErrorCode } from '#protocol/errors';
import { parseTraceparent, type SpanAttributes, type Traces } from '#protocol/trace-context';

/** What a job tells of itself; all of it does nothing where nobody traces. */
export interface JobTrace {
  /** For the log; absent where there is none. */
  readonly traceId?: string;
  set(attributes: SpanAttributes): void;
  end(errorType?: string): void;
}

const NO_TRACE: JobTrace = { set() {}, end() {} };

/** Joins the trace of the gateway's header, or begins one where spans are recorded and the header names none. */
export function joinTrace(
  traces: Traces | undefined,
  header: string | undefined,
  job: { readonly operation: 'chat' | 'score'; readonly model: string; readonly jobId: string },
): JobTrace {
  if (traces === undefined && header === undefined) return NO_TRACE;
  const parent = parseTraceparent(header);
  if (traces === undefined) return parent === null ? NO_TRACE : { ...NO_TRACE, traceId: parent.traceId };
  const span = traces.start(`${job.operation} ${job.model}`, {
    kind: 'server',
    parent,
    attributes: {
      'gen_ai.operation.name': job.operation,
      'gen_ai.provider.name': 'assay',
      'gen_ai.request.model': job.model,
      'assay.job.id': job.jobId,
    },
  });
  return { traceId: span.context.traceId, set: span.set, end: span.end };
}

/** What a span says of a job's end: nothing where it went as ordered. */
export function errorOf(end: string): ErrorCode | string | undefined {
  return end === 'stop' || end === 'stop_string' || end === 'length' || end === 'cancelled' ? undefined : end;
}
