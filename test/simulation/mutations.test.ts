/** Checkers that cannot fail check nothing: each is shown a run in which one rule is broken on purpose, and must say so. */

import { eq } from 'drizzle-orm';
import { beforeEach, expect, test, vi } from 'vitest';
import type { CheatName } from '../fixtures/cheats.ts';
import { STAKE_NANO } from '../fixtures/network.ts';
import { livenessViolations } from './liveness.ts';
import { safetyViolations } from './safety.ts';
import type { GatewayCrash, MachinePlan, RequestPlan, Scenario } from './scenario.ts';
import { type Run, type SimulateOptions, simulate } from './simulation.ts';
import { START_MS } from './virtual-clock.ts';
import { CALM } from './wire.ts';

/** Rules of the gateway that a test turns off. */
const broken = vi.hoisted(() => ({ recovery: false, count: false, free: false, finding: false, roots: false }));
beforeEach(() => {
  for (const rule of Object.keys(broken) as (keyof typeof broken)[]) broken[rule] = false;
});

type Module<T> = () => Promise<T>;
vi.mock('../../gateway/store/recover.ts', async (original: Module<typeof import('../../gateway/store/recover.ts')>) => {
  const real = await original();
  const recover: typeof real.recover = (...args) =>
    broken.recovery ? Promise.resolve({ closed: [], paidNano: 0n }) : real.recover(...args);
  return { ...real, recover };
});
vi.mock('../../gateway/judge/decide.ts', async (original: Module<typeof import('../../gateway/judge/decide.ts')>) => {
  const real = await original();
  // The largest cluster wins, and nobody else is asked.
  const decide: typeof real.decide = (state) => {
    if (!broken.count) return real.decide(state);
    const standing = state.clusters[0]!;
    return { step: 'serve', cluster: 0, behind: [0], standing, of: standing, needed: state.agree, rejected: [] };
  };
  return { ...real, decide };
});
vi.mock('../../gateway/ledger/settle.ts', async (original: Module<typeof import('../../gateway/ledger/settle.ts')>) => {
  const real = await original();
  // Who gets no answer pays as if it had left.
  const settle: typeof real.settle = (outcome) =>
    real.settle(broken.free && outcome.verdict === 'inconclusive' ? { ...outcome, verdict: 'disconnected' } : outcome);
  return { ...real, settle };
});

function scenario(cheats: readonly (CheatName | null)[], more: Partial<Scenario> = {}, body: object = {}): Scenario {
  const machines = cheats.map((cheat, i): MachinePlan => {
    return { name: `p${i}`, cheat, jitter: false, eighthMs: 5, diesAtMs: null, returnsAtMs: null };
  });
  const requests = [0, 1, 2].map((i): RequestPlan => {
    const asked = {
      model: 'toy',
      messages: [{ role: 'user', content: `What is broken? ${i}` }],
      max_tokens: 30,
      logit_bias: { 0: -100 },
      temperature: 0,
      verification: { mode: 'quorum', n: 3 },
      ...body,
    };
    return { atMs: START_MS + 1000 * i, leavesAfterMs: null, quorum: true, agree: 3, body: asked };
  });
  return { seed: 5, machines, colluding: true, requests, faults: CALM, epochSize: 64, ...more };
}

const HONEST = [null, null, null, null] as const;

async function violationsOf(
  plan: Scenario,
  options: SimulateOptions = {},
  tamper: (run: Run) => Run | Promise<Run> = (run) => run,
): Promise<string[]> {
  const run = await simulate(plan, options);
  try {
    const seen = await tamper(run);
    return [...(await safetyViolations(seen)), ...(await livenessViolations(seen))];
  } finally {
    await run.close();
  }
}

test('nothing is said of a run in which nothing is broken', async () => {
  expect(await violationsOf(scenario(HONEST))).toEqual([]);
  expect(await violationsOf(scenario(['smaller_model', null, null, null]))).toEqual([]);
});

