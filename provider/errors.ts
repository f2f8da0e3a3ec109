/** The one table from error code to status and fixed message of a provider's answers (SPEC.md §6, §13). */
import type { ErrorCode } from '#protocol/errors';
import type { Hash, Hex } from '#protocol/hash';

/** A signed statement that a ticket was refused; travels beside the error. */
export interface SignedRefusal {
  readonly code: string;
  readonly atMs: number;
  readonly signature: Hex;
}

/** The ticket that a refusal is about; present once the ticket's signature and addressee have been checked. */
export interface RefusedTicket {
  readonly jobId: Hash;
  readonly ticketHash: Hash;
}

/** A refused call: a code of the closed list, and the ticket to sign the refusal for. */
export class ProviderError extends Error {
  override readonly name = 'ProviderError';
  readonly code: ErrorCode;
  readonly ticket: RefusedTicket | null;

  constructor(code: ErrorCode, options: { ticket?: RefusedTicket; cause?: unknown } = {}) {
    super(code, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.ticket = options.ticket ?? null;
  }
}

interface Row {
  readonly status: number;
  readonly message: string;
  /** Sent as `retry-after`, in seconds. */
  readonly retryAfterS?: number;
}

const INTERNAL: Row = { status: 500, message: 'the provider had an error' };

/** Messages are fixed texts: an answer to a bad body must not repeat any of it. */
const TABLE: Readonly<Partial<Record<ErrorCode, Row>>> = {
  invalid_json: { status: 400, message: 'the body is not JSON' },
  invalid_request: { status: 400, message: 'the body does not fit the schema or the job' },
  context_length_exceeded: { status: 400, message: 'prompt and output do not fit the context of the model' },
  unsupported_parameter: { status: 400, message: 'the engine serves temperature 0 without penalties or bias' },
  request_too_large: { status: 413, message: 'the body is too large' },
  invalid_signature: { status: 401, message: 'the signature is not that of a trusted gateway' },
  invalid_ticket: { status: 400, message: 'the ticket does not order this job from this provider' },
  ticket_expired: { status: 410, message: 'the ticket has expired' },
  ticket_replayed: { status: 409, message: 'the job id was used by another ticket' },
  invalid_permission: { status: 400, message: 'the permission does not open the current chunk of this job' },
  permission_conflict: { status: 409, message: 'this chunk was opened under another root' },
  job_unknown: { status: 404, message: 'no such job' },
  job_lost: { status: 410, message: 'the job was accepted before and its transcript is lost' },
  model_not_found: { status: 404, message: 'the model is not served here' },
  not_found: { status: 404, message: 'no such route' },
  method_not_allowed: { status: 405, message: 'the route does not have this method' },
  evidence_expired: { status: 410, message: 'the retention of this evidence is over' },
  queue_full: { status: 429, message: 'the queue is full', retryAfterS: 1 },
  storage_unavailable: { status: 503, message: 'nothing can be recorded, so nothing is accepted', retryAfterS: 5 },
  shutting_down: { status: 503, message: 'the provider is shutting down', retryAfterS: 5 },
  internal_error: INTERNAL,
};

/** Codes after which the same call may succeed later. */
export function isRetryable(code: ErrorCode): boolean {
  return TABLE[code]?.retryAfterS !== undefined;
}

/** The code of anything thrown; what is not a `ProviderError` is an `internal_error`. */
export function codeOf(thrown: unknown): ErrorCode {
  return thrown instanceof ProviderError && TABLE[thrown.code] !== undefined ? thrown.code : 'internal_error';
}

/** The error as a response; `refusal` is added where a valid ticket was refused. */
export function errorResponse(code: ErrorCode, refusal?: SignedRefusal): Response {
  const row = TABLE[code] ?? INTERNAL;
  const headers: Record<string, string> = { 'content-type': 'application/json' };
  if (row.retryAfterS !== undefined) headers['retry-after'] = String(row.retryAfterS);
  const body = { error: { code, message: row.message }, ...(refusal === undefined ? {} : { refusal }) };
  return new Response(JSON.stringify(body), { status: row.status, headers });
}
