/** Tells providers of the gateway's next signing key, and remembers nothing: a provider that was away is told again (SPEC.md §6.8). */
import type { Domain } from '#protocol/eip712';
import type { Clock } from '#protocol/env';
import type { Address } from '#protocol/hash';
import type { Signer } from '#protocol/signer';
import { signSuccession } from '#protocol/succession';
import { within } from '../round/deadline.ts';
import type { ReplyFetch } from '../round/reply.ts';

export interface AnnouncerDeps {
  readonly fetch: ReplyFetch;
  readonly clock: Clock;
  readonly domain: Domain;
  /** How long one provider may take. */
  readonly timeoutMs: number;
}

/** Somebody to tell. */
export interface Listener {
  readonly address: Address;
  readonly url: string;
}

export class KeyAnnouncer {
  readonly #deps: AnnouncerDeps;

  constructor(deps: AnnouncerDeps) {
    this.#deps = deps;
  }

  /** Tells all at once. @returns who did not take it: down, or not trusting the key before */
  async tell(
    listeners: readonly Listener[],
    keys: { readonly previous: Signer; readonly next: Signer },
    signal: AbortSignal,
  ): Promise<Address[]> {
    const { domain, clock } = this.#deps;
    const body = JSON.stringify(signSuccession(domain, keys.previous, keys.next, clock.nowMs()));
    const told = await Promise.all(listeners.map((listener) => this.#tellOne(listener, body, signal)));
    return listeners.filter((_, at) => !told[at]).map(({ address }) => address);
  }

  /** Tells one provider, which may have been away, of every succession there was. */
  async retell(listener: Listener, chain: readonly Signer[], signal: AbortSignal): Promise<void> {
    for (const [at, next] of chain.entries()) {
      if (at > 0) await this.tell([listener], { previous: chain[at - 1]!, next }, signal);
    }
  }

  async #tellOne({ url }: Listener, body: string, signal: AbortSignal): Promise<boolean> {
    const { fetch, clock, timeoutMs } = this.#deps;
    try {
      const response = await within(clock, clock.nowMs() + timeoutMs, signal, (inner) =>
        fetch(`${url}/v1/gateways`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body,
          signal: inner(),
        }),
      );
      await response.body?.cancel();
      return response.ok;
    } catch (error) {
      if (signal.aborted) throw error;
      return false;
    }
  }
}
