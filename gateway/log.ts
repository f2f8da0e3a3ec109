/** Structured log: one JSON line an event, with fields from an allow-list only (DESIGN §13: never content or keys). */
import { type DestinationStream, pino } from 'pino';
import type { Clock } from '#protocol/env';

/** Everything that may be logged; a field that is not named here does not leave the process. */
export const LOG_FIELDS = [
  'requestId',
  'correlationId',
  'traceId',
  'attempt',
  'jobId',
  'disputeId',
  'keyId',
  'provider',
  'operator',
  'model',
  'method',
  'route',
  'status',
  'code',
  'errorName',
  'causeName',
  'mode',
  'verdict',
  'fault',
  'ruling',
  'finish',
  'stream',
  'seats',
  'round',
  'wave',
  'position',
  'promptTokens',
  'outputTokens',
  'durationMs',
  'firstTokenMs',
  'logIndex',
  'epoch',
  'amountNano',
  'count',
  'port',
  'url',
  'version',
  'signal',
  'reason',
  'intent',
  'txHash',
  'block',
] as const;

export type LogField = (typeof LOG_FIELDS)[number];
export type LogFields = Readonly<Partial<Record<LogField, string | number | bigint | boolean | null | undefined>>>;
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Longest logged string: identifiers, hashes and URLs fit, texts do not. */
const VALUE_LENGTH_MAX = 256;

/** A log; `event` is a fixed snake_case name, never composed from input. */
export interface Log {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

/**
 * A log of JSON lines.
 * @param options.destination where lines go; standard output when absent.
 */
export function createLog(options: { clock: Clock; level: LogLevel; destination?: DestinationStream }): Log {
  const { clock, level, destination } = options;
  const settings = {
    level,
    base: null,
    timestamp: () => `,"timeMs":${clock.nowMs()}`,
    formatters: { level: (label: string) => ({ level: label }) },
    messageKey: 'event',
  };
  const sink = destination === undefined ? pino(settings) : pino(settings, destination);
  return {
    debug: (event, fields) => sink.debug(allowed(fields), event),
    info: (event, fields) => sink.info(allowed(fields), event),
    warn: (event, fields) => sink.warn(allowed(fields), event),
    error: (event, fields) => sink.error(allowed(fields), event),
  };
}

/** Names of an error and its cause: their messages may quote input, so they are not logged. */
export function errorFields(thrown: unknown): LogFields {
  if (!(thrown instanceof Error)) return { errorName: typeof thrown };
  const { cause } = thrown;
  return { errorName: thrown.name, causeName: cause instanceof Error ? cause.name : undefined };
}

function allowed(fields: LogFields = {}): Record<string, string | number | boolean | null> {
  const out: Record<string, string | number | boolean | null> = {};
  // Types vanish at run time; the list is what keeps a careless spread of a larger object out of the log.
  for (const field of LOG_FIELDS) {
    const value: unknown = fields[field];
    if (typeof value === 'string') out[field] = value.slice(0, VALUE_LENGTH_MAX);
    else if (typeof value === 'bigint') out[field] = value.toString();
    else if (typeof value === 'number' || typeof value === 'boolean' || value === null) out[field] = value;
  }
  return out;
}
