/** Trace context that a client hands over and that every hop passes on (W3C Trace Context §3.2), and how servers record spans. Pure. */

/** The part of a `traceparent` header that matters. */
export interface TraceContext {
  /** 16 bytes of hex, not all 0. */
  readonly traceId: string;
  /** 8 bytes of hex, not all 0. */
  readonly spanId: string;
  readonly sampled: boolean;
}

export const TRACEPARENT = 'traceparent';

/**
 * The context of a header; null where it is absent or malformed, by which the trace begins anew. Of versions above 00 the known part is read (§3.2.4).
 */
export function parseTraceparent(header: string | undefined | null): TraceContext | null {
  if (header === undefined || header === null || header.length > 256) return null;
  const match = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/.exec(header);
  if (match === null) return null;
  const [, version, traceId, spanId, flags, rest] = match;
  if (version === 'ff' || (version === '00' && rest !== undefined)) return null;
  if (/^0+$/.test(traceId!) || /^0+$/.test(spanId!)) return null;
  return { traceId: traceId!, spanId: spanId!, sampled: (Number.parseInt(flags!, 16) & 1) === 1 };
}

export function traceparentOf({ traceId, spanId, sampled }: TraceContext): string {
  return `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`;
}

/** Attributes of a span: ids, names of the configuration, numbers; never content. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;

/** One span that is open. */
export interface TraceSpan {
  readonly context: TraceContext;
  set(attributes: SpanAttributes): void;
  /** Ends it, once; later calls do nothing. @param errorType a code, where it failed */
  end(errorType?: string): void;
}

/** Records spans somewhere; servers without one pass trace contexts on as they came. */
export interface Traces {
  start(
    name: string,
    options: {
      readonly kind: 'server' | 'client';
      readonly parent: TraceContext | null;
      readonly attributes: SpanAttributes;
    },
  ): TraceSpan;
  /** Sends what is recorded and ends. */
  close(): Promise<void>;
}

/** Opens where spans go. @param endpoint base URL of an OTLP/HTTP receiver */
export type OpenTraces = (endpoint: string, serviceName: string) => Traces;