test('a count that trusts the larger cluster accepts a wrong answer: said', async () => {
  broken.count = true;
  const found = await violationsOf(scenario(['smaller_model', 'smaller_model', 'smaller_model', null]));
  expect(found.join('\n')).toContain('although its tokens are not the honest ones');
});

test('of several prompts one that is answered wrongly: said, and which', async () => {
  const body = { messages: undefined, prompt: ['What is', 'broken?'] };
  expect(await violationsOf(scenario(HONEST, {}, body))).toEqual([]);
  broken.count = true;
  const found = await violationsOf(scenario(['smaller_model', 'smaller_model', 'smaller_model', null], {}, body));
  expect(found.join('\n')).toMatch(/choice 1 \w+ although its tokens are not the honest ones/);
});

test('an honest machine that is convicted and slashed: said', async () => {
  // Who is called honest lies in fact, which for the checker is an honest machine that lost.
  const found = await violationsOf(scenario(['smaller_model', null, null, null]), {}, (run) => {
    return { ...run, machines: run.machines.map(({ plan, signer }) => ({ plan: { ...plan, cheat: null }, signer })) };
  });
  expect(found.join('\n')).toMatch(/p0 is honest and lost \d+ nano/);
  expect(found.join('\n')).toContain('p0 is honest and was convicted of wrong_output');
});

