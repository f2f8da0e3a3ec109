/** How long an attestation can become, from what is known before the first ticket (SPEC.md §10.1). Pure. */

import type { ChoiceRecord, StatementWire } from '#protocol/attestation';
import { canonicalJson } from '#protocol/canonical';
import { ERROR_CODES } from '#protocol/errors';
import { type Address, type Hash, type Hex, utf8 } from '#protocol/hash';
import { SCORES_MAX } from '#protocol/schema';
import { FAULTS } from '#protocol/verdict';

/** What decides how long a statement is. */
export interface StatementShape {
  /** Of all waves of a choice together, extra ones included; 1 to 15 a wave. */
  readonly seats: number;
  /** Of each choice. */
  readonly waves: number;
  readonly choices: number;
  /** Of each choice. */
  readonly maxTokens: number;
  /** Tokens per chunk; the last size repeats. */
  readonly chunkSizes: readonly number[];
  readonly vocabSize: number;
  /** Longest name of an operator, as bytes of JSON. */
  readonly nameBytes: number;
  /** Candidates that any draw may pass over for a known reason, as bytes of JSON. */
  readonly skipBytes: number;
  /** Candidates that may refuse when they are asked. */
  readonly asked: number;
  /** What is repeated from the request: model, sampling, policy and nonce, as bytes of JSON. */
  readonly requestBytes: number;
}

type MemberWire = StatementWire['waves'][number]['members'][number];

const HASH: Hash = `0x${'f'.repeat(64)}`;
const ADDRESS: Address = `0x${'f'.repeat(40)}`;
const SIGNATURE: Hex = `0x${'f'.repeat(130)}`;
const U32 = 0xffff_ffff;
const TIME_MS = 8_640_000_000_000_000;
const NANO = `${(1n << 63n) - 1n}`;
const longest = (words: readonly string[]) => words.reduce((a, b) => (b.length > a.length ? b : a));

/** The widest of everything that is always there; lists are empty, and so is what is given by its bytes. */
const MEMBER: MemberWire = {
  provider: ADDRESS,
  operator: '',
  slot: 15,
  standing: 'equivalent',
  ticket: {
    jobId: HASH,
    requestHash: HASH,
    roundId: HASH,
    provider: ADDRESS,
    kind: 255,
    jobHash: HASH,
    padHash: HASH,
    inputNanoPerMtok: NANO,
    outputNanoPerMtok: NANO,
    issuedAtMs: TIME_MS,
    expiresAtMs: TIME_MS,
    retainUntilMs: TIME_MS,
    checkpoint: HASH,
  },
  commitments: [],
  openings: [],
  claim: {
    value: {
      jobId: HASH,
      ticketHash: HASH,
      requestHash: HASH,
      roundId: HASH,
      provider: ADDRESS,
      transcriptHash: HASH,
      lastCommitment: HASH,
      rootsHash: HASH,
      chunkCount: U32,
      outputTokens: U32,
      finish: 3,
      checkpoint: HASH,
    },
    signature: SIGNATURE,
  },
};
const OPENING: MemberWire['openings'][number] = { tokenCount: U32, last: false, evidenceRoot: HASH, salt: HASH };
const WAVE: StatementWire['waves'][number] = { roundId: HASH, padSeed: HASH, roots: [], members: [] };
const SCORE: StatementWire['scores'][number] = {
  provider: ADDRESS,
  operator: '',
  role: 'referee',
  about: ADDRESS,
  outputHash: HASH,
  accepted: false,
  score: {
    jobId: HASH,
    ticketHash: HASH,
    provider: ADDRESS,
    transcriptHash: HASH,
    evidenceRoot: HASH,
    outputTokens: U32,
  },
  signature: SIGNATURE,
};
const SKIP: ChoiceRecord['skipped'][number] = {
  provider: ADDRESS,
  reason: `refused:${longest(ERROR_CODES)}`,
  logIndex: U32,
};
const FAULT: ChoiceRecord['faults'][number] = {
  provider: ADDRESS,
  fault: longest(FAULTS) as (typeof FAULTS)[number],
  disputeId: HASH,
};
const CHOICE = {
  prompt: { promptHash: HASH, promptTokens: U32 },
  skipped: [],
  waves: [],
  scores: [],
  served: ADDRESS,
  outputIds: [],
  verdict: 'inconclusive',
  agreement: { needed: U32, standing: U32, of: U32 },
  faults: [],
} as const;
/** Beside the choices: 64 is the most hashes of a path, 64 the most characters of an id. */
const REST = {
  version: 1,
  requestId: 'r'.repeat(64),
  attempt: U32,
  gateway: ADDRESS,
  request: {
    model: null,
    modelDigest: HASH,
    promptHash: HASH,
    promptTokens: U32,
    sampling: null,
    seed: `${(1n << 64n) - 1n}`,
    maxTokens: U32,
    nonce: HASH,
  },
  requestHash: HASH,
  bodyHash: HASH,
  clientNonce: null,
  policy: null,
  draw: { epoch: U32, index: U32, key: HASH, path: Array(64).fill(HASH), size: U32, snapshotHash: HASH },
  audit: { ppm: U32, regeneratePpm: U32, withinMs: U32 },
  firstVerdict: 'inconclusive',
  choices: [],
  unverified: ['choices', 'choices.logprobs'],
  contentHash: HASH,
  logprobsHash: HASH,
  price: { quoteNano: NANO, chargedNano: NANO },
  logIndex: U32,
  issuedAtMs: TIME_MS,
};

