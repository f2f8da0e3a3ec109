/** Committees of onnxruntime and upstream providers: they agree at T = 0; above it the draw passes upstreams over, provably. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { readRequest } from '#protocol/asked';
import { recoverNative } from '#protocol/signer-native';
import { verifyResponse } from '#protocol/verify';
import { SAMPLER_MISSING } from '../../gateway/committee/capability-skips.ts';
import { logRange } from '../../gateway/store/log-repo.ts';
import type { Engine } from '../../provider/engine/engine.ts';
import { DIALECTS } from '../../provider/engine/upstream/dialect.ts';
import { boundedPair, withPairs } from '../fixtures/calibrations.ts';
import { openUpstream, type Upstream } from '../fixtures/fake-upstream/open.ts';
import {
  type HttpAnswer,
  type HttpNetwork,
  type HttpNetworkOptions,
  loadMinnows,
  type Minnows,
  startHttpNetwork,
} from '../fixtures/network-http.ts';

const QUESTION = { messages: [{ role: 'user', content: 'What is the capital of Norway?' }], max_tokens: 40 };

/** The smaller model answers this one otherwise. */
const SPLIT = { messages: [{ role: 'user', content: 'Tell me about Japan.' }], max_tokens: 30, temperature: 0 };

let minnows: Minnows;
const networks: HttpNetwork[] = [];
const upstreams: Upstream[] = [];
beforeAll(async () => {
  minnows = await loadMinnows();
});
afterEach(async () => {
  for (const network of networks.splice(0)) await network.stop();
  for (const upstream of upstreams.splice(0)) await upstream.close();
});
afterAll(() => minnows.close());

/** Of a class that `start` calibrates against the others: scores of others abstain. */
async function upstreamEngine(dialect: (typeof DIALECTS)[number]): Promise<Engine> {
  const upstream = await openUpstream({ dialect, engine: minnows.honest, device: 'cpu' });
  upstreams.push(upstream);
  return upstream.engine;
}

async function start(options: HttpNetworkOptions): Promise<HttpNetwork> {
  const own = minnows.honest.info.numericClass;
  const pairs = upstreams.map(({ engine }) => boundedPair(engine.info.numericClass, own, 0.008));
  const calibrations = minnows.model.calibrations.map((known) => withPairs(known, pairs));
  const network = await startHttpNetwork({ ...minnows, model: { ...minnows.model, calibrations } }, options);
  networks.push(network);
  return network;
}

function check({ saved, requestText }: HttpAnswer) {
  const { text, digest } = minnows.model;
  const asked = readRequest(requestText, text, null);
  const result = verifyResponse({ response: saved, asked, text, modelDigest: digest, recover: recoverNative });
  return { ok: result.ok, failed: result.items.filter(({ status }) => status === 'failed') };
}

const operatorsOf = ({ statement }: HttpAnswer) =>
  statement.waves.flatMap((wave) => wave.members.map((member) => member.operator));

describe('a committee with an upstream', () => {
  it.each(DIALECTS)('agrees at temperature 0 with two that run the weights themselves: %s', async (dialect) => {
    const engine = await upstreamEngine(dialect);
    const network = await start({ cheats: [null, null, null], engines: { p2: engine } });
    const answer = await network.ask({ ...QUESTION, temperature: 0 });
    expect(answer.content).toBe('The capital of Norway is Oslo.');
    expect(answer.statement.verdict).toBe('agreed');
    expect(operatorsOf(answer).sort()).toEqual(['operator-p0', 'operator-p1', 'operator-p2']);
    const members = answer.statement.waves[0]!.members;
    expect(members.every(({ standing }) => standing === 'counted')).toBe(true);
    expect(new Set(members.map(({ claim }) => claim!.value.transcriptHash)).size).toBe(1);
    expect(answer.statement.draw.skipped).toEqual([]);
    expect(check(answer)).toEqual({ ok: true, failed: [] });
  });

  it('takes an upstream for a scorer of a split, and its vote counts', async () => {
    const engines = { p3: await upstreamEngine('vllm'), p4: await upstreamEngine('llamacpp') };
    const network = await start({ cheats: ['smaller_model', null, null, null, null], engines });
    const upstream = [network.members[3]!.address, network.members[4]!.address];
    const members = new Set(network.members.map(({ address }) => address));
    // The liar and an upstream scorer meet with probability 0.6 · 5/6 a time: 12 times without is below 10^-3, and the
    // draws of this test are the same in every run.
    let voted = 0;
    for (let seed = 0; seed < 12 && voted === 0; seed++) {
      const answer = await network.ask({ ...SPLIT, seed });
      expect(answer.statement.verdict).toBe('agreed');
      expect(check(answer).failed).toEqual([]);
      const scorers = answer.statement.scores.map(({ provider }) => provider);
      // Votes decide among themselves: the referee is asked only where one of two abstains.
      expect(scorers.every((scorer) => members.has(scorer))).toBe(true);
      voted += scorers.filter((scorer) => upstream.includes(scorer)).length;
    }
    expect(voted).toBeGreaterThan(0);
  });
});

