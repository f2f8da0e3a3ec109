/** What a client is told about its answers after it has them: written in the transaction that makes it so (SPEC.md §10.6). */
import { canonicalJson } from '#protocol/canonical';
import { insertEvent } from '../store/events-repo.ts';
import type { Tx } from '../store/handle.ts';
import { requestById } from '../store/requests-repo.ts';

/** The closed list of events. */
export const EVENT_TYPES = [
  'answer.verified',
  'answer.overturned',
  'answer.reinstated',
  'dispute.opened',
  'dispute.ruled',
  'dispute.settled',
  'refund',
] as const;
export type EventType = (typeof EVENT_TYPES)[number];

/** Ids, words and amounts: no prompt and no text ever comes near an event. */
export type EventFacts = Readonly<Record<string, string | number | null>>;

/** Tells the client of a request; of a request that is unknown nobody is told. */
export async function tellClient(
  tx: Tx,
  requestId: string,
  event: { readonly type: EventType; readonly facts?: EventFacts },
  atMs: number,
): Promise<void> {
  const request = await requestById(tx, requestId);
  if (request === null) return;
  const bodyJson = canonicalJson({ request_id: requestId, ...event.facts });
  await insertEvent(tx, { keyId: request.keyId, type: event.type, bodyJson, atMs });
}

/** Somebody else has looked at a choice, and it held. @param by what made them look */
export function tellVerified(
  tx: Tx,
  { requestId, choice }: { readonly requestId: string; readonly choice: number },
  by: 'audit' | 'reexamination' | 'examination',
  atMs: number,
): Promise<void> {
  return tellClient(tx, requestId, { type: 'answer.verified', facts: { choice, by } }, atMs);
}
