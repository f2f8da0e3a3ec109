/** Calls with an `Idempotency-Key`, over the database (SPEC.md §Money, "Idempotency keys"). */
import type { Clock } from '#protocol/env';
import type { SecretBox } from './committee/epochs.ts';
import type { AnswerPipeline } from './openai/answer.ts';
import { IdempotencyDesk } from './openai/idempotency.ts';
import { earlierAttempt } from './store/accept-request.ts';
import type { Store } from './store/handle.ts';
import { setSealedAnswer } from './store/requests-repo.ts';

export interface KeyedCallsDeps {
  readonly store: Store;
  readonly box: SecretBox;
  readonly clock: Clock;
  readonly pipeline: AnswerPipeline;
  /** Receives what goes on without a client. */
  readonly background: (work: Promise<void>) => void;
  readonly inPlaceBytesMax?: number | undefined;
}

/** The desk that shares running calls and replays earlier ones. */
export function keyedCalls({ store, clock, pipeline, ...rest }: KeyedCallsDeps): IdempotencyDesk {
  return new IdempotencyDesk({
    ...rest,
    find: (keyId, idempotency) =>
      store.read((handle) => earlierAttempt(handle, { keyId, idempotency, nowMs: clock.nowMs() })),
    keep: (keyId, { key }, requestId, sealed) =>
      store.withTx((tx) => setSealedAnswer(tx, { keyId, idempotencyKey: key, requestId }, sealed)),
    sealedAnswer: (requestId) => pipeline.sealedAnswer(requestId),
  });
}
