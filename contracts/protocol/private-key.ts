/** A secp256k1 private key as text: how key files hold it. Pure; the files themselves are the servers' business. */
import { secp256k1 } from '@noble/curves/secp256k1.js';
import type { Rng } from './env.ts';
import { fromHex, type Hex, toHex } from './hash.ts';

/** Bytes of a private key. */
const KEY_BYTES = 32;

/** A fresh private key; bytes outside the curve's order (2^-128 of all) are drawn again. */
export function newPrivateKey(rng: Rng): Uint8Array {
  for (;;) {
    const key = rng.bytes(KEY_BYTES);
    if (secp256k1.utils.isValidSecretKey(key)) return key;
  }
}

/** The line that a key file holds. */
export function privateKeyText(key: Uint8Array): string {
  return `${toHex(key)}\n`;
}

/**
 * The key of a key file: 32 bytes as hex, with or without 0x.
 * @throws {Error} when it is anything else; never quoting it
 */
export function parsePrivateKey(text: string): Uint8Array {
  const hex = text.trim();
  if (!/^(0x)?[0-9a-fA-F]{64}$/.test(hex)) throw new Error('the key file does not hold 32 bytes as hex');
  const key = fromHex((hex.startsWith('0x') ? hex : `0x${hex}`).toLowerCase() as Hex);
  if (!secp256k1.utils.isValidSecretKey(key)) throw new Error('the key file does not hold a secp256k1 private key');
  return key;
}
