/**
 * Seeds of their own whose requests ask to be witnessed or audited beside the quorums, under everything that the harder seeds do. A
 * family beside the others: what their recorded seeds stand for stays as it was.
 */
import { WITNESSED_AGREE_MIN } from '#protocol/policy';
import type { RequestPlan, Scenario } from './scenario.ts';
import { SeededRng } from './seeded-rng.ts';
import { swarmOf } from './swarm.ts';

/** Longer than anybody is away for: FAULTS_END_MS is 200 s after the start, and the last may be asked then and audited 120 s later. */
const AUDITED_WITHIN_MS = 600_000;

export function watchedOf(seed: number): Scenario {
  const base = swarmOf(seed);
  const rng = new SeededRng(`watched ${seed}`);
  const liars = base.machines.filter(({ cheat }) => cheat !== null).length;
  const room = { seats: base.machines.length, agreeMin: Math.max(WITNESSED_AGREE_MIN, liars + 1) };
  const requests = base.requests.map((plan) => watched(plan, room, rng));
  // Epochs end while the run goes on: only then their audits are proven.
  const epochSize = rng.pick([2, 4, 64]);
  return {
    ...base,
    requests,
    epochSize,
    audits: { delayMs: rng.pick([0, 20_000, 120_000]), withinMs: AUDITED_WITHIN_MS },
  };
}

/** @param room `agreeMin`: more than all who lie together, so that an honest voice is behind whatever is accepted */
function watched(plan: RequestPlan, room: { seats: number; agreeMin: number }, rng: SeededRng): RequestPlan {
  const asked = rng.pick(['witnessed', 'witnessed', 'audited', 'as it was'] as const);
  if (asked === 'as it was') return plan;
  if (asked === 'audited') {
    const rate = rng.chance(0.5) ? { audit_rate: rng.pick([0.05, 0.5, 1]) } : {};
    return { ...plan, agree: 1, quorum: false, body: { ...plan.body, verification: { mode: 'audited', ...rate } } };
  }
  const agree = rng.between(room.agreeMin, Math.min(room.seats, room.agreeMin + 1));
  const verification = {
    mode: 'witnessed',
    n: rng.between(agree, Math.min(room.seats, agree + 2)),
    agree,
    release: rng.pick(['verified', 'verified', 'eager']),
    on_inconclusive: rng.pick(['error', 'error', 'best_effort']),
  };
  return { ...plan, agree, quorum: true, body: { ...plan.body, verification } };
}