/** An item of a list with its comma. */
const itemBytes = (value: unknown) => jsonBytes(value) + 1;
/** 66 characters and two quotes: 69 with the comma. */
const HASH_BYTES = itemBytes(HASH);
const MEMBER_BYTES = itemBytes(MEMBER);
const OPENING_BYTES = itemBytes(OPENING);
const WAVE_BYTES = itemBytes(WAVE);
const SCORE_BYTES = itemBytes(SCORE);
const SKIP_BYTES = itemBytes(SKIP);
const FAULT_BYTES = itemBytes(FAULT);
const CHOICE_BYTES = itemBytes(CHOICE);
const REST_BYTES = itemBytes(REST);
/** The schema's own limit. */
const FAULTS_MAX = 64;

/** Bytes of a value's canonical JSON. */
export function jsonBytes(value: unknown): number {
  return utf8(canonicalJson(value)).length;
}

/** Chunks of a schedule, and one more for an end that comes alone. */
function chunksOf({ chunkSizes, maxTokens }: Pick<StatementShape, 'chunkSizes' | 'maxTokens'>): number {
  const first = chunkSizes.slice(0, -1);
  const left = maxTokens - first.reduce((sum, size) => sum + size, 0);
  return first.length + Math.ceil(Math.max(0, left) / chunkSizes.at(-1)!) + 1;
}

/**
 * The most characters of a compact attestation. With one wave of 15 seats a chunk of 64 tokens is 69 bytes of root, 15 · (69 + 197) of
 * seals and 64 · 5 of tokens in base64, some 91 characters a token: 45,000 tokens; with 3 seats some 160,000.
 */
export function attestationLengthMax(shape: StatementShape): number {
  const { seats, waves, choices, maxTokens, vocabSize, nameBytes } = shape;
  const chunks = chunksOf(shape);
  const member = MEMBER_BYTES + nameBytes + chunks * (HASH_BYTES + OPENING_BYTES);
  const sealed = waves * (WAVE_BYTES + chunks * HASH_BYTES) + seats * member;
  const judged = SCORES_MAX * (SCORE_BYTES + nameBytes) + FAULTS_MAX * FAULT_BYTES;
  const passed = shape.skipBytes + shape.asked * SKIP_BYTES;
  const ids = maxTokens * (String(vocabSize).length + 1);
  const bytes = REST_BYTES + shape.requestBytes + choices * (CHOICE_BYTES + passed + sealed + judged + ids);
  // `v1.`, base64url, `.`, and a signature of 65 bytes: 87 characters.
  return 3 + Math.ceil((bytes * 4) / 3) + 1 + 87;
}
