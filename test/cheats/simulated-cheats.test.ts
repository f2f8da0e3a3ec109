/** Every cheat as seeded cases of the simulation: plain and streamed, with who is drawn decided by the seed. */
import { expect, test } from 'vitest';
import { LOCAL_DOMAIN } from '#protocol/eip712';
import { signerOfTwoRoots, zTwoRootsReply } from '#protocol/two-roots';
import { listDisputes } from '../../gateway/store/disputes-repo.ts';
import type { CheatName } from '../fixtures/cheats.ts';
import { askTwice } from '../fixtures/cheats-gateway.ts';
import { STAKE_NANO, stakeOf } from '../fixtures/network.ts';
import { livenessViolations } from '../simulation/liveness.ts';
import { outcomeOf } from '../simulation/outcome.ts';
import { safetyViolations } from '../simulation/safety.ts';
import type { MachinePlan, RequestPlan, Scenario } from '../simulation/scenario.ts';
import { SeededRng } from '../simulation/seeded-rng.ts';
import { type Run, simulate } from '../simulation/simulation.ts';
import { START_MS } from '../simulation/virtual-clock.ts';
import { CALM } from '../simulation/wire.ts';
import { EXPECTATIONS, EXPECTED_NAMES } from './expectations.ts';

const SEEDS = [1, 2];
/** A member of five sits in a committee of three with probability 3/5; the seeds below have it drawn. */
const REQUESTS = 4;

function scenarioOf(
  seed: number,
  cheats: readonly (CheatName | null)[],
  { sampled = false, plainOnly = false, agree = 3 } = {},
): Scenario {
  const rng = new SeededRng(`cheats ${seed}`);
  const machines = cheats.map((cheat, i): MachinePlan => {
    return { name: `p${i}`, cheat, jitter: false, eighthMs: rng.pick([1, 20]), diesAtMs: null, returnsAtMs: null };
  });
  const requests = Array.from({ length: REQUESTS }, (_, i): RequestPlan => {
    const body = {
      model: 'toy',
      messages: [{ role: 'user', content: `question ${seed} ${i}` }],
      max_tokens: 30,
      stream: i % 2 === 1 && !plainOnly,
      // The toy model's end of text (id 0) stays out of the way, so that every answer is long enough to lie in.
      logit_bias: { 0: -100 },
      ...(sampled ? { temperature: 0.9, seed: i } : { temperature: 0 }),
      verification: { mode: 'quorum', n: 3, agree },
    };
    return { atMs: START_MS + 1_000 * i, leavesAfterMs: null, quorum: true, agree, body };
  });
  return { seed, machines, colluding: true, requests, faults: CALM, epochSize: 64 };
}

async function withRun(scenario: Scenario, work: (run: Run) => Promise<void>): Promise<void> {
  const run = await simulate(scenario);
  try {
    expect(await safetyViolations(run)).toEqual([]);
    expect(await livenessViolations(run)).toEqual([]);
    await work(run);
  } finally {
    await run.close();
  }
}

const cases = EXPECTED_NAMES.flatMap((name) => SEEDS.map((seed) => [name, seed] as const));

test.each(cases)(
  '%s, seed %i: the client is served rightly, the cheat is recorded and ruled on',
  async (name, seed) => {
    const expected = EXPECTATIONS[name];
    const scenario = scenarioOf(seed, [name, null, null, null, null], expected);
    await withRun(scenario, async (run) => {
      const { address } = run.machines[0]!.signer;
      let seated = 0;
      for (const answer of run.answers) {
        const outcome = outcomeOf(answer);
        if (outcome.kind !== 'answered') throw new Error(`no answer: ${JSON.stringify(outcome)}`);
        const { waves, faults, verdict } = outcome.statement;
        expect(verdict).toBe('agreed');
        if (!waves.some(({ members }) => members.some(({ provider }) => provider === address))) continue;
        seated++;
        expect(faults.filter(({ provider }) => provider === address).map(({ fault }) => fault)).toEqual([
          expected.fault,
        ]);
      }
      expect(seated).toBeGreaterThan(0);
      const disputes = await run.store.read((handle) => listDisputes(handle, { limit: 100 }));
      const rulings = new Set(disputes.map(({ ruling }) => ruling));
      expect([...rulings]).toEqual(expected.ruling === null ? [] : [expected.ruling]);
      const lost = STAKE_NANO - (await stakeOf(run.store, address));
      if (expected.slashBps === 0n) expect(lost).toBe(0n);
      else expect(lost).toBeGreaterThanOrEqual((STAKE_NANO * expected.slashBps) / 10_000n);
    });
  },
);

test.each(SEEDS)('two colluders in three, seed %i: escalated, never served, both slashed', async (seed) => {
  const scenario = scenarioOf(seed, ['smaller_model', 'smaller_model', null, null, null]);
  await withRun(scenario, async (run) => {
    const colluders = run.machines.slice(0, 2).map(({ signer }) => signer.address);
    const both = run.answers.filter((answer) => {
      const outcome = outcomeOf(answer);
      if (outcome.kind !== 'answered') return false;
      const members = outcome.statement.waves.flatMap((wave) => wave.members.map(({ provider }) => provider));
      return colluders.every((address) => members.includes(address)) && outcome.statement.scores.length > 0;
    });
    expect(both.length).toBeGreaterThan(0);
    for (const address of colluders) expect(await stakeOf(run.store, address)).toBeLessThan(STAKE_NANO);
  });
});

test.each(SEEDS)('a lying scorer beside a cheat, seed %i: nobody honest pays', async (seed) => {
  const scenario = scenarioOf(seed, ['smaller_model', 'lying_scorer', null, null, null], { agree: 2 });
  await withRun(scenario, async (run) => {
    expect(run.answers.map((answer) => outcomeOf(answer).kind)).toEqual(run.answers.map(() => 'answered'));
  });
});

test.each(SEEDS)(
  'a gateway that demands two openings, seed %i: refused everywhere, proven by every member',
  async (seed) => {
    const run = await simulate(scenarioOf(seed, [null, null, null, null, null]), {
      lie: (fetch, signer) => askTwice(fetch, signer),
    });
    try {
      expect(await safetyViolations(run)).toEqual([]);
      let proofs = 0;
      for (const { plan } of run.machines) {
        const reply = await run.get(`http://${plan.name}/v1/two-roots`);
        for (const evidence of zTwoRootsReply.parse(reply).items) {
          const keys = { domain: LOCAL_DOMAIN, recover: run.keys.recover };
          expect(signerOfTwoRoots(evidence, keys)).toBe(run.gatewayAddress);
          proofs++;
        }
      }
      // Three members for each of four answers at least.
      expect(proofs).toBeGreaterThanOrEqual(3 * REQUESTS);
    } finally {
      await run.close();
    }
  },
);
