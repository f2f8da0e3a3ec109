/** Prometheus metrics of one provider; every label has a closed set of values. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';

/** Seconds; the buckets of OpenTelemetry's `gen_ai.server.request.duration` and `time_to_first_token`: 10 ms doubled to 81.92 s. */
const DURATION_BUCKETS_S = Array.from({ length: 14 }, (_, power) => 0.01 * 2 ** power);
/** Seconds; those of `gen_ai.server.time_per_output_token`, with two below for small models. */
const PER_TOKEN_BUCKETS_S = [0.001, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5];

export type JobKind = 'generate' | 'score';

/** What the gauges read when they are scraped. */
export interface Load {
  readonly running: number;
  readonly waiting: number;
  /** Jobs in memory, those waiting for a permission included. */
  readonly open: number;
}

export interface Metrics {
  accepted(kind: JobKind): void;
  /** One ended job: a finish kind, an error code or `detached`. */
  ended(kind: JobKind, end: string): void;
  refused(code: string): void;
  outputTokens(count: number): void;
  /** A job from its acceptance to its end. */
  duration(job: { readonly operation: 'chat' | 'score'; readonly model: string; readonly durationMs: number }): void;
  /** The engine's own times for one answer; `perTokenMs` is null where there is one token. */
  pace(answer: { readonly model: string; readonly firstTokenMs: number; readonly perTokenMs: number | null }): void;
  readonly contentType: string;
  /** The text exposition of all metrics in the registry. */
  render(): Promise<string>;
}

/** Metrics in their own registry, so that many providers in one process do not share counters. */
export function createMetrics(load: () => Load): Metrics {
  const registers = [new Registry()];
  const jobs = new Counter({
    name: 'assay_provider_jobs_total',
    help: 'Accepted jobs by kind.',
    labelNames: ['kind'],
    registers,
  });
  const ends = new Counter({
    name: 'assay_provider_job_ends_total',
    help: 'Ended jobs by kind and how they ended.',
    labelNames: ['kind', 'end'],
    registers,
  });
  const refusals = new Counter({
    name: 'assay_provider_refusals_total',
    help: 'Refused calls by code.',
    labelNames: ['code'],
    registers,
  });
  const tokens = new Counter({
    name: 'assay_provider_output_tokens_total',
    help: 'Generated and scored tokens.',
    registers,
  });
  const names = { operation: 'gen_ai_operation_name', model: 'gen_ai_request_model' } as const;
  const durations = new Histogram({
    name: 'gen_ai_server_request_duration_seconds',
    help: 'Jobs from acceptance to end, waiting for permissions included.',
    labelNames: [names.operation, names.model],
    buckets: DURATION_BUCKETS_S,
    registers,
  });
  const firstTokens = new Histogram({
    name: 'gen_ai_server_time_to_first_token_seconds',
    help: 'Time from the engine slot to the first token.',
    labelNames: [names.model],
    buckets: DURATION_BUCKETS_S,
    registers,
  });
  const perToken = new Histogram({
    name: 'gen_ai_server_time_per_output_token_seconds',
    help: 'Mean time between output tokens of an answer.',
    labelNames: [names.model],
    buckets: PER_TOKEN_BUCKETS_S,
    registers,
  });
  for (const field of ['running', 'waiting', 'open'] as const) {
    new Gauge({
      name: `assay_provider_jobs_${field}`,
      help: `Jobs that are ${field} now.`,
      registers,
      collect() {
        this.set(load()[field]);
      },
    });
  }
  const registry = registers[0]!;
  return {
    accepted: (kind) => jobs.inc({ kind }),
    ended: (kind, end) => ends.inc({ kind, end }),
    refused: (code) => refusals.inc({ code }),
    outputTokens: (count) => tokens.inc(count),
    duration: ({ operation, model, durationMs }) =>
      durations.observe({ [names.operation]: operation, [names.model]: model }, durationMs / 1000),
    pace({ model, firstTokenMs, perTokenMs }) {
      firstTokens.observe({ [names.model]: model }, firstTokenMs / 1000);
      if (perTokenMs !== null) perToken.observe({ [names.model]: model }, perTokenMs / 1000);
    },
    contentType: registry.contentType,
    render: () => registry.metrics(),
  };
}