test('an answer of other words under a good attestation: said', async () => {
  const found = await violationsOf(scenario(HONEST), {}, (run) => {
    const tries = run.tries.map((answer) => ({ ...answer, text: answer.text.replace(/"content":"./, '"content":"#') }));
    return { ...run, tries };
  });
  expect(found.join('\n')).toContain('attestation: content-hash failed');
});

test('a client that pays for what it did not get: said', async () => {
  broken.free = true;
  const found = await violationsOf(scenario(['early_stop', 'other_temperature', 'cut_prompt'], { colluding: false }));
  expect(found.join('\n')).toMatch(/ended (inconclusive|disconnected) and cost|was charged/);
});

test('a balance that somebody has changed: said', async () => {
  const found = await violationsOf(scenario(HONEST), {}, async (run) => {
    await run.store.withTx(async (tx) => {
      const { accounts } = tx.tables;
      await tx.db.update(accounts).set({ balanceNano: 7n }).where(eq(accounts.id, 'client:key-test'));
    });
    return run;
  });
  expect(found.join('\n')).toContain('books: ');
  expect(found.join('\n')).toContain('the client has 7 left');
});

test('a stake that vanished from an honest provider: said', async () => {
  const found = await violationsOf(scenario(HONEST), {}, async (run) => {
    await run.store.withTx(async (tx) => {
      const { accounts } = tx.tables;
      const id = `stake:${run.machines[0]!.signer.address}`;
      await tx.db
        .update(accounts)
        .set({ balanceNano: STAKE_NANO - 1n })
        .where(eq(accounts.id, id));
    });
    return run;
  });
  expect(found).toContain('p0 is honest and lost 1 nano');
});

const crashes = (...after: number[]): GatewayCrash[] => after.map((afterCrossings) => ({ afterCrossings, downMs: 50 }));

test('crashes alone break nothing', async () => {
  for (const after of [3, 20, 40, 60, 80, 120]) {
    expect(await violationsOf(scenario(HONEST, { gatewayCrashes: crashes(after, 10) })), `after ${after}`).toEqual([]);
  }
});

test('a start that closes nothing of what a crash left open: said', async () => {
  broken.recovery = true;
  const found = await violationsOf(scenario(HONEST, { gatewayCrashes: crashes(40) }));
  expect(found.join('\n')).toMatch(/escrow:\S+ still holds \d+ nano/);
  expect(found.join('\n')).toContain('is still open');
});

test('leaves and checkpoints that are taken back after a crash: said', async () => {
  const found = await violationsOf(scenario(HONEST, { gatewayCrashes: crashes(60) }), {}, async (run) => {
    await run.store.withTx(async (tx) => {
      const { logEntries, checkpoints } = tx.tables;
      await tx.db
        .update(logEntries)
        .set({ leafHash: `0x${'ab'.repeat(32)}` })
        .where(eq(logEntries.logIndex, 1));
      const [row] = await tx.db.select().from(checkpoints).limit(1);
      await tx.db.delete(checkpoints).where(eq(checkpoints.size, row!.size));
    });
    return run;
  });
  const text = found.join('\n');
  expect(text).toContain('the log does not hash to its root');
  expect(text).toContain('entry 1 is not its leaf');
  expect(text).toContain('leaves from before crash 0 are gone');
  expect(text).toMatch(/the checkpoint of size \d+ changed after crash 0/);
  expect(text).toMatch(/the checkpoint of size \d+ is of other leaves/);
});

test('a provider whose store forgets signs two things of one job: said', async () => {
  const faults = { ...CALM, latencyMaxMs: 200, duplicateChance: 1, untilMs: START_MS + 100_000 };
  const restarting = (seed: number): Scenario => {
    const plan = scenario(HONEST, { seed, faults });
    const machines = plan.machines.map((machine) => ({
      ...machine,
      diesAtMs: START_MS + 200,
      returnsAtMs: START_MS + 201,
    }));
    return { ...plan, machines, requests: plan.requests.map((request) => ({ ...request, atMs: START_MS })) };
  };
  const found: string[] = [];
  for (const seed of [1, 2, 3]) found.push(...(await violationsOf(restarting(seed), { machinesRemember: false })));
  expect(found.join('\n')).toMatch(/p\d's commitment \S+ 0 was signed twice, with different contents/);
  for (const seed of [1, 2, 3]) expect(await violationsOf(restarting(seed))).toEqual([]);
});

test('a gateway that permits two roots of one round: said', async () => {
  const found = await violationsOf(scenario(HONEST), {}, (run) => {
    run.witness.note('root of round 0xab 0', '0x01');
    run.witness.note('root of round 0xab 0', '0x02');
    return run;
  });
  expect(found).toContain('root of round 0xab 0 was signed twice, with different contents');
});

test('a provider that does what a lying gateway asks: said', async () => {
  const found = await violationsOf(scenario(HONEST, { gatewayLie: 'replay_orders' }), {}, (run) => {
    expect(run.sideCalls.length).toBeGreaterThan(0);
    return { ...run, sideCalls: run.sideCalls.map((call) => ({ ...call, status: 200 })) };
  });
  expect(found.join('\n')).toMatch(/\d+ calls of a lying gateway were obeyed/);
});

test('a gateway that never comes back: said', async () => {
  const gone = scenario(HONEST, { gatewayCrashes: [{ afterCrossings: 30, downMs: null }] });
  await expect(violationsOf(gone)).rejects.toThrow('the gateway is down');
});

test('a new request that finds nobody: said', async () => {
  const probe = scenario(HONEST).requests[0]!;
  const machines = scenario(HONEST).machines.map((plan) => ({ ...plan, diesAtMs: START_MS + 5_000 }));
  const found = await violationsOf(scenario(HONEST, { machines, probe }));
  expect(found.join('\n')).toContain('a new request is not answered: committee_unavailable');
});

test('an audit that was promised and is not done: said', async () => {
  const audited = scenario(HONEST, {}, { verification: { mode: 'audited', audit_rate: 1 } });
  const requests = audited.requests.map((plan) => ({ ...plan, agree: 1, quorum: false }));
  const found = await violationsOf({ ...audited, requests }, {}, async (run) => {
    await run.store.withTx(async (tx) => {
      const [done] = await tx.db.select().from(tx.tables.audits).limit(1);
      expect(done?.outcome).toBe('held');
      const row = eq(tx.tables.audits.requestId, done!.requestId);
      await tx.db.update(tx.tables.audits).set({ logIndex: null, outcome: null, sealedWork: '' }).where(row);
    });
    return run;
  });
  expect(found.join('\n')).toMatch(/an audit of req_\S+ was promised and not done/);
});
