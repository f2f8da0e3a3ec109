/** The gateway's HTTP application: wiring only. */
import { Hono } from 'hono';
import { cors } from 'hono/cors';
import type { Clock, Rng } from '#protocol/env';
import { addHeaders } from './http/add-headers.ts';
import { requireKey } from './http/auth.ts';
import type { GatewayApp, GatewayEnv, GatewayMiddleware } from './http/context.ts';
import { renderFailure, renderUnmatched } from './http/failures.ts';
import { limitKeys } from './http/limit.ts';
import { observe } from './http/observe.ts';
import type { KeyLookup } from './keys.ts';
import { KEY_RATES_DEFAULT, KeyLimiter, type KeyRates } from './limits/key-limiter.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { AnswerPipeline } from './openai/answer.ts';
import type { ChatRules } from './openai/chat-request.ts';
import { chatCompletions, textCompletions } from './openai/chat-route.ts';
import { KEEP_ALIVE_MS } from './openai/chat-stream.ts';
import type { IdempotencyDesk } from './openai/idempotency.ts';
import { listModels, retrieveModel } from './openai/models-route.ts';
import { getQuote, postQuote, type QuoteDeps } from './openai/quote-route.ts';
import type { RequestTraces } from './trace/request-traces.ts';

export interface AppDeps extends ChatRules {
  readonly pipeline: AnswerPipeline;
  readonly keys: KeyLookup;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly traces?: RequestTraces;
  /** Longest silence of a stream in milliseconds; 25 s when absent. */
  readonly keepAliveMs?: number;
  readonly idempotency: IdempotencyDesk;
  /** Prices requests; without it there is no `/v1/quote`. */
  readonly quote?: QuoteDeps['quote'];
  /** Limits of keys that have none of their own. */
  readonly keyRates?: KeyRates;
  /** Mounts further routes; `auth` goes in front of those that need an API key. */
  readonly routes?: (app: GatewayApp, auth: GatewayMiddleware) => void;
}

/** Headers that scripts in a browser may read; a preflight's own list of request headers is reflected. */
const EXPOSED_HEADERS: readonly string[] = [
  'x-request-id',
  'openai-processing-ms',
  'openai-version',
  'retry-after',
  'retry-after-ms',
  'x-should-retry',
  'x-ratelimit-limit-requests',
  'x-ratelimit-remaining-requests',
  'x-ratelimit-reset-requests',
  'x-ratelimit-limit-tokens',
  'x-ratelimit-remaining-tokens',
  'x-ratelimit-reset-tokens',
  'idempotent-replayed',
  'assay-id',
  'assay-policy',
  'assay-verdict',
  'assay-attestation',
  'assay-security',
];
/** A day, the longest that a browser honours (Firefox; Chromium two hours). */
const PREFLIGHT_SECONDS = 86_400;

/** Scripts of any site may ask, since nothing here goes by cookies. hono's own answers preflights alone: it rebuilds other responses. */
function openToBrowsers(): GatewayMiddleware {
  const preflight = cors({ origin: '*', allowHeaders: [], maxAge: PREFLIGHT_SECONDS });
  const headers = [
    ['access-control-allow-origin', '*'],
    ['access-control-expose-headers', EXPOSED_HEADERS.join(',')],
  ] as const;
  return async (c, next) => {
    if (c.req.method === 'OPTIONS') return preflight(c, next);
    await next();
    addHeaders(c, headers);
  };
}

export function createApp(deps: AppDeps): GatewayApp {
  const app: GatewayApp = new Hono<GatewayEnv>();
  const auth = requireKey(deps.keys);
  app.use(observe(deps));
  app.use(openToBrowsers());
  app.onError(renderFailure(deps.log));
  app.notFound(renderUnmatched(app));

  const chat = {
    ...deps,
    keepAliveMs: deps.keepAliveMs ?? KEEP_ALIVE_MS,
    // Read for each request: operators change it while the gateway runs.
    get policyDefault() {
      return deps.policyDefault;
    },
  };
  const limits = limitKeys(new KeyLimiter(deps.clock, deps.keyRates ?? KEY_RATES_DEFAULT));
  app.post('/v1/chat/completions', auth, ...limits, chatCompletions(chat));
  app.post('/v1/completions', auth, ...limits, textCompletions(chat));
  if (deps.quote) {
    const quotes = Object.assign(chat, { quote: deps.quote });
    app.get('/v1/quote', auth, ...limits, getQuote(quotes));
    app.post('/v1/quote', auth, ...limits, postQuote(quotes));
  }
  app.get('/v1/models', auth, listModels(deps.models));
  app.get('/v1/models/:id{.+}', auth, retrieveModel(deps.models));
  app.get('/metrics', async (c) =>
    c.body(await deps.metrics.render(), 200, { 'content-type': deps.metrics.contentType }),
  );
  deps.routes?.(app, auth);
  return app;
}
