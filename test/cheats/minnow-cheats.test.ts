/** Every cheat once with a real model over real HTTP: what the client got, what was recorded, ruled and paid. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readRequest } from '#protocol/asked';
import { verifyResponse } from '#protocol/verify';
import { disputesOfRequest } from '../../gateway/store/disputes-repo.ts';
import type { CheatName } from '../fixtures/cheats.ts';
import { booksOf, STAKE_NANO, stakeOf } from '../fixtures/network.ts';
import {
  type HttpAnswer,
  type HttpNetwork,
  type HttpNetworkOptions,
  loadMinnows,
  type Minnows,
  startHttpNetwork,
} from '../fixtures/network-http.ts';
import { EXPECTATIONS, EXPECTED_NAMES } from './expectations.ts';

let minnows: Minnows;
beforeAll(async () => {
  minnows = await loadMinnows();
});
afterAll(() => minnows.close());

const QUESTIONS = ['Tell me about Japan.', 'Write a short story about a fox.', 'Tell me about Kenya.', 'What is rain?'];
const MAX_TOKENS = 20;

function bodyOf(question: string, sampled: boolean, policy: object = {}) {
  return {
    messages: [{ role: 'user', content: question }],
    max_tokens: MAX_TOKENS,
    ...(sampled ? { temperature: 0.9, seed: 11 } : { temperature: 0 }),
    verification: { mode: 'quorum', n: 3, ...policy },
  };
}

/** What an honest machine answers. */
async function honestText({ requestText, statement }: HttpAnswer): Promise<string> {
  const asked = readRequest(requestText, minnows.model.text, null);
  const { sampling } = asked;
  const ids: number[] = [];
  const seed = BigInt(statement.request.seed);
  const order = { promptIds: asked.prompts[0]!.ids!, sampling, seed, maxTokens: statement.request.maxTokens };
  for await (const token of minnows.honest.generate(order)) ids.push(token.id);
  return minnows.model.text.finalText(ids, sampling.stop).text;
}

const seated = (answer: HttpAnswer, address: string) =>
  answer.statement.waves.some((wave) => wave.members.some((member) => member.provider === address));

/** Asks until all of these sit in one committee; the draw is seeded, so this is the same in every run. */
async function askSeated(network: HttpNetwork, addresses: readonly string[], sampled: boolean): Promise<HttpAnswer> {
  for (let i = 0; i < 32; i++) {
    const answer = await network.ask(bodyOf(`${QUESTIONS[i % QUESTIONS.length]!} ${i}`, sampled));
    if (addresses.every((address) => seated(answer, address))) return answer;
  }
  throw new Error('the cheat was never drawn');
}

function failedItems(network: HttpNetwork, answer: HttpAnswer): string[] {
  const { items } = verifyResponse({
    response: answer.saved,
    asked: readRequest(answer.requestText, minnows.model.text, null),
    text: minnows.model.text,
    modelDigest: minnows.model.digest,
    trusted: { gatewayAddress: network.gatewaySigner.address },
  });
  return items.filter(({ status }) => status === 'failed').map(({ name, detail }) => `${name}: ${detail}`);
}

async function withNetwork(options: HttpNetworkOptions, work: (network: HttpNetwork) => Promise<void>): Promise<void> {
  const network = await startHttpNetwork(minnows, options);
  try {
    await work(network);
    expect(await booksOf(network.store)).toEqual([]);
  } finally {
    await network.stop();
  }
}

/** Faults and rulings of one provider in one request, once all disputes have ended. */
async function recordOf(network: HttpNetwork, answer: HttpAnswer, provider: string) {
  await network.gateway.settled();
  await network.gateway.tick();
  const { requestId, faults } = answer.statement;
  const disputes = await network.store.read((handle) => disputesOfRequest(handle, requestId));
  return {
    faults: faults.filter((fault) => fault.provider === provider).map(({ fault }) => fault),
    disputes: disputes.filter((dispute) => dispute.provider === provider),
  };
}

async function expectHonestWhole(network: HttpNetwork, cheats: readonly (CheatName | null)[]): Promise<void> {
  for (const [i, { address }] of network.members.entries()) {
    if (cheats[i] === null) expect(await stakeOf(network.store, address), `stake of p${i}`).toBe(STAKE_NANO);
  }
}

