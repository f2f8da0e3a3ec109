/** What a start does first: whatever a crash left open is closed, and no money stays held (SPEC.md §Money, "Durability"). */
import type { Standing } from '#protocol/verdict';
import { forgetExpiredAttestations } from './attestations-repo.ts';
import { failRequest } from './close-request.ts';
import { disputesOfRequest, forgetExpiredBundles } from './disputes-repo.ts';
import { forgetExpiredEvents } from './events-repo.ts';
import { forgetExpiredEvidence } from './evidence-repo.ts';
import type { Tx } from './handle.ts';
import { payLateWork } from './late-work.ts';
import { coverOwners } from './ledger-repo.ts';
import type { LogLeaf } from './log-repo.ts';
import { forgetExpiredAnswers } from './reexamine-repo.ts';
import type { RequestRow } from './requests-repo.ts';
import { dropExpiredIdempotencyKeys, unfinishedRequests } from './requests-repo.ts';

export interface Recovery {
  /** Requests that were closed, oldest first; a retry with their idempotency key runs the next attempt. */
  readonly closed: readonly string[];
  readonly paidNano: bigint;
}

/**
 * Closes every unfinished request: the client gets the whole hold back, revealed work is paid out of the cover (or withheld where
 * a dispute is open about it), the draw is aborted and logged; work for disputes is paid as far as it came. Running it twice changes nothing.
 * @param leaf makes the log's `aborted` entry of a request
 */
export async function recover(tx: Tx, nowMs: number, leaf: (request: RequestRow) => LogLeaf): Promise<Recovery> {
  const closed: string[] = [];
  let paidNano = 0n;
  for (const request of await unfinishedRequests(tx)) {
    const { requestId } = request;
    const disputes = await disputesOfRequest(tx, requestId);
    const standings = new Map<string, Standing>(disputes.map((dispute) => [dispute.jobId, 'rejected']));
    const { settlement } = await failRequest(tx, {
      requestId,
      verdict: 'failed',
      standings,
      errorCode: 'internal_error',
      nowMs,
      leaf,
    });
    closed.push(requestId);
    paidNano += settlement.reserveNano;
  }
  // What is still covered now belongs to work for disputes.
  for (const jobId of await coverOwners(tx)) paidNano += await payLateWork(tx, jobId, nowMs);
  return { closed, paidNano };
}

/** Forgets what may be kept no longer: token ids in statements and bundles, and idempotency keys. */
export async function forgetExpired(tx: Tx, nowMs: number): Promise<void> {
  await forgetExpiredAttestations(tx, nowMs);
  await forgetExpiredBundles(tx, nowMs);
  await forgetExpiredEvidence(tx, nowMs);
  await dropExpiredIdempotencyKeys(tx, nowMs);
  await forgetExpiredAnswers(tx, nowMs);
  await forgetExpiredEvents(tx, nowMs);
}
