/** Canonical JSON (RFC 8785, "JCS") and the hashes taken over it (SPEC.md, "Canonical JSON"). */
import type { Hash } from './hash.ts';
import { taggedHash, toHex, utf8 } from './hash.ts';
import { TAGS } from './version.ts';

/**
 * Deepest nesting of arrays and objects; real chat requests, JSON schemas of tools included, stay below 32, so twice
 * that. A limit keeps hostile input from exhausting the stack.
 */
export const CANONICAL_DEPTH_MAX = 64;

/** Why a value has no canonical form: never content, only the kind. */
export type NotCanonicalReason = 'depth' | 'surrogate' | 'number' | 'type';

const REASON_TEXTS: Readonly<Record<NotCanonicalReason, string>> = {
  depth: 'is nested too deeply',
  surrogate: 'has a string that is not well-formed Unicode',
  number: 'has a number that is not finite',
  type: 'has a value that JSON cannot hold',
};

/** A value outside I-JSON (RFC 7493), for which RFC 8785 has no form. */
export class NotCanonicalError extends TypeError {
  override readonly name = 'NotCanonicalError';
  readonly reason: NotCanonicalReason;

  constructor(reason: NotCanonicalReason) {
    super(`value ${REASON_TEXTS[reason]}`);
    this.reason = reason;
  }
}

/**
 * The RFC 8785 text of a JSON value: members sorted by UTF-16 code units, numbers and strings as ECMAScript writes
 * them. Members whose value is `undefined` are absent, as in `JSON.stringify`.
 * @throws {NotCanonicalError} on lone surrogates, non-finite numbers, non-JSON values and nesting above 64 levels
 */
export function canonicalJson(value: unknown): string {
  return write(value, CANONICAL_DEPTH_MAX);
}

/**
 * H(assay/body/1, RFC 8785 form of a request body): what the draw and the idempotency of a request are tied to.
 * Numbers count as IEEE doubles, so two bodies whose integers beyond 2^53 round alike share a hash.
 * @param body the body as `JSON.parse` gives it.
 * @throws {NotCanonicalError} as `canonicalJson`
 */
export function bodyHash(body: unknown): Hash {
  return toHex(taggedHash(TAGS.body, utf8(canonicalJson(body))));
}

function write(value: unknown, depthLeft: number): string {
  switch (typeof value) {
    case 'string':
      return writeString(value);
    case 'number':
      if (!Number.isFinite(value)) throw new NotCanonicalError('number');
      return JSON.stringify(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'object':
      if (value === null) return 'null';
      if (depthLeft === 0) throw new NotCanonicalError('depth');
      return Array.isArray(value) ? writeArray(value, depthLeft - 1) : writeObject(value, depthLeft - 1);
    default:
      // bigint, function, symbol, undefined outside an object: no JSON form.
      throw new NotCanonicalError('type');
  }
}

function writeString(text: string): string {
  // Hashes, names and numbers, which most strings are, have nothing to escape.
  if (PLAIN_STRING.test(text)) return `"${text}"`;
  // JSON.stringify would escape a lone surrogate and so give ill-formed text a form; RFC 8785 §3.2.2.2 forbids it.
  if (/\p{Surrogate}/u.test(text)) throw new NotCanonicalError('surrogate');
  return JSON.stringify(text);
}

/** Printable ASCII without the quotation mark and the backslash. */
const PLAIN_STRING = /^[ !#-[\]-~]*$/;

function writeArray(items: readonly unknown[], depthLeft: number): string {
  let text = '[';
  for (let i = 0; i < items.length; i++) text += (i === 0 ? '' : ',') + write(items[i], depthLeft);
  return `${text}]`;
}

function writeObject(value: object, depthLeft: number): string {
  const prototype: unknown = Object.getPrototypeOf(value);
  // A Map, Date or class instance would silently become `{}` or lose what it means.
  if (prototype !== Object.prototype && prototype !== null) throw new NotCanonicalError('type');
  let text = '{';
  // The default order of `sort` is by UTF-16 code units, which is what RFC 8785 §3.2.3 asks for.
  for (const key of Object.keys(value).sort()) {
    const member = (value as Readonly<Record<string, unknown>>)[key];
    if (member !== undefined) text += `${text === '{' ? '' : ','}${writeString(key)}:${write(member, depthLeft)}`;
  }
  return `${text}}`;
}