describe('one cheat among five members', () => {
  test.each(EXPECTED_NAMES)('%s: the client gets the honest answer, the cheat its due', async (name) => {
    const expected = EXPECTATIONS[name];
    const cheats = [name, null, null, null, null];
    // A member that seals and never opens holds the round up until its deadline, and is heard once more for as long as a job: short,
    // but long enough for a busy machine.
    const limits = name === 'silence' ? { roundTimeoutMs: 5_000, jobMs: 10_000 } : {};
    await withNetwork({ cheats, limits }, async (network) => {
      const { address } = network.members[0]!;
      const answer = await askSeated(network, [address], expected.sampled ?? false);
      expect(answer.statement.verdict).toBe('agreed');
      expect(answer.content).toBe(await honestText(answer));
      expect(failedItems(network, answer)).toEqual([]);
      const { faults, disputes } = await recordOf(network, answer, address);
      expect(faults).toEqual([expected.fault]);
      expect(disputes.map(({ ruling, state }) => ({ ruling, state }))).toEqual(
        expected.ruling === null ? [] : [{ ruling: expected.ruling, state: 'settled' }],
      );
      const finding = (JSON.parse(disputes[0]?.bundleJson ?? '{}') as { finding?: { reason: string } }).finding;
      if (expected.reasons.length > 0) expect(expected.reasons).toContain(finding?.reason);
      const lost = STAKE_NANO - (await stakeOf(network.store, address));
      // Other requests of the search may have caught it before this one.
      if (expected.slashBps === 0n) expect(lost).toBe(0n);
      else expect(lost).toBeGreaterThanOrEqual((STAKE_NANO * expected.slashBps) / 10_000n);
      await expectHonestWhole(network, cheats);
    });
  });
});

test('two colluders in three: the split escalates, the lone honest member is served and keeps its stake', async () => {
  const cheats = ['smaller_model', 'smaller_model', null, null, null] as const;
  await withNetwork({ cheats }, async (network) => {
    const colluders = network.members.slice(0, 2).map(({ address }) => address);
    const answer = await askSeated(network, colluders, false);
    expect(answer.content).toBe(await honestText(answer));
    expect(answer.statement.verdict).toBe('agreed');
    expect(answer.statement.scores.length).toBeGreaterThan(0);
    expect(failedItems(network, answer)).toEqual([]);
    for (const address of colluders) {
      const { faults, disputes } = await recordOf(network, answer, address);
      expect(faults).toEqual(['wrong_output']);
      expect(disputes.map(({ ruling }) => ruling)).toEqual(['upheld']);
      expect(await stakeOf(network.store, address)).toBeLessThan(STAKE_NANO);
    }
    await expectHonestWhole(network, cheats);
  });
});

/** A token of the cheat that is farther than a tie from winning and nearer than a rejection leaves a split open: nothing is served, nobody accused. */
function unlessUndecided(error: unknown): null {
  if (error instanceof Error && error.message.includes('"code":"inconclusive"')) return null;
  throw error;
}

test('a lying scorer cannot turn a split: the referee decides, the honest member keeps its stake', async () => {
  const cheats = ['smaller_model', 'lying_scorer', null, null, null] as const;
  await withNetwork({ cheats }, async (network) => {
    const [cheat, liar] = network.members.map(({ address }) => address);
    for (let i = 0; i < 32; i++) {
      const answer = await network
        .ask(bodyOf(`${QUESTIONS[i % QUESTIONS.length]!} ${i}`, false, { agree: 2 }))
        .catch(unlessUndecided);
      if (answer === null) continue;
      const lied = answer.statement.scores.some(({ provider }) => provider === liar);
      if (!seated(answer, cheat!) || !lied) continue;
      expect(answer.content).toBe(await honestText(answer));
      expect(failedItems(network, answer)).toEqual([]);
      await recordOf(network, answer, cheat!);
      await expectHonestWhole(network, cheats);
      return;
    }
    throw new Error('the liar was never asked');
  });
});
