import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Cluster, rateUpperBound } from '#protocol/rate-bound';
import { uniforms } from '../fixtures/uniforms.ts';

/** Responses of which some are bad as a whole: nearly all their positions have the event, as after one bad prompt. */
function dependentClusters(next: () => number, count: number, badShare: number): Cluster[] {
  return Array.from({ length: count }, () => {
    const positions = 8 + Math.floor(next() * 25);
    const chance = next() < badShare ? 0.9 : 0.002;
    let events = 0;
    for (let i = 0; i < positions; i++) if (next() < chance) events++;
    return { events, positions };
  });
}

const clusterArb = fc
  .record({ positions: fc.integer({ min: 1, max: 40 }), share: fc.double({ min: 0, max: 1, noNaN: true }) })
  .map(({ positions, share }): Cluster => ({ positions, events: Math.round(share * positions) }));
const clustersArb = fc.array(clusterArb, { minLength: 1, maxLength: 80 });

describe('rateUpperBound', () => {
  it.each([0.01, 0.05])(
    'misses the true rate of wholly dependent positions no more often than delta = 0.1 at %d bad responses',
    (badShare) => {
      const truth = badShare * 0.9 + (1 - badShare) * 0.002;
      const next = uniforms(7);
      let missed = 0;
      const runs = 400;
      for (let run = 0; run < runs; run++) {
        if (rateUpperBound(dependentClusters(next, 120, badShare), 0.1) < truth) missed++;
      }
      // 400 runs at 0.1 would give 40; the bound is conservative, so that 40 is never reached.
      expect(missed).toBeLessThan(40);
      // The same events counted as if they were independent would be wrong far more often.
      let naive = 0;
      for (let run = 0; run < runs; run++) {
        const split = dependentClusters(next, 120, badShare).flatMap(({ events, positions }) =>
          Array.from({ length: positions }, (_, i): Cluster => ({ events: i < events ? 1 : 0, positions: 1 })),
        );
        if (rateUpperBound(split, 0.1) < truth) naive++;
      }
      expect(naive).toBeGreaterThan(2 * missed);
    },
  );

  it('is near ln(2 / delta) over the responses where no event was seen', () => {
    const clusters = Array.from({ length: 5000 }, () => ({ events: 0, positions: 32 }));
    const bound = rateUpperBound(clusters, 1e-5);
    expect(bound).toBeGreaterThan(Math.log(1e5) / 5000);
    expect(bound).toBeLessThan((1.01 * Math.log(2e5)) / 5000);
  });

  it('is never below the rate that was seen, and 1 where nothing was', () => {
    fc.assert(
      fc.property(clustersArb, (clusters) => {
        const events = clusters.reduce((sum, cluster) => sum + cluster.events, 0);
        const positions = clusters.reduce((sum, cluster) => sum + cluster.positions, 0);
        expect(rateUpperBound(clusters, 0.01)).toBeGreaterThanOrEqual(events / positions - 1e-9);
      }),
    );
    expect(rateUpperBound([], 0.01)).toBe(1);
    expect(rateUpperBound([{ events: 0, positions: 0 }], 0.01)).toBe(1);
  });

  it('rises with every event, falls with every quiet response and with delta', () => {
    fc.assert(
      fc.property(clustersArb, fc.nat(), (clusters, at) => {
        const bound = rateUpperBound(clusters, 0.01);
        const [longest] = [...clusters].sort((a, b) => b.positions - a.positions);
        const worse = clusters.map((cluster, i) =>
          i === at % clusters.length
            ? { ...cluster, events: Math.min(cluster.positions, cluster.events + 1) }
            : cluster,
        );
        expect(rateUpperBound(worse, 0.01)).toBeGreaterThanOrEqual(bound - 1e-9);
        expect(rateUpperBound([...clusters, { ...longest!, events: 0 }], 0.01)).toBeLessThanOrEqual(bound + 1e-9);
        expect(rateUpperBound(clusters, 0.1)).toBeLessThanOrEqual(bound + 1e-9);
      }),
    );
  });
});
