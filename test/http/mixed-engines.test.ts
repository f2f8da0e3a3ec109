/** One committee of engines that compute differently: honest answers part at near-ties, and nobody is accused (DESIGN §7). */
import request from 'supertest';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Engine } from '../../provider/engine/engine.ts';
import { llamaProblem, openLlama, openOnnx, openWasm } from '../fixtures/engines.ts';
import { booksOf } from '../fixtures/network.ts';
import { type HttpNetwork, loadMinnows, type Minnows, startHttpNetwork } from '../fixtures/network-http.ts';

// Seven engines on a busy machine; nothing here asserts how long anything takes.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 });

const QUESTIONS = ['What is a river?', 'Write a short story about a fox.'];
const SAMPLINGS = [{ temperature: 0 }, { temperature: 0.8, top_p: 0.9, seed: 8 }];
/** Its greedy answers part at the 59th token, where two logits are 0.004 apart: found by running both over 185 questions. */
const NEAR_TIE = 'Tell me about the history of Norway.';
const POLICY = { verification: { mode: 'quorum', n: 5, agree: 4 } };

const noLlama = await llamaProblem();
if (noLlama !== null) console.warn(`a committee with llama.cpp is skipped: ${noLlama}`);

let minnows: Minnows;
const opened: (() => Promise<void>)[] = [];
beforeAll(async () => {
  minnows = await loadMinnows();
});
afterAll(async () => {
  for (const close of opened.reverse()) await close();
  await minnows.close();
});

async function networkOf(engines: Readonly<Record<string, Engine>>): Promise<HttpNetwork> {
  opened.push(...Object.values(engines).map((engine) => () => engine.close()));
  const network = await startHttpNetwork(minnows, { engines });
  opened.push(() => network.stop());
  return network;
}

/** Asks everything of all five members; returns how often each verdict fell. */
async function verdictsOf(
  network: HttpNetwork,
  questions: readonly string[],
  samplings: readonly object[],
  tokens: number,
) {
  const verdicts: Record<string, number> = {};
  for (const content of questions) {
    for (const sampling of samplings) {
      const { statement } = await network.ask({
        messages: [{ role: 'user', content }],
        max_tokens: tokens,
        ...sampling,
        ...POLICY,
      });
      verdicts[statement.verdict] = (verdicts[statement.verdict] ?? 0) + 1;
      expect(statement.faults).toEqual([]);
      expect(statement.waves[0]!.members).toHaveLength(5);
    }
  }
  await network.gateway.settled();
  const { body } = await request(network.url).get('/v1/disputes');
  expect(body.data).toEqual([]);
  expect(await booksOf(network.store)).toEqual([]);
  return verdicts;
}

it('native code, WebAssembly, other optimisation and unshared runs agree or are equivalent, greedy and sampled', async () => {
  const [wasm, plain, alone] = await Promise.all([
    openWasm(),
    openOnnx({ graphOptimization: 'disabled' }),
    openOnnx({ batching: false }),
  ]);
  const network = await networkOf({ p0: wasm, p1: plain, p2: alone });
  const verdicts = await verdictsOf(network, QUESTIONS, SAMPLINGS, 20);
  expect(Object.keys(verdicts).filter((verdict) => verdict !== 'agreed' && verdict !== 'equivalent')).toEqual([]);
});

describe.skipIf(noLlama !== null)('with llama.cpp among them', () => {
  it('a near-tie at which greedy answers part comes out equivalent', async () => {
    const [wasm, llama] = await Promise.all([openWasm(), openLlama()]);
    const network = await networkOf({ p0: wasm, p1: llama });
    expect(await verdictsOf(network, [NEAR_TIE], [{ temperature: 0 }], 64)).toEqual({ equivalent: 1 });
    const verdicts = await verdictsOf(network, QUESTIONS, SAMPLINGS, 20);
    expect(Object.keys(verdicts).filter((verdict) => verdict !== 'agreed' && verdict !== 'equivalent')).toEqual([]);
  });
});
