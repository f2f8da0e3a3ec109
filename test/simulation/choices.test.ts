/** Several choices of one request: a lie in one of them is found there, and touches no other (SPEC.md §4.4, spec-judge.md §7.7). */
import { expect, test } from 'vitest';
import { choicesOf } from '#protocol/choices';
import { LOCAL_DOMAIN } from '#protocol/eip712';
import { choiceSeed } from '#protocol/request';
import { zDisputeBundle } from '../../gateway/dispute/bundle.ts';
import { findingOf } from '../../gateway/dispute/finding.ts';
import { listDisputes } from '../../gateway/store/disputes-repo.ts';
import { jobById, jobsOfRequest } from '../../gateway/store/jobs-repo.ts';
import { transferById } from '../../gateway/store/ledger-repo.ts';
import type { CheatName } from '../fixtures/cheats.ts';
import { livenessViolations } from './liveness.ts';
import { outcomeOf } from './outcome.ts';
import { safetyViolations } from './safety.ts';
import type { MachinePlan, RequestPlan, Scenario } from './scenario.ts';
import { type Run, simulate } from './simulation.ts';
import { TOY_MODEL, toyCalibration } from './toy-machine.ts';
import { START_MS } from './virtual-clock.ts';
import { CALM } from './wire.ts';

const SEED = 7;
const CHOICES = 3;
/** The choice that is lied about. */
const LIED = 1;

interface Shape {
  readonly cheat: CheatName;
  readonly stream: boolean;
  readonly leavesAfterMs?: number;
  /** Of so many machines so many lie, and so many are drawn. */
  readonly crowd?: { readonly machines: number; readonly liars: number; readonly seats: number };
}

function scenarioWith({ cheat, stream, leavesAfterMs, crowd }: Shape): Scenario {
  const { machines: count, liars, seats } = crowd ?? { machines: 5, liars: 1, seats: 3 };
  const cheats = Array.from({ length: count }, (_, i) => (i < liars ? cheat : null));
  const machines = cheats.map((lie, i): MachinePlan => {
    const plan = { name: `p${i}`, cheat: lie, jitter: false, eighthMs: 5, diesAtMs: null, returnsAtMs: null };
    return lie === null ? plan : { ...plan, liesUnderSeed: choiceSeed(BigInt(SEED), LIED) };
  });
  const requests = Array.from({ length: 4 }, (_, i): RequestPlan => {
    const body = {
      model: 'toy',
      messages: [{ role: 'user', content: `Tell me ${i}` }],
      max_tokens: 30,
      logit_bias: { 0: -100 },
      temperature: 1,
      seed: SEED,
      n: CHOICES,
      stream,
      verification: { mode: 'quorum', n: seats, agree: 3 },
    };
    return { atMs: START_MS + 1000 * i, leavesAfterMs: leavesAfterMs ?? null, quorum: true, agree: 3, body };
  });
  return { seed: 5, machines, colluding: liars === 1, requests, faults: CALM };
}

async function inRun(scenario: Scenario, look: (run: Run) => Promise<void>): Promise<void> {
  const run = await simulate(scenario);
  try {
    expect([...(await safetyViolations(run)), ...(await livenessViolations(run))]).toEqual([]);
    await look(run);
  } finally {
    await run.close();
  }
}

test.each([
  ['smaller_model', false],
  ['smaller_model', true],
  ['early_stop', false],
] as const)(
  '%s in one choice alone (streamed: %s) is rejected there and counted in the others',
  async (cheat, stream) => {
    await inRun(scenarioWith({ cheat, stream }), async (run) => {
      const liar = run.machines[0]!.signer.address;
      let caught = 0;
      for (const answer of run.answers) {
        const outcome = outcomeOf(answer);
        expect(outcome).toMatchObject({ kind: 'answered', statement: { verdict: 'agreed' } });
        if (outcome.kind !== 'answered') continue;
        const choices = choicesOf(outcome.statement);
        const standings = choices.map((choice) => {
          const members = choice.waves.flatMap((wave) => wave.members);
          return members.find(({ provider }) => provider === liar)?.standing ?? null;
        });
        if (standings[0] === null) continue;
        caught++;
        expect(standings).toEqual(['counted', 'rejected', 'counted']);
        const accused = choices.map((choice) => choice.faults.map(({ provider, fault }) => [provider, fault]));
        expect(accused).toEqual([[], [[liar, 'wrong_output']], []]);
      }
      expect(caught).toBeGreaterThan(0);
    });
  },
);

