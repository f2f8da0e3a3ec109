/** What one seed stands for: machines, requests, lies and faults, each drawn from a random subset (swarm testing). */
import { CHEAT_NAMES, type CheatName } from '../fixtures/cheats.ts';
import { SeededRng } from './seeded-rng.ts';
import { START_MS } from './virtual-clock.ts';
import { CALM, type NetworkFaults } from './wire.ts';

export interface MachinePlan {
  readonly name: string;
  readonly cheat: CheatName | null;
  /** The one sampler key under which its engine lies; without it, it always does. */
  readonly liesUnderSeed?: bigint;
  readonly jitter: boolean;
  /** Virtual milliseconds for eight tokens. */
  readonly eighthMs: number;
  /** When it dies, and when it is there again over the same store; null: never. */
  readonly diesAtMs: number | null;
  readonly returnsAtMs: number | null;
  /** Dies at this touch of wire, clock or store, and is back `downMs` later. */
  readonly crash?: { readonly afterCrossings: number; readonly downMs: number };
  /** How much its clock is ahead, in milliseconds. */
  readonly skewMs?: number;
  readonly disk?: DiskFault;
}

/** When a disk takes no write. */
export interface DiskFault {
  readonly fromMs: number;
  readonly untilMs: number;
}

/** Where the gateway dies: at this touch of wire, clock or database, counted from the start of its life. */
export interface GatewayCrash {
  readonly afterCrossings: number;
  /** Until it starts again; null never, which is for mutations only. */
  readonly downMs: number | null;
}

export interface RequestPlan {
  readonly atMs: number;
  /** When the client hangs up, counted from `atMs`; null: never. */
  readonly leavesAfterMs: number | null;
  readonly body: Readonly<Record<string, unknown>>;
  readonly agree: number;
  readonly quorum: boolean;
  /** Sent with every try. */
  readonly idempotencyKey?: string;
}

export interface Scenario {
  readonly seed: number;
  readonly machines: readonly MachinePlan[];
  /** Cheaters answer with the same wrong model, else each with its own. */
  readonly colluding: boolean;
  readonly requests: readonly RequestPlan[];
  readonly faults: NetworkFaults;
  /** Draw keys per epoch: few, so that epochs end while requests run. */
  readonly epochSize?: number;
  /** When answers that promise audits have them, in virtual milliseconds after the answer; without, at once. */
  readonly audits?: { readonly delayMs: number; readonly withinMs: number };
  /** What the gateway does beside its honest calls. */
  readonly gatewayLie?: 'ask_twice' | 'replay_orders';
  readonly gatewayCrashes?: readonly GatewayCrash[];
  /** Asked once everything has come to rest: it must be answered. */
  readonly probe?: RequestPlan;
}

/** From here on nothing fails, nobody dies, and everything must come to its end. */
export const FAULTS_END_MS = START_MS + 200_000;

export function scenarioOf(seed: number): Scenario {
  const rng = new SeededRng(`scenario ${seed}`);
  const count = rng.between(3, 7);
  // Drawn apart, so that the rest of a seed is what it was before there were choices.
  const several = new SeededRng(`choices ${seed}`);
  const requests = Array.from({ length: rng.between(2, 4) }, () => withChoices(drawRequest(rng, count), several));
  const leastAgree = Math.min(...requests.filter(({ quorum }) => quorum).map(({ agree }) => agree), count);
  const cheating = rng.chance(0.7);
  // Fewer than `agree` of them in any committee: what the protocol promises to hold against.
  const cheats = cheating ? rng.between(0, Math.max(0, leastAgree - 1)) : 0;
  const jitter = rng.chance(0.3);
  const dying = rng.chance(0.3);
  const machines = Array.from({ length: count }, (_, i): MachinePlan => {
    const dies = dying && rng.chance(0.4) ? START_MS + rng.between(0, 30_000) : null;
    return {
      name: `p${i}`,
      cheat: i < cheats ? drawCheat(rng, i) : null,
      jitter: jitter && rng.chance(0.6),
      eighthMs: rng.pick([1, 5, 20, 200]),
      diesAtMs: dies,
      returnsAtMs: dies !== null && rng.chance(0.5) ? dies + rng.between(10, 20_000) : null,
    };
  });
  const colluding = rng.chance(0.5);
  const faults = drawFaults(rng);
  const epochSize = rng.pick([64, 64, 8, 2]);
  if (!rng.chance(0.3)) return { seed, machines, colluding, requests, faults, epochSize };
  // All at one instant: what is only safe one after the other shows here.
  const [{ atMs }] = requests as [RequestPlan];
  const burst = requests.map((request) => ({ ...request, atMs }));
  return { seed, machines, colluding, requests: burst, faults, epochSize };
}

