/** Bearer authentication of one route. */
import { authenticate, type KeyLookup } from '../keys.ts';
import type { GatewayMiddleware } from './context.ts';

/** Admits requests with a known API key. @throws {ProtocolError} `invalid_api_key` */
export function requireKey(keys: KeyLookup): GatewayMiddleware {
  return async (c, next) => {
    const apiKey = await authenticate(c.req.header('authorization'), keys);
    c.set('apiKey', apiKey);
    c.get('observation').keyId = apiKey.keyId;
    await next();
  };
}
