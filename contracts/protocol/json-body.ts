/** From the bytes of a request body to JSON, with the one integer that doubles cannot hold kept exact: `seed` (SPEC.md §4.1). */
import { isLosslessNumber, parse as parseLossless } from 'lossless-json';
import { bodyHash, NotCanonicalError } from './canonical.ts';
import { ProtocolError } from './errors.ts';
import type { Hash } from './hash.ts';

/** int64, OpenAI's range of `seed`. */
const SEED_MIN = -(2n ** 63n);
const SEED_MAX = 2n ** 63n - 1n;

export interface JsonBody {
  /** As `JSON.parse` gives it: what `hash` is taken over. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly hash: Hash;
  /** The `seed` member as uint64 (two's complement of the client's int64), or null where it is absent or null. */
  readonly seed: bigint | null;
}

/** @throws {ProtocolError} `invalid_json` or `invalid_request` */
export function parseJsonBody(bytes: Uint8Array): JsonBody {
  const text = decodeUtf8(bytes);
  const fields = parseObject(text);
  return { fields, hash: hashOf(fields), seed: parseSeed(fields.seed, text) };
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new ProtocolError('invalid_json', 'The request body is not valid UTF-8.');
  }
}

function parseObject(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's own message quotes the body.
    throw new ProtocolError('invalid_json', 'We could not parse the JSON body of your request.');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ProtocolError('invalid_request', 'The request body must be a JSON object.');
  }
  return value as Record<string, unknown>;
}

function hashOf(fields: Record<string, unknown>): Hash {
  try {
    return bodyHash(fields);
  } catch (error) {
    if (!(error instanceof NotCanonicalError)) throw error;
    throw new ProtocolError('invalid_json', `The request body cannot be hashed: ${error.message}.`);
  }
}

function parseSeed(value: unknown, text: string): bigint | null {
  if (value === undefined || value === null) return null;
  if (typeof value !== 'number') throw badSeed();
  const seed = Number.isSafeInteger(value) ? BigInt(value) : exactSeed(text);
  if (seed < SEED_MIN || seed > SEED_MAX) throw badSeed();
  return BigInt.asUintN(64, seed);
}

/** Reads the digits that a double has rounded off. */
function exactSeed(text: string): bigint {
  let body: unknown;
  try {
    body = parseLossless(text);
  } catch {
    // Stricter than JSON.parse: it refuses repeated members.
    throw new ProtocolError('invalid_json', 'We could not parse the JSON body of your request.');
  }
  const seed = (body as Record<string, unknown>).seed;
  if (!isLosslessNumber(seed) || !/^-?[0-9]{1,20}$/.test(seed.value)) throw badSeed();
  return BigInt(seed.value);
}

function badSeed(): ProtocolError {
  return new ProtocolError('invalid_request', 'seed must be an integer from -2^63 to 2^63 - 1.', { param: 'seed' });
}
