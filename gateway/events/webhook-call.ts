/** One call to a webhook: resolved and checked before it is connected to, no redirect followed, no reply read (OWASP SSRF prevention). */
import { lookup as resolve } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { Agent } from 'undici';
import { createProviderFetch } from '../provider-fetch.ts';
import { isLoopbackHost, isPrivateAddress, webhookUrl } from './webhook-url.ts';

/** @returns the reply's HTTP status @throws {Error} where there was none */
export type WebhookCall = (
  url: string,
  call: { readonly headers: Readonly<Record<string, string>>; readonly body: string; readonly signal: AbortSignal },
) => Promise<number>;

/** Connections to all receivers together. */
const CONNECTIONS_MAX = 64;

export interface WebhookCaller {
  readonly call: WebhookCall;
  close(): Promise<void>;
}

/**
 * @param isPrivateAllowed by the operator
 * @param resolver of names; another one in tests
 */
export function createWebhookCaller(isPrivateAllowed: boolean, resolver: typeof resolve = resolve): WebhookCaller {
  const agent = new Agent({
    connections: CONNECTIONS_MAX,
    connect: isPrivateAllowed ? { lookup: resolver as LookupFunction } : { lookup: publicOnly(resolver) },
  });
  const fetch = createProviderFetch(agent);
  return {
    close: () => agent.close(),
    async call(url, { headers, body, signal }) {
      // Again: what was allowed when it was set may not be any more.
      const allowed = webhookUrl(url, isPrivateAllowed);
      if ('problem' in allowed) throw new Error('the address is not allowed');
      const response = await fetch(allowed.value, { method: 'POST', headers, body, signal });
      await response.body?.cancel();
      return response.status;
    },
  };
}

/**
 * A name that leads to a private address, among others even, is not called. The very addresses that were checked are connected to: a
 * name that means something else a moment later (DNS rebinding) changes nothing.
 */
function publicOnly(resolver: typeof resolve): LookupFunction {
  return (hostname, options, callback) => {
    const family = options.family === 4 || options.family === 6 ? options.family : 0;
    resolver(hostname, { all: true, family }, (error, addresses) => {
      if (error) return callback(error, '', 0);
      const isRefused =
        addresses.length === 0 ||
        (!isLoopbackHost(hostname) && addresses.some(({ address }) => isPrivateAddress(address)));
      if (isRefused) return callback(new Error('the name leads to no public address'), '', 0);
      if (options.all) return callback(null, addresses);
      const [first] = addresses;
      callback(null, first!.address, first!.family);
    });
  };
}
