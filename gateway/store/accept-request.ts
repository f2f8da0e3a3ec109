/** Accepting a request: hold, cover, draw and idempotency key become durable together (SPEC.md §Money, "Durability"). */
import { ProtocolError } from '#protocol/errors';
import type { Hash } from '#protocol/hash';
import { MONEY_MAX_NANO } from '../ledger/accounts.ts';
import type { ModelPrice } from '../ledger/price.ts';
import { hold } from '../ledger/settle.ts';
import { takeDraw } from './epochs-repo.ts';
import type { Handle, Tx } from './handle.ts';
import { keyWithBudget, takeBudget } from './key-budgets-repo.ts';
import { applyTransfer } from './ledger-repo.ts';
import { idempotencyRow, insertRequest, putIdempotencyRow, requestById } from './requests-repo.ts';

/** A client's key for one call. */
export interface IdempotencyTerms {
  readonly key: string;
  /** Hash of everything that makes it the same call: body, route and headers that decide the answer. */
  readonly fingerprint: Hash;
  readonly expiresAtMs: number;
}

export interface NewRequest {
  /** Fresh; the id of this attempt. */
  readonly requestId: string;
  readonly keyId: string;
  readonly model: string;
  readonly bodyHash: Hash;
  /** Canonical JSON of the resolved policy. */
  readonly policyJson: string;
  readonly price: ModelPrice;
  /** From `quoteNano` and `coverNano` of ledger/price. */
  readonly quoteNano: bigint;
  readonly coverNano: bigint;
  readonly epoch: number;
  readonly nowMs: number;
  readonly idempotency?: IdempotencyTerms;
}

export type Acceptance =
  | { readonly outcome: 'accepted'; readonly attempt: number; readonly drawIndex: number }
  /** The same call runs (`ended: false`: wait for it) or has its answer (`ended: true`: give that). */
  | {
      readonly outcome: 'repeated';
      readonly requestId: string;
      readonly ended: boolean;
      readonly sealedAnswer: string | null;
    }
  /** The key was used with another body: 422 idempotency_key_reused. */
  | { readonly outcome: 'key_reused' };

/**
 * Accepts a request, or finds the earlier call that its idempotency key names. An attempt that failed is followed by the next.
 * @throws {ProtocolError} insufficient_quota, reserve_empty, committee_unavailable (no draw left), invalid_api_key
 */
export async function acceptRequest(tx: Tx, request: NewRequest): Promise<Acceptance> {
  const { requestId, keyId, price, nowMs } = request;
  const known = await keyWithBudget(tx, keyId);
  if (known === null || known.key.revokedAtMs !== null) {
    throw new ProtocolError('invalid_api_key', 'The API key is not valid.');
  }
  const { key, budget } = known;
  const earlier = await earlierAttempt(tx, request);
  if (earlier.outcome !== 'next') return earlier;
  if (request.coverNano > MONEY_MAX_NANO) {
    throw new ProtocolError('reserve_empty', 'No reserve can cover the most that this request can cost.');
  }
  if (budget !== null) await takeBudget(tx, budget, request.quoteNano, nowMs);
  await applyTransfer(
    tx,
    hold({ requestId, account: key.account, quoteNano: request.quoteNano, coverNano: request.coverNano }),
    nowMs,
  );
  const drawIndex = await takeDraw(tx, request.epoch, requestId);
  await insertRequest(tx, {
    requestId,
    attempt: earlier.attempt,
    keyId,
    account: key.account,
    model: request.model,
    bodyHash: request.bodyHash,
    policyJson: request.policyJson,
    inputNanoPerMtok: price.inputNanoPerMtok,
    outputNanoPerMtok: price.outputNanoPerMtok,
    quoteNano: request.quoteNano,
    coverNano: request.coverNano,
    chargedNano: 0n,
    refundedNano: 0n,
    recoverableNano: 0n,
    recoveredNano: 0n,
    epoch: request.epoch,
    drawIndex,
    state: 'accepted',
    verdict: null,
    errorCode: null,
    logIndex: null,
    createdAtMs: nowMs,
    endedAtMs: null,
  });
  if (request.idempotency !== undefined) {
    const { key: idempotencyKey, fingerprint, expiresAtMs } = request.idempotency;
    const bodyHash = fingerprint;
    await putIdempotencyRow(tx, { keyId, idempotencyKey, requestId, bodyHash, expiresAtMs, sealedAnswer: null });
  }
  return { outcome: 'accepted', attempt: earlier.attempt, drawIndex };
}

/** What earlier calls with the same key mean for this one. */
export type EarlierAttempt =
  | { readonly outcome: 'next'; readonly attempt: number }
  | Exclude<Acceptance, { outcome: 'accepted' }>;

/** Looks up the earlier call that an idempotency key names. */
export async function earlierAttempt(
  handle: Handle,
  call: { readonly keyId: string; readonly nowMs: number; readonly idempotency?: IdempotencyTerms },
): Promise<EarlierAttempt> {
  if (call.idempotency === undefined) return { outcome: 'next', attempt: 1 };
  const known = await idempotencyRow(handle, call.keyId, call.idempotency.key);
  const attempt = known === null ? null : await requestById(handle, known.requestId);
  if (known === null || attempt === null) return { outcome: 'next', attempt: 1 };
  const running = attempt.state === 'accepted' || attempt.state === 'running';
  // A running call keeps its key past the expiry: a second one would be a second charge.
  if (!running && known.expiresAtMs <= call.nowMs) return { outcome: 'next', attempt: 1 };
  if (known.bodyHash !== call.idempotency.fingerprint) return { outcome: 'key_reused' };
  if (attempt.state === 'failed') return { outcome: 'next', attempt: attempt.attempt + 1 };
  return { outcome: 'repeated', requestId: attempt.requestId, ended: !running, sealedAnswer: known.sealedAnswer };
}