describe('a request above temperature 0', () => {
  it('seats no upstream; each one drawn before the last seat is a skip that the log held before', async () => {
    const engine = await upstreamEngine('sglang');
    const network = await start({ engines: { p1: engine, p3: engine } });
    const upstream = new Set([network.members[1]!.address, network.members[3]!.address]);
    const indices = new Set<number>();
    for (let seed = 0; seed < 6; seed++) {
      const answer = await network.ask({ ...QUESTION, temperature: 1, seed });
      expect(operatorsOf(answer).sort()).toEqual(['operator-p0', 'operator-p2', 'operator-p4']);
      expect(answer.statement.verdict).toBe('agreed');
      const { skipped } = answer.statement.draw;
      for (const { provider, reason, logIndex } of skipped) {
        expect(upstream.has(provider)).toBe(true);
        expect(reason).toBe(SAMPLER_MISSING);
        expect(logIndex).toBeLessThan(answer.statement.logIndex);
        indices.add(logIndex);
      }
      expect(check(answer)).toEqual({ ok: true, failed: [] });
    }
    // One entry a provider, however many requests pass it over.
    expect(indices.size).toBe(2);
    for (const index of indices) expect(await entryOf(network, index)).toMatchObject({ type: 'skip' });
  });

  it('says no to more seats than can sample, at once and for good, and seats them at temperature 0', async () => {
    const engine = await upstreamEngine('vllm');
    const network = await start({ cheats: [null, null, null], engines: { p2: engine } });
    await expect(network.ask({ ...QUESTION, temperature: 1 })).rejects.toThrow(/503.*committee_unavailable/s);
    await expect(network.ask({ ...QUESTION, frequency_penalty: 1, temperature: 0 })).rejects.toThrow(/503/);
    expect((await network.ask({ ...QUESTION, temperature: 0 })).statement.verdict).toBe('agreed');
    const pair = await network.ask({ ...QUESTION, temperature: 1, verification: { mode: 'quorum', n: 2 } });
    expect(operatorsOf(pair).sort()).toEqual(['operator-p0', 'operator-p1']);
    expect(check(pair)).toEqual({ ok: true, failed: [] });
  });

  it('passes over an operator whose first provider in the draw is an upstream, as the verifier demands', async () => {
    const engine = await upstreamEngine('vllm');
    const operators = { p0: 'both', p1: 'both' };
    const network = await start({ cheats: [null, null, null, null], engines: { p0: engine }, operators });
    const seated = new Set<string>();
    for (let seed = 0; seed < 12 && seated.size < 3; seed++) {
      const answer = await network.ask({ ...QUESTION, temperature: 1, seed, verification: { mode: 'quorum', n: 2 } });
      for (const operator of operatorsOf(answer)) seated.add(operator);
      for (const wave of answer.statement.waves) {
        expect(wave.members.map(({ provider }) => provider)).not.toContain(network.members[0]!.address);
      }
      expect(check(answer)).toEqual({ ok: true, failed: [] });
    }
    expect([...seated].sort()).toEqual(['both', 'operator-p2', 'operator-p3']);
  });
});

async function entryOf(network: HttpNetwork, index: number): Promise<unknown> {
  const [leaf] = await network.store.read((handle) => logRange(handle, index, index + 1));
  return JSON.parse(leaf!.entryJson) as unknown;
}
