/** What a provider's signature on its manifest covers (SPEC.md §6). */
import { canonicalJson } from './canonical.ts';
import type { Domain } from './eip712.ts';
import { type Hash, sha256, toHex, utf8 } from './hash.ts';
import type { Manifest } from './messages.ts';
import { digests } from './typed.ts';

/** SHA-256 of the manifest's canonical JSON. */
export function manifestHash(manifest: Manifest): Hash {
  return toHex(sha256(utf8(canonicalJson(manifest))));
}

/** The digest that the provider signs. */
export function manifestDigest(domain: Domain, manifest: Manifest): Uint8Array {
  return digests.manifest(domain, { manifestHash: manifestHash(manifest), issuedAtMs: manifest.issuedAtMs });
}
