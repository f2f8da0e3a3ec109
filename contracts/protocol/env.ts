/** What pure code receives instead of reaching for it: time and randomness (SPEC.md §1). */

/** A source of time. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  nowMs(): number;
  /** Resolves after `ms` milliseconds, or rejects with the signal's reason when it aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** A source of randomness; cryptographic in servers, seeded in the simulation. */
export interface Rng {
  /** `length` fresh random bytes. */
  bytes(length: number): Uint8Array;
}
