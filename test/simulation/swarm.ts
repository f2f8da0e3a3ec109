/**
 * Harder seeds: on top of the usual scenario crashes of the gateway and of providers, partitions, overtaking, full disks, wrong clocks.
 * Swarm testing: each seed has a random subset of them, since faults that are always on hide each other.
 */
import {
  FAULTS_END_MS,
  type GatewayCrash,
  type MachinePlan,
  type RequestPlan,
  type Scenario,
  scenarioOf,
} from './scenario.ts';
import { SeededRng } from './seeded-rng.ts';
import { START_MS } from './virtual-clock.ts';
import type { NetworkFaults, Partition } from './wire.ts';

/** The kinds of fault that a seed may or may not have. */
const KINDS = ['gateway_crash', 'crash', 'partition', 'late', 'disk', 'skew', 'retry'] as const;
type Kind = (typeof KINDS)[number];

/** A request's way from acceptance to receipt touches the world about 100 times, a start about 20 times. */
const LIFE_CROSSINGS = [5, 20, 60, 150, 400];
const START_CROSSINGS = 25;
/** The provider's own tolerance is 30 s (SPEC §6): both sides of it. */
const SKEWS_MS = [-600_000, -40_000, -20_000, -50, 50, 20_000, 40_000, 600_000];

/** Seats of the last request. As many more are asked where some refuse: that many may have clocks that make them refuse. */
const PROBE_SEATS = 3;

export function swarmOf(seed: number): Scenario {
  const base = scenarioOf(seed);
  const rng = new SeededRng(`swarm ${seed}`);
  const features = rng.branch('features');
  const on = new Set<Kind>(KINDS.filter(() => rng.chance(0.4)));
  const machines = base.machines.map((plan) => hardened(plan, on, rng));
  const usable = machines.filter(({ skewMs }) => Math.abs(skewMs ?? 0) < 25_000).length;
  return {
    ...base,
    machines,
    requests: base.requests.map((plan, i) =>
      featured(on.has('retry') ? { ...plan, idempotencyKey: `key-${seed}-${i}` } : plan, features),
    ),
    faults: faultsOf(base, on, rng),
    ...(on.has('gateway_crash') ? { gatewayCrashes: crashesOf(rng) } : {}),
    ...(rng.chance(0.15) ? { gatewayLie: rng.pick(['ask_twice', 'replay_orders'] as const) } : {}),
    ...(usable >= PROBE_SEATS && machines.length - usable <= PROBE_SEATS ? { probe: probeOf(seed) } : {}),
  };
}

/** Several choices of one answer, and log-probabilities: what is sealed and settled for each of them apart. */
function featured(plan: RequestPlan, rng: SeededRng): RequestPlan {
  const choices = rng.chance(0.15) ? { n: rng.pick([2, 3]) } : {};
  const logprobs = rng.chance(0.15) ? { logprobs: true, top_logprobs: rng.pick([0, 2, 20]) } : {};
  return { ...plan, body: { ...plan.body, ...choices, ...logprobs } };
}

function hardened(plan: MachinePlan, on: ReadonlySet<Kind>, rng: SeededRng): MachinePlan {
  const crashes = on.has('crash') && rng.chance(0.4);
  const skewed = on.has('skew') && rng.chance(0.5);
  const full = on.has('disk') && rng.chance(0.4);
  const fromMs = START_MS + rng.between(0, 20_000);
  return {
    ...plan,
    // Everybody is there again when faults stop: whoever asks then must be answered.
    diesAtMs: crashes ? null : plan.diesAtMs,
    returnsAtMs: plan.diesAtMs === null ? null : (plan.returnsAtMs ?? FAULTS_END_MS),
    ...(crashes ? { crash: { afterCrossings: rng.between(1, 120), downMs: rng.pick([10, 500, 5_000, 60_000]) } } : {}),
    ...(skewed ? { skewMs: rng.pick(SKEWS_MS) } : {}),
    ...(full ? { disk: { fromMs, untilMs: fromMs + rng.pick([100, 3_000, 60_000]) } } : {}),
  };
}

function crashesOf(rng: SeededRng): GatewayCrash[] {
  return Array.from({ length: rng.between(1, 4) }, (_, i) => ({
    // A later life may already end while it starts.
    afterCrossings:
      i > 0 && rng.chance(0.4) ? rng.between(1, START_CROSSINGS) : rng.between(1, rng.pick(LIFE_CROSSINGS)),
    downMs: rng.pick([0, 50, 2_000, 30_000]),
  }));
}

function faultsOf({ faults, machines }: Scenario, on: ReadonlySet<Kind>, rng: SeededRng): NetworkFaults {
  const partitions = Array.from({ length: on.has('partition') ? rng.between(1, 4) : 0 }, (): Partition => {
    const fromMs = START_MS + rng.between(0, 25_000);
    return {
      host: rng.chance(0.1) ? 'referee' : rng.pick(machines).name,
      direction: rng.pick(['to', 'from', 'both']),
      fromMs,
      untilMs: fromMs + rng.pick([200, 3_000, 15_000, 90_000]),
    };
  });
  return {
    ...faults,
    untilMs: FAULTS_END_MS,
    ...(partitions.length > 0 ? { partitions } : {}),
    ...(on.has('late') ? { lateChance: 0.3 * rng.unit(), lateMs: rng.pick([50, 2_000, 15_000]) } : {}),
  };
}

/** Plain, small, three seats: nothing that enough honest machines could refuse. */
function probeOf(seed: number): RequestPlan {
  const body = {
    model: 'toy',
    messages: [{ role: 'user', content: `is all well after ${seed}?` }],
    max_tokens: 8,
    temperature: 0,
    verification: { mode: 'quorum', n: PROBE_SEATS, agree: 2 },
  };
  return { atMs: 0, leavesAfterMs: null, quorum: true, agree: 2, body };
}
