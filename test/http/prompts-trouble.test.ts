/** Several prompts when things go wrong: a member lies about one, the gateway dies between them, the call comes again. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readRequest } from '#protocol/asked';
import { choicesOf } from '#protocol/choices';
import { promptHash } from '#protocol/request';
import { recoverNative } from '#protocol/signer-native';
import { verifyResponse } from '#protocol/verify';
import { disputesOfRequest } from '../../gateway/store/disputes-repo.ts';
import { requestsOfKey } from '../../gateway/store/requests-repo.ts';
import { type AnsweredTexts, postCompletion } from '../fixtures/completion-call.ts';
import { MortalStore } from '../fixtures/mortal-store.ts';
import { booksOf } from '../fixtures/network.ts';
import { type HttpNetwork, loadMinnows, type Minnows, startHttpNetwork } from '../fixtures/network-http.ts';

const PROMPTS = ['The capital of Norway', 'Once upon a time there was a small'];
const ASK = { model: 'minnow-5m', prompt: PROMPTS, temperature: 0.9, seed: 3, max_tokens: 10, n: 2 };

let minnows: Minnows;
beforeAll(async () => {
  minnows = await loadMinnows();
});
afterAll(() => minnows.close());

function failures({ text: response, request }: AnsweredTexts): string[] {
  const { text, digest } = minnows.model;
  const asked = readRequest(request, text, null);
  const { items } = verifyResponse({ response, asked, text, modelDigest: digest, recover: recoverNative });
  return items.filter(({ status }) => status === 'failed').map(({ name }) => name);
}

async function inNetwork(
  options: Parameters<typeof startHttpNetwork>[1],
  work: (network: HttpNetwork) => Promise<void>,
): Promise<void> {
  const network = await startHttpNetwork(minnows, options);
  try {
    await work(network);
    await network.gateway.settled();
    expect(await booksOf(network.store)).toEqual([]);
  } finally {
    await network.stop();
  }
}

test.each([false, true])('a keyed call is charged once and replayed byte for byte (streamed: %s)', async (stream) => {
  await inNetwork({}, async (network) => {
    const call = () => postCompletion(network, { ...ASK, stream }, { 'idempotency-key': 'prompts' });
    const first = await call();
    expect((await call()).text).toBe(first.text);
    expect(failures(first)).toEqual([]);
    const rows = await network.store.read((handle) => requestsOfKey(handle, 'key-test', 10));
    expect(rows.map(({ state }) => state)).toEqual(['settled']);
  });
});

test('a lie about one prompt is found there, disputed there and ruled on with that prompt', async () => {
  await inNetwork({ cheats: ['smaller_model', null, null] }, async (network) => {
    const answer = await postCompletion(network, { ...ASK, n: 1, temperature: 0, max_tokens: 16 });
    const { statement } = answer;
    expect(failures(answer)).toEqual([]);
    expect(statement.verdict).toBe('agreed');
    await network.gateway.settled();
    await network.gateway.tick();
    const disputes = await network.store.read((handle) => disputesOfRequest(handle, statement.requestId));
    const accused = choicesOf(statement).filter(({ faults }) => faults.length > 0);
    // The second prompt among them: what is told of the first would prove nothing here.
    expect(accused.map(({ request }) => request.promptHash)).toContain(
      promptHash(minnows.model.text.encodePrompt(PROMPTS[1]!)),
    );
    expect(disputes.map(({ ruling, provider }) => [ruling, provider])).toEqual(
      accused.map(() => ['upheld', network.members[0]!.address]),
    );
    const bundles = disputes.map(({ bundleJson }) => JSON.parse(bundleJson!) as { terms: { promptIds: number[] } });
    expect(bundles.map(({ terms }) => promptHash(terms.promptIds)).sort()).toEqual(
      accused.map((choice) => choice.request.promptHash).sort(),
    );
  });
});

test.each([false, true])(
  'a gateway killed among the prompts is charged once, by the next attempt (streamed: %s)',
  async (stream) => {
    let mortal: MortalStore | undefined;
    const wrapStore = (store: ConstructorParameters<typeof MortalStore>[0]) => {
      mortal = new MortalStore(store);
      return mortal;
    };
    await inNetwork({ wrapStore }, async (network) => {
      mortal!.afterCommit = async (handle) => {
        // After the first prompt's jobs, and before the last one's.
        if ((await handle.db.select().from(handle.tables.jobs)).length >= 6) mortal!.dead = true;
      };
      const call = () => postCompletion(network, { ...ASK, stream }, { 'idempotency-key': 'killed' });
      await expect(call()).rejects.toThrow();
      await network.gateway.settled();
      await network.restart();
      const retry = await call();
      expect(failures(retry)).toEqual([]);
      expect((await call()).text).toBe(retry.text);
      const rows = await network.store.read((handle) => requestsOfKey(handle, 'key-test', 10));
      expect(rows.map(({ state, attempt }) => [state, attempt])).toEqual([
        ['settled', 2],
        ['failed', 1],
      ]);
    });
  },
);
