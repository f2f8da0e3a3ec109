/** What a provider's signature on its manifest covers (SPEC.md §6). */
import { canonicalJson } from './canonical.ts';
import type { Domain } from './eip712.ts';
import { type Hash, sha256, toHex, utf8 } from './hash.ts';
import type { Manifest } from './messages.ts';
import { digests } from './typed.ts';

/** How far ahead of the gateway's clock a manifest may be issued, in milliseconds: tickets are held to the same (SPEC.md §6.3). */
export const MANIFEST_AHEAD_MAX_MS = 30_000;

/** SHA-256 of the manifest's canonical JSON. */
export function manifestHash(manifest: Manifest): Hash {
  return toHex(sha256(utf8(canonicalJson(manifest))));
}

/** The digest that the provider signs. */
export function manifestDigest(domain: Domain, manifest: Manifest): Uint8Array {
  return digests.manifest(domain, { manifestHash: manifestHash(manifest), issuedAtMs: manifest.issuedAtMs });
}
