/** The provider's private key on disk: 32 bytes as hex, readable by its owner alone. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Rng } from '#protocol/env';
import { fromHex, type Hex, toHex } from '#protocol/hash';

/** Bytes of a secp256k1 private key. */
const KEY_BYTES = 32;

/**
 * Reads the key, or makes one (mode 0600) where the file is missing.
 * @throws {Error} when the file cannot be read or made, or does not hold 32 bytes of hex; never quoting it
 */
export function readOrMakeKey(file: string, rng: Rng): Uint8Array {
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    mkdirSync(path.dirname(file), { recursive: true });
    const key = rng.bytes(KEY_BYTES);
    // `wx`: of two processes that start at once, one makes the key and the other fails instead of replacing it.
    writeFileSync(file, `${toHex(key)}\n`, { mode: 0o600, flag: 'wx' });
    return key;
  }
  if (!/^(0x)?[0-9a-fA-F]{64}$/.test(text)) throw new Error('the key file does not hold 32 bytes as hex');
  return fromHex((text.startsWith('0x') ? text : `0x${text}`).toLowerCase() as Hex);
}
