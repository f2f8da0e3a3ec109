/** Spans to an OTLP/HTTP receiver through OpenTelemetry's SDK; loaded only where an endpoint is configured. */
import { type Context, ROOT_CONTEXT, SpanKind, SpanStatusCode, TraceFlags, trace } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BasicTracerProvider, BatchSpanProcessor, type SpanProcessor } from '@opentelemetry/sdk-trace-base';
import type { OpenTraces, TraceContext, Traces } from '#protocol/trace-context';

/** Longest that a stop waits for the receiver. */
const EXPORT_MS = 5_000;

/** Sends spans in batches to `<endpoint>/v1/traces`. */
export const openOtlpTraces: OpenTraces = (endpoint, serviceName) => {
  const exporter = new OTLPTraceExporter({ url: `${endpoint}/v1/traces`, timeoutMillis: EXPORT_MS });
  return tracesOver(new BatchSpanProcessor(exporter), serviceName);
};

/** Spans into any processor; what a client has decided not to sample is not recorded. */
export function tracesOver(processor: SpanProcessor, serviceName: string): Traces {
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ 'service.name': serviceName }),
    spanProcessors: [processor],
  });
  const tracer = provider.getTracer('assay');
  return {
    start(name, { kind, parent, attributes }) {
      const span = tracer.startSpan(
        name,
        { kind: kind === 'server' ? SpanKind.SERVER : SpanKind.CLIENT, attributes: plain(attributes) },
        parent === null ? ROOT_CONTEXT : contextOf(parent),
      );
      const { traceId, spanId, traceFlags } = span.spanContext();
      let ended = false;
      return {
        context: { traceId, spanId, sampled: (traceFlags & TraceFlags.SAMPLED) !== 0 },
        set: (more) => void span.setAttributes(plain(more)),
        end(errorType) {
          if (ended) return;
          ended = true;
          if (errorType !== undefined) {
            span.setAttribute('error.type', errorType);
            span.setStatus({ code: SpanStatusCode.ERROR });
          }
          span.end();
        },
      };
    },
    close: () => provider.shutdown().catch(() => undefined),
  };
}

function contextOf({ traceId, spanId, sampled }: TraceContext): Context {
  const traceFlags = sampled ? TraceFlags.SAMPLED : TraceFlags.NONE;
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags, isRemote: true });
}

type Plain = Record<string, string | number | boolean | string[]>;

function plain(attributes: Parameters<ReturnType<Traces['start']>['set']>[0]): Plain {
  const out: Plain = {};
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) out[name] = typeof value === 'object' ? [...value] : value;
  }
  return out;
}
