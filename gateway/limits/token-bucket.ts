/** A token bucket in whole numbers: what comes in evenly over a minute, and may be used at once up to a minute's worth. Pure. */

const MINUTE_MS = 60_000;
/** Highest rate a minute: times 60,000 it is still an exact double. */
export const RATE_MAX = 100_000_000_000;

/** How full a bucket was at a time; levels count in 1/60,000 of a unit, so that one millisecond refills a whole number. */
export interface Bucket {
  readonly level: number;
  readonly atMs: number;
}

/** @param perMinute 0 to RATE_MAX, whole */
export function fullBucket(perMinute: number, nowMs: number): Bucket {
  return { level: perMinute * MINUTE_MS, atMs: nowMs };
}

/** The bucket as it is now; a rate that was lowered meanwhile cuts it. A clock that was set back refills nothing. */
export function refilled(bucket: Bucket, perMinute: number, nowMs: number): Bucket {
  const elapsedMs = Math.min(MINUTE_MS, Math.max(0, Math.floor(nowMs - bucket.atMs)));
  const level = Math.min(perMinute * MINUTE_MS, bucket.level + elapsedMs * perMinute);
  return { level, atMs: Math.max(bucket.atMs, nowMs) };
}

/** Whole units in a bucket. */
export function unitsIn(bucket: Bucket): number {
  return Math.floor(bucket.level / MINUTE_MS);
}

/**
 * Takes `units` out of a refilled bucket.
 * @returns the bucket after it; or in how many milliseconds there will be enough, null where there never will
 */
export function taken(
  bucket: Bucket,
  perMinute: number,
  units: number,
): { readonly bucket: Bucket } | { readonly waitMs: number | null } {
  const asked = units * MINUTE_MS;
  if (asked <= bucket.level) return { bucket: { ...bucket, level: bucket.level - asked } };
  if (units > perMinute) return { waitMs: null };
  return { waitMs: Math.ceil((asked - bucket.level) / perMinute) };
}

/** Puts back what was taken and not used, as far as it fits. */
export function putBack(bucket: Bucket, perMinute: number, units: number): Bucket {
  return { ...bucket, level: Math.min(perMinute * MINUTE_MS, bucket.level + units * MINUTE_MS) };
}

/** Milliseconds until the bucket is full. */
export function fullInMs(bucket: Bucket, perMinute: number): number {
  if (perMinute === 0) return 0;
  return Math.ceil((perMinute * MINUTE_MS - bucket.level) / perMinute);
}
