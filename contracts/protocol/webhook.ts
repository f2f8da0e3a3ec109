/** Signed calls that tell a client of events, after Standard Webhooks 1.0 (symmetric signatures; SPEC.md §10.6). Pure, also in a browser. */
import { equalBytes, hmacSha256, utf8 } from './hash.ts';

/** What a secret begins with; base64 of 24 to 64 bytes follows. */
const SECRET_PREFIX = 'whsec_';
const SECRET_BYTES_MIN = 24;
const SECRET_BYTES_MAX = 64;
/** How far a call's time may be from the receiver's: what is older is a replay, or as good as one. */
export const WEBHOOK_SKEW_MS = 300_000;
/** Signatures of one call: one for each secret while secrets are changed. */
const SIGNATURES_MAX = 8;

export interface WebhookHeaders {
  readonly 'webhook-id': string;
  /** Seconds since the Unix epoch. */
  readonly 'webhook-timestamp': string;
  /** `v1,` and base64 of the HMAC-SHA256; several with spaces between. */
  readonly 'webhook-signature': string;
}

/** The secret as receivers are given it. @param bytes 24 to 64 of them, random */
export function webhookSecret(bytes: Uint8Array): string {
  return `${SECRET_PREFIX}${base64(bytes)}`;
}

/** Headers of one try. @param atMs of this try: each has its own time, and the same id */
export function signWebhook(secret: string, id: string, body: string, atMs: number): WebhookHeaders {
  const timestamp = String(Math.floor(atMs / 1000));
  return {
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': `v1,${base64(mac(secret, id, timestamp, body))}`,
  };
}

/** `stale`: signed, and too old or too new. `repeated`: signed, and its id was seen before. */
export type WebhookCheck = 'ok' | 'unsigned' | 'stale' | 'repeated';

/**
 * Checks a call as its receiver should: signed by the secret over id, time and these very bytes, made now, and not seen before.
 * @param seen whether this id was processed before: a try that was answered and lost on the way back comes again
 * @throws {RangeError} where the secret is none
 */
export function checkWebhook(
  secret: string,
  headers: { readonly [name in keyof WebhookHeaders]: string | null },
  body: string,
  { nowMs, seen }: { readonly nowMs: number; readonly seen: (id: string) => boolean },
): WebhookCheck {
  const { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures } = headers;
  if (id === null || timestamp === null || signatures === null || !/^\d{1,12}$/.test(timestamp)) return 'unsigned';
  const wanted = mac(secret, id, timestamp, body);
  const isSigned = signatures
    .split(' ')
    .slice(0, SIGNATURES_MAX)
    .some((signature) => {
      const bytes = signature.startsWith('v1,') ? fromBase64(signature.slice(3)) : null;
      return bytes !== null && equalBytes(bytes, wanted);
    });
  if (!isSigned) return 'unsigned';
  if (Math.abs(Number(timestamp) * 1000 - nowMs) > WEBHOOK_SKEW_MS) return 'stale';
  return seen(id) ? 'repeated' : 'ok';
}

function mac(secret: string, id: string, timestamp: string, body: string): Uint8Array {
  const key = secret.startsWith(SECRET_PREFIX) ? fromBase64(secret.slice(SECRET_PREFIX.length)) : null;
  if (key === null || key.length < SECRET_BYTES_MIN || key.length > SECRET_BYTES_MAX) {
    throw new RangeError('"secret" expected whsec_ and base64 of 24 to 64 bytes');
  }
  return hmacSha256(key, utf8(`${id}.${timestamp}.${body}`));
}

function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

function fromBase64(text: string): Uint8Array | null {
  if (!/^[A-Za-z0-9+/]{1,128}={0,2}$/.test(text) || text.length % 4 !== 0) return null;
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}
