/** Headers that middleware adds to a response that is made. */
import type { GatewayContext } from './context.ts';

/**
 * Sets headers of the response, whatever made it.
 * RATIONALE: hono's `c.header` makes a new response for every header once there is one, and with the first of them its text becomes a
 * stream: ten of each, and a twentieth of the time of an answer.
 */
export function addHeaders(c: GatewayContext, headers: Iterable<readonly [name: string, value: string]>): void {
  const { headers: own } = c.res;
  for (const [name, value] of headers) own.set(name, value);
}
