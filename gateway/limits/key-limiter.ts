/**
 * What each API key may ask for at a time: requests and tokens a minute, requests at once (DESIGN §13). Kept in memory alone: a
 * gateway that starts anew begins with full buckets. What must survive, money, is the budget's.
 */
import type { Clock } from '#protocol/env';
import { ProtocolError } from '#protocol/errors';
import type { ApiKey } from '../keys.ts';
import { type Bucket, fullBucket, fullInMs, putBack, refilled, taken, unitsIn } from './token-bucket.ts';

/** Limits of one key: 0 is nothing at all. */
export interface KeyRates {
  readonly requestsPerMinute: number;
  /** Prompt and output tokens together; what a request may generate counts until it has ended. */
  readonly tokensPerMinute: number;
  readonly concurrentRequests: number;
}

/**
 * Of keys whose row names none. Above what one process answers (some thousands of requests a second would be 200,000 a minute), so
 * they stop nobody but a loop; the places of one key are half of the connections to a provider, so that no key takes them all.
 */
export const KEY_RATES_DEFAULT: KeyRates = Object.freeze({
  requestsPerMinute: 300_000,
  tokensPerMinute: 300_000_000,
  concurrentRequests: 128,
});

/** Hints for clients that ran into the limit of requests at once: nobody knows when one of theirs ends. */
const PLACE_WAIT_MS = 1_000;

interface KeyState {
  requests: Bucket;
  tokens: Bucket;
  running: number;
}

/** One request that was let in. */
export interface Admission {
  /** Takes tokens before anything is generated. @throws {ProtocolError} rate_limit_exceeded */
  takeTokens(tokens: number): void;
  /** Gives back tokens that were taken and not used. */
  giveBackTokens(tokens: number): void;
  /** Keeps the place for work that outlives the handler. @returns ends that, once */
  hold(): () => void;
}

export class KeyLimiter {
  readonly #clock: Clock;
  readonly #defaults: KeyRates;
  /** One small entry a key that was ever used; unknown keys never come here. */
  readonly #states = new Map<string, KeyState>();

  constructor(clock: Clock, defaults: KeyRates) {
    this.#clock = clock;
    this.#defaults = defaults;
  }

  /**
   * Lets a request in; its place is kept until `leave` and every hold has ended.
   * @throws {ProtocolError} rate_limit_exceeded
   */
  enter(key: ApiKey): Admission & { leave: () => void } {
    const rates = this.#ratesOf(key);
    const state = this.#stateOf(key.keyId, rates);
    if (state.running >= rates.concurrentRequests) {
      const isEver = rates.concurrentRequests > 0;
      throw limited(`Limit: ${rates.concurrentRequests} requests at once.`, isEver ? PLACE_WAIT_MS : null);
    }
    const bucket = taken(state.requests, rates.requestsPerMinute, 1);
    if ('waitMs' in bucket) throw limited(`Limit: ${rates.requestsPerMinute} requests a minute.`, bucket.waitMs);
    state.requests = bucket.bucket;
    state.running++;
    let holds = 0;
    const hold = () => {
      holds++;
      let isHeld = true;
      return () => {
        if (!isHeld) return;
        isHeld = false;
        if (--holds === 0) state.running--;
      };
    };
    return {
      leave: hold(),
      hold,
      takeTokens: (tokens) => {
        this.#refill(state, rates);
        const after = taken(state.tokens, rates.tokensPerMinute, tokens);
        if ('waitMs' in after) {
          throw limited(`Limit: ${rates.tokensPerMinute} tokens a minute. Requested: ${tokens}.`, after.waitMs);
        }
        state.tokens = after.bucket;
      },
      giveBackTokens: (tokens) => {
        this.#refill(state, rates);
        state.tokens = putBack(state.tokens, rates.tokensPerMinute, tokens);
      },
    };
  }

  /** OpenAI's `x-ratelimit-…` headers, as of now. */
  headers(key: ApiKey): Record<string, string> {
    const rates = this.#ratesOf(key);
    const { requests, tokens } = this.#stateOf(key.keyId, rates);
    const of = (what: string, bucket: Bucket, perMinute: number) => ({
      [`x-ratelimit-limit-${what}`]: String(perMinute),
      [`x-ratelimit-remaining-${what}`]: String(unitsIn(bucket)),
      [`x-ratelimit-reset-${what}`]: durationText(fullInMs(bucket, perMinute)),
    });
    return { ...of('requests', requests, rates.requestsPerMinute), ...of('tokens', tokens, rates.tokensPerMinute) };
  }

  #ratesOf({ rates }: ApiKey): KeyRates {
    const { requestsPerMinute, tokensPerMinute, concurrentRequests } = this.#defaults;
    return {
      requestsPerMinute: rates?.requestsPerMinute ?? requestsPerMinute,
      tokensPerMinute: rates?.tokensPerMinute ?? tokensPerMinute,
      concurrentRequests: rates?.concurrentRequests ?? concurrentRequests,
    };
  }

  #stateOf(keyId: string, rates: KeyRates): KeyState {
    const nowMs = this.#clock.nowMs();
    let state = this.#states.get(keyId);
    if (!state) {
      state = {
        requests: fullBucket(rates.requestsPerMinute, nowMs),
        tokens: fullBucket(rates.tokensPerMinute, nowMs),
        running: 0,
      };
      this.#states.set(keyId, state);
    }
    this.#refill(state, rates);
    return state;
  }

  #refill(state: KeyState, rates: KeyRates): void {
    const nowMs = this.#clock.nowMs();
    state.requests = refilled(state.requests, rates.requestsPerMinute, nowMs);
    state.tokens = refilled(state.tokens, rates.tokensPerMinute, nowMs);
  }
}

/** @param waitMs null where waiting does not help */
function limited(limit: string, waitMs: number | null): ProtocolError {
  const advice = waitMs === null ? 'The request is larger than the limit.' : `Try again in ${durationText(waitMs)}.`;
  return new ProtocolError('rate_limit_exceeded', `Rate limit reached for this API key. ${limit} ${advice}`, {
    ...(waitMs === null ? {} : { retryable: true, retryAfterMs: waitMs }),
  });
}

/** A time as OpenAI's headers spell it: `17ms`, `1.5s`, `6m0s`. */
export function durationText(ms: number): string {
  if (ms < 1000) return `${ms}ms`;
  if (ms < 60_000) return `${ms / 1000}s`;
  return `${Math.floor(ms / 60_000)}m${Math.floor((ms % 60_000) / 1000)}s`;
}
