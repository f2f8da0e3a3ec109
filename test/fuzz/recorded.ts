/** Valid samples of everything on the wire: what a simulated network really said, cheats and disputes included. */

import type { Fetch } from '../../gateway/round/provider-client.ts';
import { listDisputes } from '../../gateway/store/disputes-repo.ts';
import type { Answer } from '../simulation/client.ts';
import { outcomeOf } from '../simulation/outcome.ts';
import type { MachinePlan, RequestPlan, Scenario } from '../simulation/scenario.ts';
import { type Run, simulate } from '../simulation/simulation.ts';
import { START_MS } from '../simulation/virtual-clock.ts';
import { CALM } from '../simulation/wire.ts';
import { CANARY } from './mutate.ts';

/** Bodies by the last part of their path. */
export interface Recorded {
  readonly run: Run;
  /** Bodies that the gateway sent to p1, which is honest: `jobs`, `scores`, `reveal`, `evidence`, `cancel`. */
  readonly orders: ReadonlyMap<string, readonly string[]>;
  /** Bodies that providers answered with: JSON, and event streams under `jobs`. */
  readonly replies: ReadonlyMap<string, readonly string[]>;
  readonly answers: readonly Answer[];
  readonly compacts: readonly string[];
  readonly notes: readonly string[];
  readonly bundles: readonly string[];
}

/** The provider whose orders are recorded. */
export const RECORDED = 'p1';
/** Largest sample kept: longer ones only make every mutation slower. */
const SAMPLE_LENGTH_MAX = 40_000;
const SAMPLES_MAX = 12;

function scenario(): Scenario {
  const cheats = ['smaller_model', null, null, 'two_commitments', null] as const;
  const machines = cheats.map((cheat, i): MachinePlan => {
    return { name: `p${i}`, cheat, jitter: false, eighthMs: 5, diesAtMs: null, returnsAtMs: null };
  });
  const requests = Array.from({ length: 8 }, (_, i): RequestPlan => {
    const body = {
      model: 'toy',
      messages: [{ role: 'user', content: `${CANARY} ${i}` }],
      max_tokens: 6 + i,
      logit_bias: { 0: -100 },
      stream: i % 2 === 1,
      ...(i % 3 === 0 ? { temperature: 0.8, seed: i } : { temperature: 0 }),
      verification: { mode: 'quorum', n: 3 },
    };
    return { atMs: START_MS + 1000 * i, leavesAfterMs: null, quorum: true, agree: 3, body };
  });
  return { seed: 11, machines, colluding: true, requests, faults: CALM, epochSize: 64 };
}

/** Runs the network; the caller closes `run`. */
export async function record(): Promise<Recorded> {
  const orders = new Map<string, string[]>();
  const replies = new Map<string, string[]>();
  const keep = (into: Map<string, string[]>, name: string, text: string) => {
    const list = into.get(name) ?? [];
    into.set(name, list);
    if (list.length < SAMPLES_MAX && text.length <= SAMPLE_LENGTH_MAX) list.push(text);
  };
  const recording = (fetch: Fetch): Fetch => {
    return async (url, init) => {
      const { host, pathname } = new URL(url);
      const name = pathname.split('/').at(-1)!;
      if (typeof init.body === 'string' && host === RECORDED) keep(orders, name, init.body);
      const response = await fetch(url, init);
      if (!response.ok || response.body === null) return response;
      let text = '';
      const decoder = new TextDecoder();
      const body = response.body.pipeThrough(
        new TransformStream<Uint8Array, Uint8Array>({
          transform(piece, controller) {
            text += decoder.decode(piece, { stream: true });
            controller.enqueue(piece);
          },
          flush: () => keep(replies, name, text),
        }),
      );
      return new Response(body, { status: response.status, headers: response.headers });
    };
  };
  const run = await simulate(scenario(), { lie: recording });
  const outcomes = run.answers.map(outcomeOf).filter((outcome) => outcome.kind === 'answered');
  const disputes = await run.store.read((handle) => listDisputes(handle, { limit: SAMPLES_MAX }));
  keep(replies, 'provider', JSON.stringify(await run.get(`http://${RECORDED}/v1/provider`)));
  return {
    run,
    orders,
    replies,
    answers: run.answers,
    compacts: outcomes.map(({ compact }) => compact),
    notes: outcomes.map(({ checkpoint }) => checkpoint),
    bundles: disputes.flatMap(({ bundleJson }) => (bundleJson === null ? [] : [bundleJson])),
  };
}
