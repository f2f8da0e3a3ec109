/** The one table from error code to HTTP status and OpenAI's error object (SPEC.md §13, DESIGN §13). */
import { type ErrorCode, ProtocolError } from '#protocol/errors';

/** OpenAI's classes of errors. */
export type OpenAiErrorType =
  | 'invalid_request_error'
  | 'insufficient_quota'
  | 'rate_limit_error'
  | 'server_error'
  | 'service_unavailable';

interface Row {
  readonly status: number;
  readonly type: OpenAiErrorType;
  /**
   * What `x-should-retry` tells SDKs: without it they repeat every 409, 429 and 5xx twice, at full price. `said`: the
   * error itself knows.
   */
  readonly retry: boolean | 'said';
  /** Sent as `retry-after` where the error itself does not say, in seconds. */
  readonly retryAfterS?: number;
  /** Codes of our inside; the client sees `internal_error` in their place. */
  readonly hidden?: true;
}

const client = (status: number): Row => ({ status, type: 'invalid_request_error', retry: false });
const upstream = (status: number): Row => ({ status, type: 'server_error', retry: true, retryAfterS: 1 });
const busy = (retryAfterS: number): Row => ({ status: 503, type: 'service_unavailable', retry: true, retryAfterS });
const inside: Row = { status: 500, type: 'server_error', retry: false, hidden: true };

const TABLE: Readonly<Record<ErrorCode, Row>> = {
  invalid_json: client(400),
  invalid_request: client(400),
  unsupported_parameter: client(400),
  invalid_policy: client(400),
  model_not_found: client(404),
  not_found: client(404),
  method_not_allowed: client(405),
  context_length_exceeded: client(400),
  request_too_large: client(413),
  invalid_api_key: client(401),
  insufficient_quota: { status: 429, type: 'insufficient_quota', retry: false },
  // A request larger than its key's whole limit never fits; any other does after a while.
  rate_limit_exceeded: { status: 429, type: 'rate_limit_error', retry: 'said', retryAfterS: 1 },
  idempotency_key_reused: client(422),
  max_cost_exceeded: client(400),
  // A pool that is too small for the policy stays so; one whose members are busy does not.
  committee_unavailable: { ...busy(2), retry: 'said' },
  // The reserve is filled by an operator, not by waiting seconds.
  reserve_empty: { ...busy(30), retry: false },
  // Deterministic as far as the client is concerned: the same committee would split again, at n times the price.
  inconclusive: { status: 502, type: 'server_error', retry: false },
  // The deadline was the whole time that the client is willing to wait.
  deadline_exceeded: { status: 504, type: 'server_error', retry: false },
  // nginx's status for a client that has left; nobody reads it but the log.
  client_closed: { status: 499, type: 'invalid_request_error', retry: false },
  provider_unreachable: upstream(502),
  provider_malformed: upstream(502),
  provider_refused: upstream(502),
  queue_full: busy(1),
  job_lost: upstream(502),
  evidence_expired: { status: 410, type: 'invalid_request_error', retry: false },
  invalid_receipt: client(400),
  storage_unavailable: busy(5),
  shutting_down: busy(1),
  invalid_ticket: inside,
  ticket_expired: inside,
  ticket_replayed: inside,
  invalid_permission: inside,
  permission_conflict: inside,
  job_unknown: inside,
  invalid_signature: inside,
  internal_error: inside,
};

const INTERNAL_MESSAGE = 'The server had an error while processing your request.';

/** OpenAI's error object: all four keys, always. */
export interface OpenAiError {
  readonly error: {
    readonly message: string;
    readonly type: OpenAiErrorType;
    readonly param: string | null;
    readonly code: string;
  };
}

/** An error as it leaves: status, headers and body. */
export interface ErrorEnvelope {
  readonly status: number;
  readonly code: ErrorCode;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: OpenAiError;
}

/** The envelope of anything thrown; what is not a `ProtocolError` becomes the fixed `internal_error`. */
export function errorEnvelope(thrown: unknown): ErrorEnvelope {
  const known = thrown instanceof ProtocolError ? thrown : null;
  const row = TABLE[known?.code ?? 'internal_error'];
  const shown = known !== null && row.hidden !== true ? known : null;
  const retry = row.retry === 'said' ? (shown?.retryable ?? false) : row.retry;
  const headers: Record<string, string> = { 'x-should-retry': String(retry) };
  if (row.status === 401) headers['www-authenticate'] = 'Bearer';
  const pointless = row.retry === 'said' && !retry;
  const retryAfterMs = pointless
    ? undefined
    : (shown?.retryAfterMs ?? (row.retryAfterS === undefined ? undefined : row.retryAfterS * 1000));
  if (retryAfterMs !== undefined) {
    // Whole seconds for proxies and curl, milliseconds for SDKs that read them.
    headers['retry-after'] = String(Math.max(1, Math.ceil(retryAfterMs / 1000)));
    headers['retry-after-ms'] = String(Math.max(0, Math.ceil(retryAfterMs)));
  }
  const error = {
    message: shown?.message ?? INTERNAL_MESSAGE,
    type: row.type,
    param: shown?.param ?? null,
    code: shown?.code ?? 'internal_error',
  };
  return { status: row.status, code: known?.code ?? 'internal_error', headers, body: { error } };
}

/** The envelope as a response. */
export function errorResponse(envelope: ErrorEnvelope): Response {
  return new Response(JSON.stringify(envelope.body), {
    status: envelope.status,
    headers: { ...envelope.headers, 'content-type': 'application/json' },
  });
}
