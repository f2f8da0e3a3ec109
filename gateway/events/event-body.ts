/** An event as clients read it, the same in the stream and in a webhook's body (SPEC.md §10.5). */
import { canonicalJson } from '#protocol/canonical';
import { sha256, toHex, utf8 } from '#protocol/hash';
import type { EventRow } from '../store/events-repo.ts';

/** Hex digits of an id: 128 bits. */
const ID_DIGITS = 32;

/** The event's own id: over all that it says, so that a restored gateway gives no id to two events. */
export function eventId({ seq, keyId, type, bodyJson, atMs }: EventRow): string {
  const said = canonicalJson({ seq, keyId, type, bodyJson, atMs });
  return `evt_${toHex(sha256(utf8(said))).slice(2, 2 + ID_DIGITS)}`;
}

/** The text that is sent, and signed. */
export function eventBody(row: EventRow): string {
  const { type, bodyJson, atMs } = row;
  const data = JSON.parse(bodyJson) as Record<string, string | number | null>;
  return canonicalJson({ id: eventId(row), type, timestamp: new Date(atMs).toISOString(), data });
}

/** The event as a server-sent one; its `id` line is where a reader resumes. */
export function eventFrame(row: EventRow): string {
  return `id: ${row.seq}\nevent: ${row.type}\ndata: ${eventBody(row)}\n\n`;
}
