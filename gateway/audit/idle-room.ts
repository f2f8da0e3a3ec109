/** Whole answers for audits go to machines that are idle enough: they wait for no client, and no client waits for them (SPEC.md §8.1). Pure. */

/** One place in eight stays free beside an audit, at least one where there are two. */
const KEPT_FREE = 8;

/**
 * Whether a whole answer fits beside what a provider is at, with places to spare for clients that come meanwhile: so it is neither queued nor
 * refused, which would tell it from orders that come at any time.
 * @param running jobs of this gateway that it is at @param concurrency jobs that it takes at one time
 */
export function hasIdleRoom(running: number, concurrency: number): boolean {
  const kept = concurrency < 2 ? 0 : Math.ceil(concurrency / KEPT_FREE);
  return running + 1 + kept <= Math.max(1, concurrency);
}
