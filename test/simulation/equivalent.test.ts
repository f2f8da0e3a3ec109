/** Honest machines of another numeric class: they part at near-ties, are called equivalent, and nobody is at fault (DESIGN §7). */
import { expect, test } from 'vitest';
import { listDisputes } from '../../gateway/store/disputes-repo.ts';
import { livenessViolations } from './liveness.ts';
import { outcomeOf } from './outcome.ts';
import { safetyViolations } from './safety.ts';
import type { MachinePlan, RequestPlan, Scenario } from './scenario.ts';
import { simulate } from './simulation.ts';
import { START_MS } from './virtual-clock.ts';
import { CALM } from './wire.ts';

/** Long answers at T = 1: with noise of 0.002 about one token in a few hundred is closer than that. */
const REQUESTS = 24;
const MAX_TOKENS = 160;

/** Machines p0 and p3 compute exactly, the others with noise of their own: committees mix both classes. */
function mixedClasses(stream: boolean): Scenario {
  const machines = [false, true, true, false, true].map((jitter, i): MachinePlan => {
    return { name: `p${i}`, cheat: null, jitter, eighthMs: 5, diesAtMs: null, returnsAtMs: null };
  });
  const requests = Array.from({ length: REQUESTS }, (_, i): RequestPlan => {
    const body = {
      model: 'toy',
      messages: [{ role: 'user', content: `Tell me ${i}` }],
      max_tokens: MAX_TOKENS,
      // Never the end token: every answer has all its tokens.
      logit_bias: { 0: -100 },
      temperature: 1,
      seed: i,
      stream,
      verification: { mode: 'quorum', n: 3 },
    };
    return { atMs: START_MS + 2000 * i, leavesAfterMs: null, quorum: true, agree: 3, body };
  });
  return { seed: 7, machines, colluding: false, requests, faults: CALM };
}

test.each([false, true])(
  'mixed classes give answers that agree or are equivalent, without a fault (streamed: %s)',
  async (stream) => {
    const run = await simulate(mixedClasses(stream));
    try {
      const verdicts = run.answers.map((answer) => {
        const outcome = outcomeOf(answer);
        return outcome.kind === 'answered' ? outcome.statement.verdict : outcome.kind;
      });
      expect(verdicts.filter((verdict) => verdict !== 'agreed' && verdict !== 'equivalent')).toEqual([]);
      expect(verdicts).toContain('equivalent');
      expect(verdicts).toContain('agreed');
      expect(await run.store.read((handle) => listDisputes(handle, { limit: 10 }))).toEqual([]);
      expect([...(await safetyViolations(run)), ...(await livenessViolations(run))]).toEqual([]);
    } finally {
      await run.close();
    }
  },
);
