/** No request that is accepted can come to an attestation that is longer than the protocol reads (SPEC.md §10.1). */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ATTESTATION_LENGTH_MAX, parseAttestation, type StatementWire } from '#protocol/attestation';
import { canonicalJson } from '#protocol/canonical';
import { type Hash, toHex, utf8 } from '#protocol/hash';
import { SCORES_MAX } from '#protocol/schema';
import { attestationLengthMax, jsonBytes, type StatementShape } from '../../gateway/attest/statement-size.ts';

const HASH: Hash = toHex(new Uint8Array(32).fill(0xab));
const ADDRESS = toHex(new Uint8Array(20).fill(0xcd)) as `0x${string}`;
const SIGNATURE = `0x${'ee'.repeat(64)}1b` as const;
const U32 = 2 ** 32 - 1;
const TIME_MS = 8.64e15;
const NANO = '9223372036854775807';
const NAME = 'operator "é" \u0001';
const MODEL = 'minnow-5m';
const POLICY = { mode: 'quorum', n: 15, agree: 15 };
const SAMPLING = {
  temperature: 0.123456789012345,
  topP: 1,
  topK: 0,
  presencePenalty: 0,
  frequencyPenalty: 0,
  logitBias: [],
  stop: ['\n'],
};
const SKIP = { provider: ADDRESS, reason: 'capability:sampler', logIndex: U32 };
const REFUSED = { provider: ADDRESS, reason: 'refused:insufficient_quota', logIndex: U32 };
const TERMS = { ticketHash: HASH, provider: ADDRESS, transcriptHash: HASH };

interface Order {
  /** Of each wave. */
  readonly seats: number;
  readonly waves: number;
  readonly choices: number;
  readonly maxTokens: number;
  readonly chunkSizes: readonly number[];
  readonly vocabSize: number;
}

function shapeOf(order: Order): StatementShape {
  return {
    ...order,
    seats: order.waves * order.seats,
    nameBytes: jsonBytes(NAME),
    skipBytes: jsonBytes([SKIP]),
    asked: 2,
    requestBytes: jsonBytes([MODEL, SAMPLING, POLICY, null]),
  };
}

/** Chunks of the schedule, counted by playing it. */
function chunksOf({ maxTokens, chunkSizes }: Order): number[] {
  const chunks: number[] = [];
  for (let left = maxTokens; left > 0; ) {
    const size = Math.min(left, chunkSizes[Math.min(chunks.length, chunkSizes.length - 1)]!);
    chunks.push(size);
    left -= size;
  }
  return chunks;
}

