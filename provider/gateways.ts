/** Which gateways' tickets are taken: those of the configuration, and the keys that they have handed over to (SPEC.md §6.8). */
import type { Address } from '#protocol/hash';
import { type SuccessionOrder, successionHolds, successorsOf } from '#protocol/succession';
import type { ProviderDeps } from './deps.ts';
import { ProviderError } from './errors.ts';

/** Most successions that are remembered: a key a month for five years, with room to spare. */
const SUCCESSIONS_MAX = 64;

export interface TrustedGateways {
  /** Grows with successions; whoever holds it sees them at once. */
  readonly addresses: ReadonlySet<Address>;
  /** @throws {ProviderError} `invalid_signature`, `storage_unavailable` */
  succeed(order: SuccessionOrder): void;
}

export function trustedGateways(
  deps: Pick<ProviderDeps, 'gatewayAddresses' | 'store' | 'domain' | 'recover' | 'log'>,
): TrustedGateways {
  const { store, domain, recover, log } = deps;
  // From the configuration on: whoever is taken out of it takes its successors along.
  const addresses = successorsOf(
    [...deps.gatewayAddresses],
    store.successions().map(({ succession }) => succession),
  );
  return {
    addresses,
    succeed(order) {
      const { previous, next } = order.succession;
      if (!addresses.has(previous) || !successionHolds(domain, recover, order)) {
        throw new ProviderError('invalid_signature');
      }
      if (addresses.has(next)) return;
      if (store.successions().length >= SUCCESSIONS_MAX) throw new ProviderError('storage_unavailable');
      try {
        // Durable before it counts: after a restart, running jobs need their permissions.
        store.addSuccession(order);
      } catch (cause) {
        throw new ProviderError('storage_unavailable', { cause });
      }
      addresses.add(next);
      log.info('gateway_key_succeeded', { gateway: next });
    },
  };
}
