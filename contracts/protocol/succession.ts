/** How a gateway hands over to its next signing key (SPEC.md §6.8). Pure. */
import { z } from 'zod';
import type { Domain } from './eip712.ts';
import type { Address } from './hash.ts';
import { zAddress, zSignature, zTimeMs } from './schema.ts';
import type { Recover, Signer } from './signer.ts';
import { digests, type KeySuccession } from './typed.ts';

/** Body of `POST /v1/gateways` at a provider. */
export const zSuccessionOrder = z.strictObject({
  succession: z.strictObject({ previous: zAddress, next: zAddress, atMs: zTimeMs }),
  previousSignature: zSignature,
  nextSignature: zSignature,
});
export type SuccessionOrder = z.output<typeof zSuccessionOrder>;

/** Both keys sign: the old one vouches for the new one, and the new one shows that it is in the same hands. */
export function signSuccession(domain: Domain, previous: Signer, next: Signer, atMs: number): SuccessionOrder {
  const succession: KeySuccession = { previous: previous.address, next: next.address, atMs };
  const digest = digests.keySuccession(domain, succession);
  return { succession, previousSignature: previous.sign(digest), nextSignature: next.sign(digest) };
}

/** Whether both keys have signed it. */
export function successionHolds(domain: Domain, recover: Recover, order: SuccessionOrder): boolean {
  const { succession, previousSignature, nextSignature } = order;
  const digest = digests.keySuccession(domain, succession);
  return (
    recover(digest, previousSignature) === succession.previous && recover(digest, nextSignature) === succession.next
  );
}

/** Everybody whom a chain of successions leads to from those that are trusted; orders in the order in which they came. */
export function successorsOf(
  trusted: readonly Address[],
  chain: readonly Pick<KeySuccession, 'previous' | 'next'>[],
): Set<Address> {
  const all = new Set(trusted);
  // As many rounds as links: each round reaches at least one more, or nothing is left to reach.
  for (let round = 0; round < chain.length; round++) {
    const before = all.size;
    for (const { previous, next } of chain) if (all.has(previous)) all.add(next);
    if (all.size === before) break;
  }
  return all;
}
