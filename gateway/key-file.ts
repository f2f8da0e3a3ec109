/** The gateway's private keys on disk, readable by its owner alone. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Rng } from '#protocol/env';
import { newPrivateKey, parsePrivateKey, privateKeyText } from '#protocol/private-key';
import { nativeSigner } from '#protocol/signer-native';
import type { KeyVault } from './attest/signing-keys.ts';

/**
 * Reads the key, or makes one (mode 0600) where the file is missing.
 * @throws {Error} when the file cannot be read or made, or does not hold 32 bytes of hex; never quoting it
 */
export function readOrMakeKey(file: string, rng: Rng): Uint8Array {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    mkdirSync(path.dirname(file), { recursive: true });
    const key = newPrivateKey(rng);
    // `wx`: of two processes that start at once, one makes the key and the other fails instead of replacing it.
    writeFileSync(file, privateKeyText(key), { mode: 0o600, flag: 'wx' });
    return key;
  }
  return parsePrivateKey(text);
}

/** Signing keys that follow the first one, in files beside it: `key.gateway-2` and so on. */
export function fileVault(keyFile: string, rng: Rng): KeyVault {
  const fileOf = (keyId: string) => `${keyFile}.${keyId}`;
  return {
    make: (keyId) => nativeSigner(readOrMakeKey(fileOf(keyId), rng)),
    read: (keyId) => nativeSigner(parsePrivateKey(readFileSync(fileOf(keyId), 'utf8'))),
  };
}
