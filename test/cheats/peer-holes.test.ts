/**
 * Holes that other verifiers have had, each as the attack that went through there (gonka-ai/gonka mlnode and decentralized-api;
 * PrimeIntellect-ai/toploc poly.py and C/csrc).
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LOCAL_DOMAIN } from '#protocol/eip712';
import {
  EVIDENCE_TOP_MAX,
  evidenceConsistent,
  LOGIT_Q16_MIN,
  LOGIT_SCALE,
  type TokenEvidence,
  tokenEvidenceSchema,
} from '#protocol/evidence';
import { feed, openAccount, standingOf } from '#protocol/evidence-account';
import { evidenceRoot } from '#protocol/evidence-tree';
import { type Hash, sha256, utf8 } from '#protocol/hash';
import { type JobOrderWire, type RevealEventWire, zRevealEvent, zScoreReply } from '#protocol/messages';
import { scoredHash } from '#protocol/request';
import { GREEDY } from '#protocol/sampling';
import { packShortEvidence } from '#protocol/short-evidence';
import { nativeSigner, recoverNative } from '#protocol/signer-native';
import { digests } from '#protocol/typed';
import { BETS } from '#protocol/wealth';
import type { Seat } from '../../gateway/committee/seat.ts';
import { convict } from '../../gateway/judge/convict.ts';
import { responseFactors } from '../../gateway/judge/factors.ts';
import { judgeScore } from '../../gateway/judge/score.ts';
import { shapeProblem } from '../../gateway/judge/shape.ts';
import { type MemberFault, SealedMember } from '../../gateway/round/member.ts';
import type { IssuedTicket } from '../../gateway/round/plan.ts';
import type { JobEvent, ProviderClient } from '../../gateway/round/provider-client.ts';
import { commitmentEvent, revealEvent, sealChunk } from '../../provider/jobs/transcript.ts';
import type { StoredChunk } from '../../provider/store/store.ts';
import { continued } from '../fixtures/witnessed-network.ts';
import { SeededRng } from '../simulation/seeded-rng.ts';
import { boundsOf, COARSE, honestResponse } from '../unit/honest-noise.ts';
import { machine, promptOf, sampled, score, write } from '../unit/judge-fixture.ts';

const SIGNER = nativeSigner(sha256(utf8('peer holes')));
const HASH: Hash = `0x${'11'.repeat(32)}`;
const bounds = boundsOf(COARSE);
const tolerances = { tie: 0.01, border: 0.01, reject: 0.05, gross: 1 };
const order = { promptIds: promptOf('tell me'), sampling: sampled({}), seed: 5n, maxTokens: 40 };

async function cheap() {
  const written = await write(machine('fp32', 'a', 'cheap'), order);
  return { written, evidence: await score(machine('fp32', 'b'), written) };
}

test('Gonka, length mismatch scored as a pass: a score about fewer or more tokens than were claimed is void, whoever it is about', async () => {
  const { written, evidence } = await cheap();
  for (const wrong of [evidence.slice(0, 1), evidence.slice(0, -1), [...evidence, evidence[0]!], []]) {
    expect(judgeScore(written, wrong, tolerances)).toBeNull();
    expect(responseFactors({ claimed: written, evidence: wrong, bounds })).toBeNull();
  }
  expect(judgeScore(written, evidence, tolerances)!.vote).toBe('reject');
});

test('Gonka, token mismatch scored as a pass: a score about other tokens is void', async () => {
  const { written, evidence } = await cheap();
  const tokens = written.tokens.map((token, i) => (i === 3 ? token + 1 : token));
  expect(judgeScore({ ...written, tokens }, evidence, tolerances)).toBeNull();
});

test('Gonka, a truncated answer compares fewer tokens: an answer that stops early without its end is malformed', () => {
  const text = {
    eosIds: [0],
    vocabSize: 300,
    createDetokenizer: () => ({ push: () => ({ text: '', stopped: false }), end: () => '' }),
  };
  const rules = { maxTokens: 10, stop: [], text: text as unknown as Parameters<typeof shapeProblem>[1]['text'] };
  expect(shapeProblem({ tokens: [5, 6, 7], finish: 'stop' }, rules)).toBe('stop_without_eos');
  expect(shapeProblem({ tokens: [5, 6, 7], finish: 'length' }, rules)).toBe('length_without_length');
  expect(shapeProblem({ tokens: [], finish: 'stop' }, rules)).toBe('empty');
});

test('Gonka, padded top_logprobs enlarge the divisor: a position lists eight tokens, each once, or is refused', async () => {
  const { evidence } = await write(machine('fp32', 'a'), order);
  const item = evidence[0]!;
  const padded = { ...item, top: [...item.top, [299, item.top[7]![1] - 1] as const] };
  expect(tokenEvidenceSchema.safeParse(padded).success).toBe(false);
  const place = { sampling: order.sampling, seed: order.seed, position: 0, vocabSize: item.keptCount };
  const twice = { ...item, top: [...item.top.slice(0, 7), item.top[6]!] };
  expect(evidenceConsistent(twice, place)).toMatchObject({ ok: false, reason: 'duplicate_token' });
  const short = { ...item, top: item.top.slice(0, 3) };
  expect(evidenceConsistent(short, place)).toMatchObject({ ok: false, reason: 'wrong_top_count' });
});

test('Gonka, a longer answer dilutes a bad part: what is wrong in one block weighs the same whatever follows', async () => {
  const sampling = sampled({ logitBias: [[0, -100]] });
  const real = machine('fp32', 'b');
  const short = await write(machine('fp32', 'a', 'cheap'), { ...order, sampling, maxTokens: 32 });
  const long = [...short.tokens];
  for await (const { id } of continued(real, { ...order, sampling, maxTokens: 32 + 96 }, short.tokens)) long.push(id);
  expect(long).toHaveLength(32 + 96);
  const [first, all] = await Promise.all(
    [short.tokens, long].map(async (tokens) => {
      const claimed = { ...short, tokens };
      return responseFactors({ claimed, evidence: await score(real, claimed), bounds })!;
    }),
  );
  const caught = BETS.flatMap(({ test: name, stake }, i) => (name === 'margin' && stake >= 4 ? [i] : []));
  expect(caught.length).toBeGreaterThan(5);
  for (const i of caught) {
    // A mean over all tokens would leave a quarter of what is above 1.
    expect(first![i]).toBeGreaterThan(2);
    expect(all![i]).toBeGreaterThan(first![i]! / 2);
    expect(all![i]).toBeGreaterThan(1);
  }
});

test('Gonka, z > 1 convicts one honest node in six at every look: 200 honest responses leave the account clear', () => {
  const rng = new SeededRng('z above one');
  const account = openAccount();
  const margins: number[] = [];
  for (let i = 0; i < 200; i++) {
    const response = honestResponse(rng, COARSE, { sampling: sampled({}), tokens: 12, shared: true, spread: 1 });
    margins.push(judgeScore(response.claimed, response.evidence, tolerances)!.meanMargin);
    const factors = responseFactors({ ...response, bounds })!;
    feed(account, {
      responseId: `r${i}`,
      promptId: `p${i}`,
      client: `c${i % 30}`,
      own: i % 2 === 0,
      operator: `o${i % 3}`,
      factors,
    });
    expect(standingOf(account).stage).toBe('clear');
  }
  const mean = margins.reduce((sum, margin) => sum + margin, 0) / margins.length;
  const deviation = Math.sqrt(margins.reduce((sum, margin) => sum + (margin - mean) ** 2, 0) / margins.length);
  expect(margins.filter((margin) => (margin - mean) / deviation > 1).length).toBeGreaterThan(10);
});

/** A reply and a reveal as an honest provider signs them. */
async function signedWork() {
  const { written, evidence } = await cheap();
  const { tokens, seed } = written;
  const noise = { temperature: order.sampling.temperature, seed };
  const items = written.evidence.map((item, at) => ({ id: tokens[at]!, evidence: item, finish: null }));
  const before = { chunks: [], roots: [] };
  const chunk = sealChunk({
    provider: SIGNER.address,
    jobId: HASH,
    before,
    tokens: items,
    finish: 'length',
    noise,
    salt: HASH,
  });
  const signed = {
    jobId: HASH,
    ticketHash: HASH,
    provider: SIGNER.address,
    transcriptHash: scoredHash(order.promptIds, tokens),
    evidenceRoot: evidenceRoot(0, evidence),
    outputTokens: tokens.length,
  };
  const reply = { score: signed, signature: SIGNER.sign(digests.score(LOCAL_DOMAIN, signed)), evidence };
  return { written, reply, chunk, reveal: revealEvent(SIGNER, LOCAL_DOMAIN, chunk) };
}

