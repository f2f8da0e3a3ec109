/** What happens to requests that end badly: thrown errors, unknown routes, wrong methods. */
import type { ErrorHandler, NotFoundHandler } from 'hono';
import { ProtocolError } from '#protocol/errors';
import { errorEnvelope, errorResponse } from '../errors.ts';
import { errorFields, type Log } from '../log.ts';
import type { GatewayApp, GatewayEnv } from './context.ts';

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;

/** Renders anything thrown by a handler; logs what the client is not told. */
export function renderFailure(log: Log): ErrorHandler<GatewayEnv> {
  return (thrown, c) => {
    const envelope = errorEnvelope(thrown);
    c.get('observation').code = envelope.code;
    if (envelope.status >= 500) {
      log.error('request_failed', { requestId: c.get('requestId'), code: envelope.code, ...errorFields(thrown) });
    }
    return errorResponse(envelope);
  };
}

/** 404 for unknown routes and 405 with `allow` for known ones, in OpenAI's shape. */
export function renderUnmatched(app: GatewayApp): NotFoundHandler<GatewayEnv> {
  return (c) => {
    const allowed = METHODS.filter((method) =>
      app.router.match(method, c.req.path)[0].some(([[, route]]) => route.method === method),
    );
    const code = allowed.length === 0 ? 'not_found' : 'method_not_allowed';
    const message =
      allowed.length === 0
        ? 'Unknown request URL. Please check the URL for typos.'
        : `Not allowed to ${METHODS.find((method) => method === c.req.method) ?? 'use this method'} on this URL. Allowed: ${allowed.join(', ')}.`;
    c.get('observation').code = code;
    const response = errorResponse(errorEnvelope(new ProtocolError(code, message)));
    if (allowed.length > 0) response.headers.set('allow', allowed.join(', '));
    return response;
  };
}
