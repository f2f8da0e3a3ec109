/** The opening of a sealed chunk, for whoever holds this provider's own key: `assay watch` answers demands with it (spec-chain.md C6). */
import type { Hono } from 'hono';
import { openCall } from '#protocol/provider-call';
import { safeParse, zHash } from '#protocol/schema';
import type { ProviderDeps } from './deps.ts';
import { ProviderError } from './errors.ts';

/** Path of the call; signed as SPEC.md §6.9 has it, by the provider, to itself. */
export const openingPath = (commitment: string): string => `/v1/openings/${commitment}`;

/** Mounts `GET /v1/openings/{commitment}`. An opening that nobody has permitted yet is nobody else's business. */
export function mountOpenings(app: Hono, deps: ProviderDeps): void {
  const { signer, domain, recover, clock, store } = deps;
  app.get(openingPath(':commitment'), (c) => {
    const { pathname, search } = new URL(c.req.url);
    const parts = { method: 'GET', path: `${pathname}${search}`, body: new Uint8Array(0) };
    const isOwn = (address: string) => address === signer.address;
    const call = openCall(parts, (name) => c.req.header(name), { domain, recover, isOwn, nowMs: clock.nowMs() });
    // A call that comes again within its 30 s gives its own maker the same once more.
    if ('problem' in call || call.provider !== signer.address) throw new ProviderError('invalid_signature');
    const commitment = safeParse(zHash, c.req.param('commitment'));
    const opening = commitment.success ? store.openingOf(commitment.data) : undefined;
    if (opening === undefined) throw new ProviderError('not_found');
    return c.json({ opening });
  });
}
