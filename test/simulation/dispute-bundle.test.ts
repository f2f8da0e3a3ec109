/** The bundle of a dispute, as its client gets it, judged again by somebody who trusts nobody's word. */
import { expect, test } from 'vitest';
import { LOCAL_DOMAIN } from '#protocol/eip712';
import { zDisputeBundle } from '../../gateway/dispute/bundle.ts';
import { findingOf } from '../../gateway/dispute/finding.ts';
import { hashApiKey } from '../../gateway/keys.ts';
import { listDisputes } from '../../gateway/store/disputes-repo.ts';
import type { CheatName } from '../fixtures/cheats.ts';
import { API_KEY } from '../fixtures/network.ts';
import type { MachinePlan, RequestPlan, Scenario } from './scenario.ts';
import { type Run, simulate } from './simulation.ts';
import { TOY_MODEL, toyCalibration } from './toy-machine.ts';
import { START_MS } from './virtual-clock.ts';
import { CALM } from './wire.ts';

const OTHER_KEY = 'sk-assay-somebody-else';
const PROMPT = 'What is disputed?';

function scenarioWith(cheat: CheatName): Scenario {
  const machines = [cheat, null, null, null, null].map((lie, i): MachinePlan => {
    return { name: `p${i}`, cheat: lie, jitter: false, eighthMs: 5, diesAtMs: null, returnsAtMs: null };
  });
  const requests = [0, 1, 2, 3].map((i): RequestPlan => {
    const body = {
      model: 'toy',
      messages: [{ role: 'user', content: `${PROMPT} ${i}` }],
      max_tokens: 30,
      logit_bias: { 0: -100 },
      temperature: 0,
      verification: { mode: 'quorum', n: 3 },
    };
    return { atMs: START_MS + 1000 * i, leavesAfterMs: null, quorum: true, agree: 3, body };
  });
  return { seed: 1, machines, colluding: true, requests, faults: CALM };
}

async function bundleOf({ gateway }: Run, id: string, key: string | null): Promise<Response> {
  const headers: Record<string, string> = key === null ? {} : { authorization: `Bearer ${key}` };
  return gateway.app.request(`/v1/disputes/${id}/bundle`, { headers });
}

test.each([
  ['smaller_model', 'upheld'],
  ['refused_evidence', 'upheld'],
  ['prefill_evidence', 'upheld'],
  ['two_commitments', 'upheld'],
  ['wrong_opening', 'upheld'],
  ['early_stop', 'upheld'],
] as const)('%s: anybody with the bundle comes to the ruling that was made', async (cheat, ruling) => {
  const run = await simulate(scenarioWith(cheat));
  try {
    const disputes = await run.store.read((handle) => listDisputes(handle, { limit: 100 }));
    expect(disputes.length).toBeGreaterThan(0);
    for (const dispute of disputes) {
      const response = await bundleOf(run, dispute.disputeId, API_KEY);
      expect(response.status).toBe(200);
      const bundle = zDisputeBundle.parse(await response.json());
      const court = {
        domain: LOCAL_DOMAIN,
        recover: run.keys.recover,
        text: TOY_MODEL.text,
        calibrationOf: toyCalibration,
      };
      const found = findingOf(bundle, court);
      expect(found).toEqual({ ruling, finding: bundle.finding });
      expect(dispute.ruling).toBe(ruling);
      // Without the model's text side a judge can still follow what signatures alone show.
      const blind = findingOf(bundle, { ...court, text: null });
      expect(blind.ruling).toBe(bundle.contradiction === null ? 'abandoned' : ruling);
    }
  } finally {
    await run.close();
  }
});

test('a bundle is for the client whose request it is about, and for nobody else', async () => {
  const run = await simulate(scenarioWith('smaller_model'));
  try {
    const [dispute] = await run.store.read((handle) => listDisputes(handle, { limit: 1 }));
    const keyHash = hashApiKey(OTHER_KEY);
    await run.gateway.grantKey({ keyId: 'other', keyHash, label: 'other', fundsNano: 1n });
    const id = dispute!.disputeId;
    expect((await bundleOf(run, id, null)).status).toBe(401);
    const [theirs, none] = [await bundleOf(run, id, OTHER_KEY), await bundleOf(run, `0x${'ab'.repeat(32)}`, API_KEY)];
    expect([theirs.status, none.status]).toEqual([404, 404]);
    // The same answer: nobody learns whether there is such a dispute of somebody else's.
    const messages = await Promise.all(
      [theirs, none].map(async (reply) => ((await reply.json()) as { error: object }).error),
    );
    expect(messages[0]).toEqual(messages[1]);
    const own = await (await bundleOf(run, id, API_KEY)).text();
    expect(own).not.toContain('http');
  } finally {
    await run.close();
  }
});
