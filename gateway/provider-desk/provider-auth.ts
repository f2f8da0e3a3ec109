/** Admits calls that a provider has signed for this gateway, now, and once (SPEC.md §6.9). */

import type { Domain } from '#protocol/eip712';
import type { Clock } from '#protocol/env';
import { ProtocolError } from '#protocol/errors';
import type { Address } from '#protocol/hash';
import { CALL_SKEW_MS, openCall } from '#protocol/provider-call';
import type { Recover } from '#protocol/signer';
import { readBody } from '../http/body.ts';
import type { GatewayMiddleware } from '../http/context.ts';

/** An answer with evidence of 256 positions, about 2 kB each as JSON, fits. */
const BODY_BYTES_MAX = 1024 * 1024;
/** Nonces of one provider within the time that a call is good for: 60 s at more than 16 calls a second is no status page. */
const NONCES_MAX = 1000;

export interface ProviderAuthDeps {
  readonly domain: Domain;
  readonly recover: Recover;
  readonly clock: Clock;
  readonly isOwn: (gateway: Address) => boolean;
  /** Whether somebody is a provider of this gateway, admitted or not any more. */
  readonly isProvider: (address: Address) => Promise<boolean>;
}

/**
 * @param options.open lets any signer in: its calls change nothing when they come again, so that no nonce is kept for strangers
 */
export function requireProvider(deps: ProviderAuthDeps, options: { readonly open?: boolean } = {}): GatewayMiddleware {
  const seen = new Map<Address, Map<string, number>>();
  return async (c, next) => {
    const body = await readBody(c.req.raw, BODY_BYTES_MAX);
    const url = new URL(c.req.url);
    const nowMs = deps.clock.nowMs();
    const parts = { method: c.req.method, path: `${url.pathname}${url.search}`, body };
    const call = openCall(parts, (name) => c.req.header(name), { ...deps, nowMs });
    if ('problem' in call) throw refused(call.problem === 'clock' ? 'The clocks differ by more than 30 s.' : undefined);
    const { provider } = call;
    c.get('observation').keyId = provider;
    if (options.open !== true) {
      if (!(await deps.isProvider(provider))) throw refused('The signer is not a provider of this gateway.');
      useNonce(seen, provider, call.nonce, nowMs);
    }
    c.set('providerCall', { provider, body, atMs: call.atMs });
    await next();
  };
}

/** @throws {ProtocolError} where it was used before, or too many are remembered */
function useNonce(seen: Map<Address, Map<string, number>>, provider: Address, nonce: string, nowMs: number): void {
  const used = seen.get(provider) ?? new Map<string, number>();
  seen.set(provider, used);
  // A call is good until its time is one skew past; until then its nonce is remembered, whatever the caller's clock.
  for (const [known, untilMs] of used) if (untilMs < nowMs) used.delete(known);
  if (used.has(nonce)) throw refused('The call came before.');
  if (used.size >= NONCES_MAX) {
    throw new ProtocolError('rate_limit_exceeded', 'Too many calls of this provider.', { retryable: true });
  }
  used.set(nonce, nowMs + 2 * CALL_SKEW_MS);
}

function refused(why = 'The call is not signed by a provider for this gateway.'): ProtocolError {
  return new ProtocolError('invalid_api_key', why);
}
