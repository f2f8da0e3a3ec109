/** The key that signs the log's checkpoints (SPEC.md §9). */
import { createPrivateKey, hkdfSync, sign as signNode } from 'node:crypto';
import { ed25519 } from '@noble/curves/ed25519.js';
import { toHex } from '#protocol/hash';
import type { LogSigner } from '#protocol/log';
import type { Signer } from '#protocol/signer';

/** The log's own Ed25519 key is derived from the gateway's (RFC 5869), so that there is one secret to keep. */
export function logSignerOf(origin: string, master: Uint8Array, signer: Signer): LogSigner {
  const seed = new Uint8Array(hkdfSync('sha256', master, new Uint8Array(0), 'assay/log-ed25519/1', 32));
  // PKCS #8 of an Ed25519 seed (RFC 8410 §7): this fixed prefix and the 32 bytes.
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  return {
    origin,
    ed25519: toHex(ed25519.getPublicKey(seed)),
    address: signer.address,
    signNote: (message) => new Uint8Array(signNode(null, message, key)),
    signDigest: (digest) => signer.sign(digest),
  };
}
