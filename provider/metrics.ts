/** Prometheus metrics of one provider; every label has a closed set of values. */
import { Counter, Gauge, Registry } from 'prom-client';

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
    contentType: registry.contentType,
    render: () => registry.metrics(),
  };
}