/** The longest answer that the order allows: every seat opens every chunk, every list is full. */
function compactOf(order: Order): string {
  const chunks = chunksOf(order);
  const claim = { jobId: HASH, ...TERMS, requestHash: HASH, roundId: HASH, lastCommitment: HASH, rootsHash: HASH };
  const ticket = {
    jobId: HASH,
    requestHash: HASH,
    roundId: HASH,
    provider: ADDRESS,
    kind: 1,
    jobHash: HASH,
    padHash: HASH,
    inputNanoPerMtok: NANO,
    outputNanoPerMtok: NANO,
    issuedAtMs: TIME_MS,
    expiresAtMs: TIME_MS,
    retainUntilMs: TIME_MS,
    checkpoint: HASH,
  };
  const member = {
    provider: ADDRESS,
    operator: NAME,
    slot: 15,
    standing: 'equivalent' as const,
    ticket,
    commitments: chunks.map(() => HASH),
    openings: chunks.map((tokenCount) => ({ tokenCount, last: false, evidenceRoot: HASH, salt: HASH })),
    claim: {
      value: { ...claim, chunkCount: chunks.length, outputTokens: order.maxTokens, finish: 2, checkpoint: HASH },
      signature: SIGNATURE,
    },
  };
  const wave = {
    roundId: HASH,
    padSeed: HASH,
    roots: chunks.map(() => HASH),
    members: Array(order.seats).fill(member),
  };
  const score = { jobId: HASH, ...TERMS, evidenceRoot: HASH, outputTokens: order.maxTokens };
  const scored = { provider: ADDRESS, operator: NAME, about: ADDRESS, outputHash: HASH, accepted: false };
  const choice = {
    waves: Array(order.waves).fill(wave),
    scores: Array(SCORES_MAX).fill({ ...scored, role: 'referee', score, signature: SIGNATURE }),
    served: ADDRESS,
    outputIds: Array(order.maxTokens).fill(order.vocabSize - 1),
    verdict: 'inconclusive' as const,
    agreement: { needed: 15, standing: 15, of: 15 },
    faults: Array(64).fill({ provider: ADDRESS, fault: 'contradicting_attestation', disputeId: HASH }),
  };
  const skipped = [SKIP, REFUSED, REFUSED];
  const prompt = { promptHash: HASH, promptTokens: U32 };
  const statement: StatementWire = {
    version: 1,
    requestId: 'req_0123456789abcdef0123456789abcdef',
    attempt: U32,
    gateway: ADDRESS,
    request: {
      model: MODEL,
      modelDigest: HASH,
      promptHash: HASH,
      promptTokens: U32,
      sampling: SAMPLING,
      seed: '18446744073709551615',
      maxTokens: order.maxTokens,
      nonce: HASH,
    },
    requestHash: HASH,
    bodyHash: HASH,
    clientNonce: null,
    policy: POLICY,
    draw: {
      epoch: U32,
      index: U32,
      key: HASH,
      path: Array(64).fill(HASH),
      size: U32,
      snapshotHash: HASH,
      skipped,
    },
    ...choice,
    ...(order.choices > 1
      ? { firstVerdict: 'inconclusive', choices: Array(order.choices - 1).fill({ prompt, skipped, ...choice }) }
      : {}),
    unverified: ['choices.logprobs'],
    contentHash: HASH,
    logprobsHash: HASH,
    price: { quoteNano: NANO, chargedNano: NANO },
    logIndex: U32,
    issuedAtMs: TIME_MS,
  };
  const text = Buffer.from(utf8(canonicalJson(statement))).toString('base64url');
  return `v1.${text}.${Buffer.alloc(65, 0xee).toString('base64url')}`;
}

const orders = fc.record({
  seats: fc.integer({ min: 1, max: 15 }),
  waves: fc.constantFrom(1, 2),
  choices: fc.integer({ min: 1, max: 16 }),
  maxTokens: fc.integer({ min: 1, max: 700 }),
  chunkSizes: fc.array(fc.integer({ min: 1, max: 64 }), { minLength: 1, maxLength: 4 }),
  vocabSize: fc.constantFrom(256, 4096, 151_936),
});

test('the bound is never below the longest attestation of an order, and not far above it', () => {
  fc.assert(
    fc.property(orders, (order) => {
      const bound = attestationLengthMax(shapeOf(order));
      const { length } = compactOf(order);
      expect(bound).toBeGreaterThanOrEqual(length);
      expect(bound).toBeLessThan(length * 1.5);
    }),
    { numRuns: 25 },
  );
});

test('the smallest order has a statement of the form that the protocol reads', () => {
  const order = { seats: 15, waves: 2, choices: 2, maxTokens: 20, chunkSizes: [8, 16], vocabSize: 4096 };
  expect(parseAttestation(compactOf(order))).not.toBeNull();
});

test.each([
  { seats: 15, waves: 1, choices: 1, chunkSizes: [8, 16, 32, 64], vocabSize: 151_936 },
  { seats: 15, waves: 2, choices: 8, chunkSizes: [8], vocabSize: 4096 },
  { seats: 3, waves: 1, choices: 3, chunkSizes: [1 << 20], vocabSize: 151_936 },
])('the longest order that is accepted is within the limit, the next one may not be: %o', (order) => {
  const boundAt = (maxTokens: number) => attestationLengthMax(shapeOf({ ...order, maxTokens }));
  let accepted = 1;
  let refused = 1 << 20;
  expect(boundAt(refused)).toBeGreaterThan(ATTESTATION_LENGTH_MAX);
  while (refused - accepted > 1) {
    const middle = (accepted + refused) >> 1;
    if (boundAt(middle) <= ATTESTATION_LENGTH_MAX) accepted = middle;
    else refused = middle;
  }
  const { length } = compactOf({ ...order, maxTokens: accepted });
  expect(length).toBeLessThanOrEqual(ATTESTATION_LENGTH_MAX);
  expect(length).toBeGreaterThan(ATTESTATION_LENGTH_MAX * 0.85);
});
