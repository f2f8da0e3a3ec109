/** The closed list of error codes and the one error class (SPEC.md §13). Details never hold content or keys. */

/** Stable snake_case codes; a code is never renamed or reused. */
export const ERROR_CODES = [
  // the client's request
  'invalid_json',
  'invalid_request',
  'unsupported_parameter',
  'invalid_policy',
  'model_not_found',
  'not_found',
  'method_not_allowed',
  'context_length_exceeded',
  'request_too_large',
  'invalid_api_key',
  'insufficient_quota',
  'rate_limit_exceeded',
  'idempotency_key_reused',
  'max_cost_exceeded',
  // the committee
  'committee_unavailable',
  'reserve_empty',
  'inconclusive',
  'deadline_exceeded',
  'client_closed',
  // gateway and provider
  'provider_unreachable',
  'provider_malformed',
  'provider_refused',
  'invalid_ticket',
  'ticket_expired',
  'ticket_replayed',
  'invalid_permission',
  'permission_conflict',
  'job_unknown',
  'job_lost',
  'queue_full',
  'evidence_expired',
  'invalid_signature',
  // the verifier's input
  'invalid_receipt',
  // our own state
  'storage_unavailable',
  'shutting_down',
  'internal_error',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** Ids and numbers only. */
export type ErrorDetails = Readonly<Record<string, string | number | boolean | null>>;

/** An operational failure with a stable code; `message` is safe to show and to log. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
  readonly code: ErrorCode;
  /** The request field that is at fault, in OpenAI's dotted form, or null. */
  readonly param: string | null;
  /** Whether the same request may succeed later. */
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;
  readonly details: ErrorDetails;

  constructor(
    code: ErrorCode,
    message: string,
    options: {
      param?: string;
      retryable?: boolean;
      retryAfterMs?: number;
      details?: ErrorDetails;
      cause?: unknown;
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.param = options.param ?? null;
    this.retryable = options.retryable ?? false;
    this.retryAfterMs = options.retryAfterMs;
    this.details = options.details ?? {};
  }
}