/** What the gateway makes of a reveal of this sealed chunk: the tokens that it takes, or the fault. */
async function taken(chunk: StoredChunk, reveal: RevealEventWire): Promise<number | string> {
  async function* events(): AsyncGenerator<JobEvent> {
    yield { kind: 'commitment', event: commitmentEvent(SIGNER, LOCAL_DOMAIN, chunk) };
    yield { kind: 'reveal', event: zRevealEvent.parse(reveal) };
  }
  const client = { openJob: async () => events() } as unknown as ProviderClient;
  const seat = { address: SIGNER.address, url: 'http://member' } as Seat;
  const issued = { ticket: { jobId: HASH } } as IssuedTicket;
  const member = new SealedMember({ client, domain: LOCAL_DOMAIN, recover: recoverNative }, seat, issued);
  await member.start({} as JobOrderWire, new AbortController().signal);
  await member.nextCommitment();
  const outcome = member.nextReveal({ capacity: chunk.tokens.length });
  return outcome.then(
    ({ tokenCount }) => tokenCount,
    (error: MemberFault) => error.fault,
  );
}

test('TOPLOC, proofs that are missing are skipped: without an item for every token a reveal and a score are refused', async () => {
  const { written, reply, chunk, reveal } = await signedWork();
  const { tokens } = written;
  expect(zScoreReply.safeParse(reply).success).toBe(true);
  expect(zRevealEvent.safeParse(reveal).success).toBe(true);
  for (const missing of [null, undefined]) {
    expect(zScoreReply.safeParse({ ...reply, evidence: missing }).success).toBe(false);
    expect(zRevealEvent.safeParse({ ...reveal, shortEvidence: missing }).success).toBe(false);
  }
  const { evidence: _, ...withoutEvidence } = reply;
  const { shortEvidence: __, ...withoutShort } = reveal;
  expect(zScoreReply.safeParse(withoutEvidence).success).toBe(false);
  expect(zRevealEvent.safeParse(withoutShort).success).toBe(false);
  // zip() would compare what is there and call the rest good.
  expect(await taken(chunk, reveal)).toBe(tokens.length);
  for (const count of [0, 1, tokens.length - 1]) {
    const { evidence } = zScoreReply.parse({ ...reply, evidence: reply.evidence.slice(0, count) });
    expect(judgeScore(written, evidence, tolerances)).toBeNull();
    expect(responseFactors({ claimed: written, evidence, bounds })).toBeNull();
    const short = packShortEvidence(chunk.shortEvidence.slice(0, count));
    expect(await taken(chunk, { ...reveal, shortEvidence: short })).toBe('bad_evidence');
  }
});

