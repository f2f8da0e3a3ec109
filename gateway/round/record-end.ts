/** An end that could not be written down is written down later: until then the money of its request is held (SPEC.md §11.7). */
import type { Clock } from '#protocol/env';
import { ProtocolError } from '#protocol/errors';

/** First wait in milliseconds; it doubles. */
const WAIT_MS = 1_000;
/** Longest wait: a disk that has room again is noticed within a minute. */
const WAIT_MAX_MS = 60_000;

interface RecordDeps {
  readonly clock: Clock;
  readonly background: (work: Promise<void>) => void;
  readonly stopping: AbortSignal;
}

/**
 * Writes down how a request ended. Where the database cannot take it now, it is tried again until it can, or until the gateway
 * stops: then the next start closes the request.
 * @param end one transaction, which changes nothing when it fails
 * @throws {ProtocolError} what the first try fails with
 */
export async function recordEnd(deps: RecordDeps, end: () => Promise<void>): Promise<void> {
  try {
    await end();
  } catch (error) {
    if (isStorageFailure(error)) deps.background(tryAgain(deps, end));
    throw error;
  }
}

async function tryAgain({ clock, stopping }: RecordDeps, end: () => Promise<void>): Promise<void> {
  for (let waitMs = WAIT_MS; ; waitMs = Math.min(WAIT_MAX_MS, 2 * waitMs)) {
    await clock.sleep(waitMs, stopping);
    try {
      return await end();
    } catch (error) {
      if (!isStorageFailure(error)) throw error;
    }
  }
}

function isStorageFailure(error: unknown): boolean {
  return error instanceof ProtocolError && error.code === 'storage_unavailable';
}
