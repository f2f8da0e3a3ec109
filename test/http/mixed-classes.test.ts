/** One committee of really different honest weights: fp16 beside fp32 answers without a fault, int4 and int8 do not pass (DESIGN §7). */
import { fileURLToPath } from 'node:url';
import request from 'supertest';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Engine } from '../../provider/engine/engine.ts';
import { readModelFolder } from '../../provider/engine/model-folder.ts';
import { createOnnxEngine } from '../../provider/engine/onnx/onnx-engine.ts';
import { booksOf } from '../fixtures/network.ts';
import { type HttpNetwork, loadMinnows, type Minnows, startHttpNetwork } from '../fixtures/network-http.ts';

const FOLDER = fileURLToPath(new URL('../../provider/models/minnow/dist/minnow-5m', import.meta.url));
const QUESTIONS = [
  'Tell me about Japan.',
  'Write a short story about a fox.',
  'Tell me about Kenya.',
  'What is a lantern?',
];

let minnows: Minnows;
const opened: { stop(): Promise<void> }[] = [];
beforeAll(async () => {
  minnows = await loadMinnows();
});
afterAll(async () => {
  for (const { stop } of opened) await stop();
  await minnows.close();
});

/** @param claims the class that the manifest names; the engine's own where absent */
async function networkWith(weights: string, claims?: string): Promise<HttpNetwork> {
  const engine: Engine = await createOnnxEngine(await readModelFolder(FOLDER, `onnx/${weights}.onnx`));
  const disguised: Engine = {
    info: { ...engine.info, ...(claims === undefined ? {} : { numericClass: claims }) },
    text: engine.text,
    generate: (order) => engine.generate(order),
    score: (order) => engine.score(order),
    close: () => engine.close(),
  };
  const network = await startHttpNetwork(minnows, { engines: { p0: disguised } });
  opened.push({
    async stop() {
      await network.stop();
      await engine.close();
    },
  });
  return network;
}

const policy = { verification: { mode: 'quorum', n: 5, agree: 4 } };

test('fp16 weights among fp32 ones agree or are equivalent, greedy and sampled, and nobody is accused', async () => {
  const network = await networkWith('model_fp16');
  for (const [i, content] of QUESTIONS.entries()) {
    for (const sampling of [{ temperature: 0 }, { temperature: 1, seed: i }]) {
      const answer = await network.ask({
        messages: [{ role: 'user', content }],
        max_tokens: 60,
        ...sampling,
        ...policy,
      });
      expect(['agreed', 'equivalent']).toContain(answer.statement.verdict);
      expect(answer.statement.waves[0]!.members).toHaveLength(5);
    }
  }
  const { body } = await request(network.url).get('/v1/disputes');
  expect(body.data).toEqual([]);
  expect(await booksOf(network.store)).toEqual([]);
});

// One answer of int8 weights stays below what a single response may convict on (SECURITY.md).
test.each([
  ['model_q4', true],
  ['model_quantized', false],
] as const)('%s weights passed off as fp32 never get their text served', async (weights, convicted) => {
  const network = await networkWith(weights, minnows.honest.info.numericClass);
  const honest = await startHttpNetwork(minnows);
  opened.push(honest);
  const cheat = network.members[0]!.address;
  for (const content of QUESTIONS) {
    const body = { messages: [{ role: 'user', content }], max_tokens: 60, temperature: 1, seed: 3 };
    const { content: wanted } = await honest.ask({ ...body, verification: 'single' });
    // A token between a tie and a sure lie leaves the referee undecided: then there is no answer, and nobody pays.
    const answer = await network.ask({ ...body, ...policy }).catch((error: Error) => error);
    if (answer instanceof Error) expect(answer.message).toContain('inconclusive');
    else expect(answer.content).toBe(wanted);
  }
  await network.gateway.settled();
  const { body } = await request(network.url).get('/v1/disputes');
  const disputes = body.data as { provider: string; ruling: string | null }[];
  expect(disputes.filter(({ provider }) => provider !== cheat)).toEqual([]);
  if (convicted) expect(disputes.some(({ ruling }) => ruling === 'upheld')).toBe(true);
  expect(await booksOf(network.store)).toEqual([]);
});

test('a class that nobody has calibrated convicts nobody: where it parts from the others the request is inconclusive', async () => {
  const network = await networkWith('model_q4');
  const ask = () =>
    network.ask({
      messages: [{ role: 'user', content: QUESTIONS[1] }],
      max_tokens: 60,
      temperature: 1,
      seed: 3,
      ...policy,
    });
  await expect(ask()).rejects.toThrow(/inconclusive/);
  await network.gateway.settled();
  const { body } = await request(network.url).get('/v1/disputes');
  expect((body.data as { ruling: string }[]).filter(({ ruling }) => ruling === 'upheld')).toEqual([]);
  expect(await booksOf(network.store)).toEqual([]);
});
