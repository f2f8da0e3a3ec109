/** The system's randomness, fetched by the page: one request needs it a dozen times, and a call costs more than its bytes. */
import { randomFillSync } from 'node:crypto';
import type { Rng } from '#protocol/env';

const POOL_BYTES = 4096;

/** Every byte is given out once and wiped from the pool. */
export function createSystemRng(): Rng {
  const pool = new Uint8Array(POOL_BYTES);
  let used = POOL_BYTES;
  return {
    bytes(length) {
      if (length > POOL_BYTES) return randomFillSync(new Uint8Array(length));
      if (used + length > POOL_BYTES) {
        randomFillSync(pool);
        used = 0;
      }
      const given = pool.slice(used, used + length);
      pool.fill(0, used, used + length);
      used += length;
      return given;
    },
  };
}