/** At most one machine lies as a scorer: two of them could stand for two fresh voices. */
function drawCheat(rng: SeededRng, index: number): CheatName {
  return rng.pick(index === 0 ? CHEAT_NAMES : CHEAT_NAMES.filter((name) => name !== 'lying_scorer'));
}

function drawRequest(rng: SeededRng, providers: number): RequestPlan {
  const quorum = rng.chance(0.9);
  const n = rng.pick([1, 3, 3, 3, 5, 5].filter((seats) => seats <= providers));
  const agree = rng.chance(0.6) ? Math.floor((2 * n) / 3) + 1 : rng.between(1, n);
  const sampled = rng.chance(0.6);
  const policy = quorum
    ? {
        mode: 'quorum',
        n,
        agree,
        release: rng.pick(['verified', 'verified', 'eager']),
        on_inconclusive: rng.pick(['error', 'error', 'best_effort']),
      }
    : { mode: 'single' };
  return {
    atMs: START_MS + rng.between(0, 20_000),
    leavesAfterMs: rng.chance(0.1) ? rng.between(1, 2_000) : null,
    quorum,
    agree: quorum ? agree : 1,
    body: {
      model: 'toy',
      messages: [{ role: 'user', content: `question ${rng.between(0, 10 ** 9)}` }],
      max_tokens: rng.pick([1, 2, 7, 20, 60, 120]),
      stream: rng.chance(0.5),
      temperature: sampled ? rng.pick([0.3, 0.7, 1, 1.5]) : 0,
      ...(sampled && rng.chance(0.3) ? { top_p: rng.pick([0.5, 0.9]) } : {}),
      ...(sampled && rng.chance(0.3) ? { top_k: rng.pick([1, 3, 20]) } : {}),
      ...(rng.chance(0.3) ? { stop: rng.pick(['e', 'qu', ['a', 'zz']]) } : {}),
      ...(rng.chance(0.3) ? { frequency_penalty: 0.5 } : {}),
      ...(rng.chance(0.4) ? { seed: rng.between(0, 1000) } : {}),
      verification: policy,
    },
  };
}

/** A third of the requests ask for two or three choices. */
function withChoices(request: RequestPlan, rng: SeededRng): RequestPlan {
  return rng.chance(1 / 3) ? { ...request, body: { ...request.body, n: rng.between(2, 3) } } : request;
}

/** Each fault is on in a third of the seeds: faults that are always on hide each other. */
function drawFaults(rng: SeededRng): NetworkFaults {
  if (rng.chance(0.4)) return CALM;
  const sometimes = (value: number) => (rng.chance(1 / 3) ? value * rng.unit() : 0);
  return {
    latencyMaxMs: rng.pick([1, 20, 500]),
    lossChance: sometimes(0.1),
    refuseChance: sometimes(0.1),
    duplicateChance: sometimes(0.3),
    breakChance: sometimes(0.05),
    pauseChance: sometimes(0.1),
    pauseMs: rng.pick([100, 5_000, 30_000]),
    untilMs: FAULTS_END_MS,
  };
}
