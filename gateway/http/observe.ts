/** Request identity, timing headers, access log and request metrics: the outermost middleware. */
import { matchedRoutes } from 'hono/route';
import type { Clock, Rng } from '#protocol/env';
import { TRACEPARENT } from '#protocol/trace-context';
import type { Log } from '../log.ts';
import type { GenAiOperation, Metrics } from '../metrics.ts';
import type { RequestTraces } from '../trace/request-traces.ts';
import { addHeaders } from './add-headers.ts';
import type { GatewayContext, GatewayMiddleware, Observation } from './context.ts';

/** The version that OpenAI's API has reported since it exists; clients only echo it. */
const OPENAI_VERSION = '2020-10-01';
/** Ids of clients and proxies that are safe in headers and logs. */
const CORRELATION_ID = /^[A-Za-z0-9._:-]{1,128}$/;
const REQUEST_ID_BYTES = 16;

export interface ObserveDeps {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Follows requests from the client to providers; absent: contexts are not even read. */
  readonly traces?: RequestTraces;
}

/** Requests that make providers work. */
const TRACED = /^\/v1\/(chat\/)?completions$/;

/** Methods that are logged by their name; a client may make up others. */
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

function methodOf(c: GatewayContext): string {
  return METHODS.find((method) => method === c.req.method) ?? 'OTHER';
}

/**
 * Gives the request its id, echoes the client's `x-request-id` where it is sane, and records the request when its
 * last byte is out.
 */
export function observe(deps: ObserveDeps): GatewayMiddleware {
  return async (c, next) => {
    const arrivedMs = deps.clock.nowMs();
    const requestId = `req_${Buffer.from(deps.rng.bytes(REQUEST_ID_BYTES)).toString('hex')}`;
    // Two requests of a client may carry the same id, so it is for correlation only and keys nothing.
    const asked = c.req.header('x-request-id');
    const correlationId = asked !== undefined && CORRELATION_ID.test(asked) ? asked : requestId;
    const observation: Observation = {};
    let recorded = false;
    const isTraced = deps.traces !== undefined && c.req.method === 'POST' && TRACED.test(c.req.path);
    const traceId = isTraced ? deps.traces!.begin(requestId, operationOf(c), c.req.header(TRACEPARENT)) : null;
    c.set('requestId', requestId);
    c.set('arrivedMs', arrivedMs);
    c.set('observation', observation);
    c.set('ended', () => {
      if (recorded) return;
      recorded = true;
      record(deps, c, { requestId, correlationId, traceId, durationMs: deps.clock.nowMs() - arrivedMs });
      if (traceId !== null) deps.traces!.end(requestId, observation, c.res.status);
    });
    await next();
    addHeaders(c, [
      ['x-request-id', correlationId],
      ['openai-version', OPENAI_VERSION],
      ['openai-processing-ms', String(Math.max(0, Math.round(deps.clock.nowMs() - arrivedMs)))],
    ]);
    if (observation.deferred !== true) c.get('ended')();
  };
}

function record(
  { log, metrics }: ObserveDeps,
  c: GatewayContext,
  known: { requestId: string; correlationId: string; traceId: string | null; durationMs: number },
): void {
  const seen = c.get('observation');
  const { status } = c.res;
  const route = routeOf(c);
  const mode = seen.mode ?? '';
  metrics.request({ route, status, mode, verdict: seen.verdict ?? '', durationMs: known.durationMs });
  if (seen.model !== undefined) {
    metrics.genAi({
      operation: operationOf(c),
      model: seen.model,
      durationMs: known.durationMs,
      errorType: seen.code ?? '',
      firstTokenMs: seen.firstTokenMs ?? null,
      promptTokens: seen.promptTokens ?? 0,
      outputTokens: seen.outputTokens ?? null,
    });
    if (seen.outputTokens !== undefined) metrics.tokens(seen.model, seen.promptTokens ?? 0, seen.outputTokens);
    if (seen.firstTokenMs !== undefined) metrics.firstToken(seen.model, seen.firstTokenMs);
  }
  const { deferred: _, ...fields } = seen;
  const { traceId, ...ids } = known;
  const event = { ...ids, ...(traceId === null ? {} : { traceId }), ...fields, method: methodOf(c), route, status };
  if (status >= 500) log.warn('request', event);
  else log.info('request', event);
}

function operationOf(c: GatewayContext): GenAiOperation {
  return c.req.path === '/v1/completions' ? 'text_completion' : 'chat';
}

/** Pattern of the matched route; paths of clients would give metrics unbounded labels. */
function routeOf(c: GatewayContext): string {
  const route = matchedRoutes(c).findLast(({ method }) => method !== 'ALL');
  return route?.path ?? 'unmatched';
}
