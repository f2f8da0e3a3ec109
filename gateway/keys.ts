/** API keys: what is kept of them (a hash), how they are made and how a request names one. */
import type { Rng } from '#protocol/env';
import { ProtocolError } from '#protocol/errors';
import { type Hash, sha256, toHex, utf8 } from '#protocol/hash';
import type { Policy } from '#protocol/policy';

/** Visible start of every key, so that leaked ones can be found by scanners. */
const KEY_PREFIX = 'sk-assay-';
/** Random bytes of a key: 192 bits cannot be guessed, so that a plain SHA-256 keeps it as safe as a slow hash would. */
const KEY_BYTES = 24;
/** Longest accepted key in characters. */
const KEY_LENGTH_MAX = 512;

/** A known key. */
export interface ApiKey {
  readonly keyId: string;
  /** Policy of requests that name none; null leaves it to the gateway. */
  readonly policy: Policy | null;
  /** Limits; absent or null ones are the gateway's defaults. */
  readonly rates?: KeyRateOverrides;
}

/** What an API key's row may say in place of the gateway's defaults. */
export interface KeyRateOverrides {
  readonly requestsPerMinute: number | null;
  readonly tokensPerMinute: number | null;
  readonly concurrentRequests: number | null;
}

/** Finds the key with this hash; null where there is none or it is revoked. */
export interface KeyLookup {
  byHash(hash: Hash): ApiKey | null | Promise<ApiKey | null>;
}

/** SHA-256 of the key's UTF-8 bytes: the only form that is stored. */
export function hashApiKey(key: string): Hash {
  return toHex(sha256(utf8(key)));
}

/** The id that a key goes by: a start of its hash, which tells nothing about the key. */
export function keyIdOf(keyHash: Hash): string {
  return `key-${keyHash.slice(2, 14)}`;
}

/** A fresh key. */
export function newApiKey(rng: Rng): string {
  return KEY_PREFIX + Buffer.from(rng.bytes(KEY_BYTES)).toString('base64url');
}

/**
 * The key of an `Authorization: Bearer …` header.
 * @throws {ProtocolError} `invalid_api_key`; the message never has the key
 */
export async function authenticate(header: string | undefined, keys: KeyLookup): Promise<ApiKey> {
  if (header === undefined || header.trim() === '') {
    throw new ProtocolError(
      'invalid_api_key',
      "You didn't provide an API key. Provide it in an Authorization header using Bearer auth.",
    );
  }
  const token = /^bearer +(\S+)$/i.exec(header.trim())?.[1];
  const key = token === undefined || token.length > KEY_LENGTH_MAX ? null : await keys.byHash(hashApiKey(token));
  if (key === null) throw new ProtocolError('invalid_api_key', 'Incorrect API key provided.');
  return key;
}
