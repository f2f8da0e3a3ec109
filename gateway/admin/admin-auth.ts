/** Who may operate the gateway: one key of its own, which opens no client route, as no client key opens these. */
import { timingSafeEqual } from 'node:crypto';
import type { Clock } from '#protocol/env';
import { ProtocolError } from '#protocol/errors';
import { sha256, utf8 } from '#protocol/hash';
import type { GatewayMiddleware } from '../http/context.ts';
import type { Log } from '../log.ts';

/** Longest accepted key in characters. */
const KEY_LENGTH_MAX = 512;
/** Failures are logged at most this often: a flood of guesses must not fill the disk. */
const LOG_EVERY_MS = 60_000;

/**
 * Admits calls with the operator's key. Keys are compared by their hashes in constant time, so that neither length nor a common
 * start shows. Failures are logged at once, then once a minute with their number.
 */
export function requireAdmin(adminKey: string, deps: { readonly clock: Clock; readonly log: Log }): GatewayMiddleware {
  const wanted = sha256(utf8(adminKey));
  const isWanted = (key: string) => key.length <= KEY_LENGTH_MAX && timingSafeEqual(sha256(utf8(key)), wanted);
  let loggedAtMs = Number.NEGATIVE_INFINITY;
  let failures = 0;
  return async (c, next) => {
    const token = /^bearer +(\S+)$/i.exec((c.req.header('authorization') ?? '').trim())?.[1];
    if (token === undefined || !isWanted(token)) {
      failures++;
      const nowMs = deps.clock.nowMs();
      if (nowMs - loggedAtMs >= LOG_EVERY_MS) {
        deps.log.warn('admin_key_refused', { requestId: c.get('requestId'), count: failures });
        loggedAtMs = nowMs;
        failures = 0;
      }
      throw new ProtocolError('invalid_api_key', 'Incorrect admin key provided.');
    }
    c.get('observation').keyId = 'admin';
    await next();
  };
}