test('its bundle holds the order of that choice, and anybody comes to the same ruling', async () => {
  await inRun(scenarioWith({ cheat: 'smaller_model', stream: false }), async (run) => {
    const disputes = await run.store.read((handle) => listDisputes(handle, { limit: 10 }));
    expect(disputes.length).toBeGreaterThan(0);
    for (const dispute of disputes) {
      const bundle = zDisputeBundle.parse(JSON.parse(dispute.bundleJson!));
      expect(bundle.terms.seed).toBe(choiceSeed(BigInt(SEED), LIED).toString());
      const court = {
        domain: LOCAL_DOMAIN,
        recover: run.keys.recover,
        text: TOY_MODEL.text,
        calibrationOf: toyCalibration,
      };
      expect(findingOf(bundle, court)).toEqual({ ruling: 'upheld', finding: bundle.finding });
      expect(dispute.ruling).toBe('upheld');
      // With another choice's seed the ticket is another order: nobody can be judged by it.
      const other = { ...bundle, terms: { ...bundle.terms, seed: String(SEED) } };
      expect(findingOf(other, court).ruling).toBe('abandoned');
    }
  });
});

test('the referee of the dispute works for the choice that the dispute is about', async () => {
  await inRun(scenarioWith({ cheat: 'smaller_model', stream: false }), async (run) => {
    const disputes = await run.store.read((handle) => listDisputes(handle, { limit: 10 }));
    for (const { requestId, jobId } of disputes) {
      const accused = await run.store.read((handle) => jobById(handle, jobId));
      const jobs = await run.store.read((handle) => jobsOfRequest(handle, requestId));
      expect(accused!.choice).toBe(LIED);
      const extra = jobs.filter((job) => job.role !== 'member');
      expect(extra.length).toBeGreaterThan(0);
      expect(new Set(extra.map((job) => job.choice))).toEqual(new Set([LIED]));
    }
  });
});

test('who was right in other choices alone gets nothing of a slash', async () => {
  const crowd = { machines: 7, liars: 2, seats: 5 };
  await inRun(scenarioWith({ cheat: 'smaller_model', stream: false, crowd }), async (run) => {
    const liars = run.machines.slice(0, 2).map(({ signer }) => signer.address);
    const disputes = await run.store.read((handle) => listDisputes(handle, { limit: 20, state: 'settled' }));
    const accused = new Map<string, number>();
    for (const { requestId } of disputes) accused.set(requestId, (accused.get(requestId) ?? 0) + 1);
    // Both of them were drawn and lied in the same choice, and both were counted in the others.
    expect([...accused.values()]).toContain(2);
    for (const { disputeId, requestId } of disputes) {
      if (accused.get(requestId) !== 2) continue;
      const transfer = await run.store.read((handle) => transferById(handle, `dispute:${disputeId}`));
      const paid = transfer!.postings
        .map(({ account }) => account)
        .filter((account) => account.startsWith('earnings:'));
      expect(paid.length).toBeGreaterThan(0);
      for (const liar of liars) expect(paid).not.toContain(`earnings:${liar}`);
    }
  });
});

test.each([1, 8, 15, 30])(
  'a client that leaves after %i ms ends all choices, and nothing stays held',
  async (leavesAfterMs) => {
    await inRun(scenarioWith({ cheat: 'smaller_model', stream: true, leavesAfterMs }), async () => undefined);
  },
);
