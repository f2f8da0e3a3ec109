/** Prometheus metrics; every label has a closed or configured set of values. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';

/** Seconds; 10 ms doubled 13 times to 81.92 s, the buckets of OpenTelemetry's `gen_ai` durations. */
const DURATION_BUCKETS_S = Array.from({ length: 14 }, (_, power) => 0.01 * 2 ** power);

/** Tokens; those of `gen_ai.client.token.usage`: powers of four to 4^13. */
const TOKEN_BUCKETS = Array.from({ length: 14 }, (_, power) => 4 ** power);
/** Seconds; those of `gen_ai.server.time_per_output_token`, with two below for small models. */
const PER_TOKEN_BUCKETS_S = [0.001, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5];
/** What stands for OpenTelemetry's attribute names, whose dots Prometheus does not take. */
const GEN_AI = {
  operation: 'gen_ai_operation_name',
  model: 'gen_ai_request_model',
  error: 'error_type',
  type: 'gen_ai_token_type',
};

/** OpenTelemetry's names of what a model is asked for. */
export type GenAiOperation = 'chat' | 'text_completion';

/** One request to a model, as OpenTelemetry's GenAI conventions measure it. */
export interface GenAiSample {
  readonly operation: GenAiOperation;
  readonly model: string;
  readonly durationMs: number;
  /** Code of the error that ended it; empty where it was answered. */
  readonly errorType: string;
  readonly firstTokenMs: number | null;
  readonly promptTokens: number;
  readonly outputTokens: number | null;
}

/** One answered HTTP request. */
export interface RequestSample {
  /** The route's pattern, never the path of the client. */
  readonly route: string;
  readonly status: number;
  /** Verification mode and verdict, empty where there is none. */
  readonly mode: string;
  readonly verdict: string;
  readonly durationMs: number;
}

export interface Metrics {
  request(sample: RequestSample): void;
  /** Time from the request's arrival to the first byte of text, streams only. */
  firstToken(model: string, durationMs: number): void;
  tokens(model: string, input: number, output: number): void;
  genAi(sample: GenAiSample): void;
  /** A provider's breaker changed: `closed`, `open` or `half_open`. */
  breaker(provider: string, state: 'closed' | 'open' | 'half_open'): void;
  /** One move of a dispute, such as `opened` or `upheld`. */
  dispute(fault: string, state: string): void;
  readonly contentType: string;
  /** The text exposition of all metrics in the registry. */
  render(): Promise<string>;
}

/** Metrics in their own registry, so that two gateways in one process do not share counters. */
export function createMetrics(registry: Registry = new Registry()): Metrics {
  const registers = [registry];
  const requests = new Counter({
    name: 'assay_requests_total',
    help: 'HTTP requests by route, status, verification mode and verdict.',
    labelNames: ['route', 'status', 'mode', 'verdict'],
    registers,
  });
  const durations = new Histogram({
    name: 'assay_request_duration_seconds',
    help: 'Time from arrival to the last byte.',
    labelNames: ['route', 'mode'],
    buckets: DURATION_BUCKETS_S,
    registers,
  });
  const firstTokens = new Histogram({
    name: 'assay_time_to_first_token_seconds',
    help: 'Time from arrival to the first text of a stream.',
    labelNames: ['model'],
    buckets: DURATION_BUCKETS_S,
    registers,
  });
  const tokenCounts = new Counter({
    name: 'assay_tokens_total',
    help: 'Tokens of answered requests, by direction.',
    labelNames: ['model', 'direction'],
    registers,
  });
  const disputes = new Counter({
    name: 'assay_disputes_total',
    help: 'Moves of disputes by fault and state.',
    labelNames: ['fault', 'state'],
    registers,
  });
  const breakers = new Gauge({
    name: 'assay_provider_breaker',
    help: 'Breaker of a provider: 0 closed, 1 half open, 2 open.',
    labelNames: ['provider'],
    registers,
  });
  const breakerOpenings = new Counter({
    name: 'assay_provider_breaker_openings_total',
    help: 'How often the breaker of a provider has opened.',
    labelNames: ['provider'],
    registers,
  });
  const genAi = genAiMetrics(registers);
  return {
    genAi,
    breaker(provider, state) {
      breakers.set({ provider }, { closed: 0, half_open: 1, open: 2 }[state]);
      if (state === 'open') breakerOpenings.inc({ provider });
    },
    request({ route, status, mode, verdict, durationMs }) {
      requests.inc({ route, status: String(status), mode, verdict });
      durations.observe({ route, mode }, durationMs / 1000);
    },
    firstToken: (model, durationMs) => firstTokens.observe({ model }, durationMs / 1000),
    tokens(model, input, output) {
      tokenCounts.inc({ model, direction: 'input' }, input);
      tokenCounts.inc({ model, direction: 'output' }, output);
    },
    dispute: (fault, state) => disputes.inc({ fault, state }),
    contentType: registry.contentType,
    render: () => registry.metrics(),
  };
}

/** Metrics of OpenTelemetry's GenAI conventions, dots as underscores and units at the end, as its Prometheus exporter writes them. */
function genAiMetrics(registers: Registry[]): Metrics['genAi'] {
  const labels = [GEN_AI.operation, GEN_AI.model];
  const durations = new Histogram({
    name: 'gen_ai_server_request_duration_seconds',
    help: 'Requests from arrival to the last byte.',
    labelNames: [...labels, GEN_AI.error],
    buckets: DURATION_BUCKETS_S,
    registers,
  });
  const firstTokens = new Histogram({
    name: 'gen_ai_server_time_to_first_token_seconds',
    help: 'Time from arrival to the first text, streams only.',
    labelNames: labels,
    buckets: DURATION_BUCKETS_S,
    registers,
  });
  const perToken = new Histogram({
    name: 'gen_ai_server_time_per_output_token_seconds',
    help: 'Mean time for an output token after the first, streams only.',
    labelNames: labels,
    buckets: PER_TOKEN_BUCKETS_S,
    registers,
  });
  const usage = new Histogram({
    name: 'gen_ai_client_token_usage',
    help: 'Tokens of answered requests, by type.',
    labelNames: [...labels, GEN_AI.type],
    buckets: TOKEN_BUCKETS,
    registers,
  });
  return ({ operation, model, durationMs, errorType, firstTokenMs, promptTokens, outputTokens }) => {
    const base = { [GEN_AI.operation]: operation, [GEN_AI.model]: model };
    durations.observe({ ...base, [GEN_AI.error]: errorType }, durationMs / 1000);
    if (outputTokens === null) return;
    usage.observe({ ...base, [GEN_AI.type]: 'input' }, promptTokens);
    usage.observe({ ...base, [GEN_AI.type]: 'output' }, outputTokens);
    if (firstTokenMs === null) return;
    firstTokens.observe(base, firstTokenMs / 1000);
    if (outputTokens > 1) perToken.observe(base, (durationMs - firstTokenMs) / 1000 / (outputTokens - 1));
  };
}
