/** Whether a ticket orders exactly this job from this provider (SPEC.md §6). Pure. */
import type { Domain } from '#protocol/eip712';
import type { ErrorCode } from '#protocol/errors';
import type { Address, Hash, Hex } from '#protocol/hash';
import { toHex } from '#protocol/hash';
import { promptHash, samplingHash } from '#protocol/request';
import type { Sampling } from '#protocol/sampling';
import type { Recover } from '#protocol/signer';
import { digests, requestHash, type Ticket } from '#protocol/typed';

/**
 * How far the clocks of gateway and provider may be apart: NTP keeps servers within a second, a badly kept one within
 * half a minute. Also how long a used jobId is remembered after the expiry of its ticket.
 */
export const CLOCK_SKEW_MS = 30_000;

/** What both kinds of order carry. */
export interface TicketOrder {
  readonly ticket: Ticket;
  readonly signature: Hex;
  readonly model: string;
  readonly modelDigest: Hash;
  readonly promptIds: readonly number[];
  readonly sampling: Sampling;
  readonly seed: string;
  readonly maxTokens: number;
  readonly nonce: Hash;
}

/** Who may order, and from whom. */
export interface TicketSealContext {
  readonly domain: Domain;
  readonly recover: Recover;
  readonly gatewayAddresses: ReadonlySet<Address>;
  readonly provider: Address;
}

export type TicketSeal =
  | { readonly ok: true; readonly gateway: Address; readonly ticketHash: Hash }
  | { readonly ok: false; readonly code: ErrorCode };

/** Who signed the ticket, if that is a trusted gateway and the ticket is addressed to this provider. */
export function checkTicketSeal(
  order: Pick<TicketOrder, 'ticket' | 'signature'>,
  context: TicketSealContext,
): TicketSeal {
  const digest = digests.ticket(context.domain, order.ticket);
  const gateway = context.recover(digest, order.signature);
  if (gateway === null || !context.gatewayAddresses.has(gateway)) return { ok: false, code: 'invalid_signature' };
  if (order.ticket.provider !== context.provider) return { ok: false, code: 'invalid_ticket' };
  return { ok: true, gateway, ticketHash: toHex(digest) };
}

/** What the ticket must say about the body that came with it. */
export interface TicketTermsContext {
  readonly kind: number;
  /** Hash of the body as this provider computed it. */
  readonly jobHash: Hash;
  readonly nowMs: number;
  readonly retentionMaxMs: number;
}

/** The first term that does not hold, or null. */
export function checkTicketTerms(order: TicketOrder, context: TicketTermsContext): ErrorCode | null {
  const { ticket } = order;
  if (ticket.kind !== context.kind) return 'invalid_ticket';
  if (context.nowMs > ticket.expiresAtMs + CLOCK_SKEW_MS) return 'ticket_expired';
  if (ticket.issuedAtMs > context.nowMs + CLOCK_SKEW_MS) return 'invalid_ticket';
  // A gateway must not make a provider keep transcripts for ever.
  if (ticket.retainUntilMs > ticket.expiresAtMs + context.retentionMaxMs) return 'invalid_ticket';
  if (orderedRequestHash(order) !== ticket.requestHash) return 'invalid_ticket';
  return context.jobHash === ticket.jobHash ? null : 'invalid_ticket';
}

/** requestHash of what the body really asks for. */
function orderedRequestHash(order: TicketOrder): Hash {
  return requestHash({
    model: order.model,
    modelDigest: order.modelDigest,
    promptHash: promptHash(order.promptIds),
    samplingHash: samplingHash(order.sampling),
    seed: BigInt(order.seed),
    maxTokens: order.maxTokens,
    nonce: order.nonce,
  });
}
