/** Deadlines on the injected clock; what misses one is aborted, body included (DESIGN §13). */
import { setMaxListeners } from 'node:events';
import { after, type Clock } from '#protocol/env';
import { ProtocolError } from '#protocol/errors';

/**
 * More than listen to one request: 128 choices with 15 members and a few steps each. Not 0 for "no limit": Node 20's
 * getMaxListeners takes that for a target that has none and throws, and undici asks before every fetch.
 */
const LISTENERS_MAX = 10_000;

/** A signal of its own that also follows others. */
export interface LinkedAbort {
  readonly signal: AbortSignal;
  abort(reason: unknown): void;
  /** Forgets the parents. */
  release(): void;
}

/**
 * Aborts with the first of `parents`, until released.
 * RATIONALE: AbortSignal.any is not used, because Node 20 keeps every joined signal for as long as a parent lives, and the
 * gateway's own stop signal lives as long as the gateway.
 */
export function linkAbort(parents: readonly AbortSignal[]): LinkedAbort {
  const own = new AbortController();
  // Every member of every choice listens, and every step of it while it runs: Node would take more than ten for a leak.
  setMaxListeners(LISTENERS_MAX, own.signal);
  const links = parents.map((parent) => ({ parent, follow: () => own.abort(parent.reason) }));
  for (const { parent, follow } of links) {
    if (parent.aborted) follow();
    else parent.addEventListener('abort', follow, { once: true });
  }
  return {
    signal: own.signal,
    abort: (reason) => own.abort(reason),
    release() {
      for (const { parent, follow } of links) parent.removeEventListener('abort', follow);
    },
  };
}

/**
 * The life of one request: ends with the first of `parents`, or at `endsAtMs` on the clock, and takes everything with it that
 * still runs for it.
 */
export function requestLife(clock: Clock, endsAtMs: number, parents: readonly AbortSignal[]): LinkedAbort {
  const life = linkAbort(parents);
  const cancel = after(clock, Math.max(0, endsAtMs - clock.nowMs()), () => {
    // No DeadlineError: that one blames a member, and the attempt would go on without it.
    life.abort(new ProtocolError('deadline_exceeded', 'The request took too long. Nothing was charged.'));
  });
  return {
    ...life,
    release() {
      cancel();
      life.release();
    },
  };
}

/** Thrown by `within` when the time is over. */
export class DeadlineError extends ProtocolError {
  constructor() {
    super('deadline_exceeded', 'a deadline has passed', { retryable: true });
  }
}

/**
 * Runs `work` until `atMs` on the clock.
 * @param work may ask for a signal, made then, that aborts at the deadline or with `parent`
 * @throws {DeadlineError} at the deadline; the parent's reason when the parent aborts first
 */
export function within<T>(
  clock: Clock,
  atMs: number,
  parent: AbortSignal,
  work: (signal: () => AbortSignal) => Promise<T>,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let own: AbortController | null = null;
    let over: { readonly reason: unknown } | null = null;
    const onParent = () => end(parent.reason);
    const cancel = after(clock, Math.max(0, atMs - clock.nowMs()), () => end(new DeadlineError()));
    const settled = () => {
      cancel();
      parent.removeEventListener('abort', onParent);
    };
    const end = (reason: unknown) => {
      if (over) return;
      over = { reason };
      settled();
      own?.abort(reason);
      reject(reason);
    };
    if (parent.aborted) onParent();
    else parent.addEventListener('abort', onParent, { once: true });
    const signal = () => {
      own ??= new AbortController();
      if (over) own.abort(over.reason);
      return own.signal;
    };
    begun(() => work(signal)).then(
      (result) => {
        settled();
        resolve(result);
      },
      (error: unknown) => {
        settled();
        reject(error);
      },
    );
  });
}

/** What throws at once is a rejection, too. */
async function begun<T>(work: () => Promise<T>): Promise<T> {
  return work();
}
