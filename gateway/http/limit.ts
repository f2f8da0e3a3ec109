/** Limits of API keys in front of every route that costs something; behind `requireKey`. */
import type { KeyLimiter } from '../limits/key-limiter.ts';
import { addHeaders } from './add-headers.ts';
import type { GatewayMiddleware } from './context.ts';

/** Lets requests in within their key's limits, and shows the limits on every answer, refusals included. */
export function limitKeys(limiter: KeyLimiter): [GatewayMiddleware, GatewayMiddleware] {
  const show: GatewayMiddleware = async (c, next) => {
    await next();
    addHeaders(c, Object.entries(limiter.headers(c.get('apiKey'))));
  };
  const enter: GatewayMiddleware = async (c, next) => {
    const { leave, ...admission } = limiter.enter(c.get('apiKey'));
    c.set('admission', admission);
    try {
      await next();
    } finally {
      leave();
    }
  };
  return [show, enter];
}