test('TOPLOC, a modulus of 0 from the wire reaches a division: no evidence that parses makes a factor that is no number', () => {
  const uint = fc.oneof(fc.constantFrom(0, 1, 2, 8, 9, 2 ** 20, 2 ** 32 - 1), fc.nat());
  const logit = fc.oneof(
    fc.constantFrom(LOGIT_Q16_MIN, 2 ** 31 - 1, 0),
    fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  );
  const item = fc.record({
    chosen: fc.constantFrom(1, 2),
    chosenLogit: logit,
    keptCount: uint,
    lastKeptLogit: logit,
    massQ32: uint,
    top: fc.uniqueArray(fc.tuple(fc.nat(20), logit), { minLength: 0, maxLength: 9, selector: ([id]) => id }),
  });
  const sampling = fc.constantFrom(
    GREEDY,
    sampled({}),
    sampled({ topK: 5 }),
    sampled({ topP: 0.5 }),
    sampled({ temperature: 0.001, topP: 0.9 }),
  );
  fc.assert(
    fc.property(fc.array(item, { minLength: 1, maxLength: 4 }), sampling, (evidence, how) => {
      const parsed = evidence.map((one) => tokenEvidenceSchema.safeParse(one));
      if (parsed.some(({ success }) => !success)) return;
      const items = parsed.map(({ data }) => data as TokenEvidence);
      const claimed = { tokens: items.map(({ chosen }) => chosen), sampling: how, seed: 3n };
      for (const seedless of [false, true]) {
        for (const factor of responseFactors({ claimed, evidence: items, bounds, seedless }) ?? [0]) {
          expect(factor).toBeGreaterThanOrEqual(0);
          expect(factor).toBeLessThanOrEqual(128);
        }
      }
    }),
    { numRuns: 2_000 },
  );
  expect(
    tokenEvidenceSchema.safeParse({
      chosen: 1,
      chosenLogit: 0,
      keptCount: 0,
      lastKeptLogit: 0,
      massQ32: 0,
      top: [[1, 0]],
    }).success,
  ).toBe(false);
});

test('TOPLOC, an error becomes a placeholder proof: evidence that says nothing convicts whoever committed to it', async () => {
  const greedy = { ...order, sampling: GREEDY };
  const { tokens } = await write(machine('fp32', 'a', 'cheap'), greedy);
  const scored = await score(machine('fp32', 'b'), { ...greedy, tokens });
  // All logits alike: no contradiction in itself, since at temperature 0 the order of ids decides.
  const compared = tokens.map((token, position) => {
    const top = [token, ...Array.from({ length: EVIDENCE_TOP_MAX - 1 }, (_, i) => (token + 1 + i) % 200)];
    const own = { ...scored[position]!, chosen: token, chosenLogit: 0, top: top.map((id) => [id, 0] as const) };
    return { position, own, scored: scored[position]! };
  });
  expect(convict({ ...greedy, tokens }, compared, [], tolerances)).toMatchObject({ reason: 'evidence_far_off' });
  expect(tokenEvidenceSchema.safeParse({ ...scored[0]!, top: [] }).success).toBe(false);
  expect(scored[0]!.chosenLogit / LOGIT_SCALE).not.toBe(0);
});
