/** AES-256-GCM for secrets that rest in the database, under a key derived from the gateway's own (RFC 5869). */
import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';
import type { Rng } from '#protocol/env';
import type { SecretBox } from './epochs.ts';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** @param master the gateway's private key, 32 bytes */
export function createSecretBox(master: Uint8Array, rng: Rng): SecretBox {
  const key = Buffer.from(hkdfSync('sha256', master, new Uint8Array(0), 'assay/secret-box/1', 32));
  return {
    seal(secret) {
      const nonce = rng.bytes(NONCE_BYTES);
      const cipher = createCipheriv('aes-256-gcm', key, nonce);
      const sealed = Buffer.concat([nonce, cipher.update(secret), cipher.final(), cipher.getAuthTag()]);
      return sealed.toString('base64');
    },
    open(text) {
      const bytes = Buffer.from(text, 'base64');
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_BYTES));
      decipher.setAuthTag(bytes.subarray(bytes.length - TAG_BYTES));
      return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, bytes.length - TAG_BYTES)), decipher.final()]);
    },
  };
}
