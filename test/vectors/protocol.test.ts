/** Hashes, trees, rounds and draws against vectors that Python made from SPEC.md (scripts/make_protocol.py). */
import { expect, it } from 'vitest';
import { z } from 'zod';
import { bodyHash, canonicalJson } from '#protocol/canonical';
import { contentHash, type ResponseContent } from '#protocol/content';
import {
  drawKey,
  drawKeyInTree,
  drawKeyPath,
  drawKeyTree,
  drawOrder,
  drawSeed,
  type Snapshot,
  seatsFrom,
  snapshotHash,
} from '#protocol/draw';
import { LOCAL_DOMAIN } from '#protocol/eip712';
import { fromHex, type Hex, toHex } from '#protocol/hash';
import {
  consistencyProof,
  inclusionProof,
  leafHash,
  merkleRoot,
  verifyConsistency,
  verifyInclusion,
} from '#protocol/merkle';
import {
  choiceSeed,
  generateJobHash,
  modelDigest,
  outputHash,
  promptHash,
  samplingHash,
  scoredHash,
  weightsHash,
} from '#protocol/request';
import {
  commitmentHash,
  commitmentInRound,
  memberSlots,
  openingFits,
  paddingLeaf,
  padHash,
  rootsHash,
  roundLeaf,
  sealRound,
} from '#protocol/round';
import { samplingSchema } from '#protocol/sampling';
import { zAddress, zHash } from '#protocol/schema';
import { recoverPortable } from '#protocol/signer';
import { signerOfTwoRoots, zTwoRoots } from '#protocol/two-roots';
import { readVectors, rule, runVectors, zHex } from './read-vectors.ts';

const ids = z.strictObject({ ids: z.array(z.number()) });
const anything = z.strictObject({ value: z.unknown() });
const outOfRange = { out_of_range: 'throws' } as const;
const notCanonical = { not_canonical: 'throws' } as const;
const invalidProof = { invalid_proof: false } as const;
const hexes = (list: readonly Uint8Array[]): Hex[] => list.map(toHex);
const leavesOf = (data: readonly Hex[]): Uint8Array[] => data.map((item) => leafHash(fromHex(item)));

runVectors('./hashes.json', {
  promptHash: rule(ids, (input) => promptHash(input.ids), outOfRange),
  outputHash: rule(ids, (input) => outputHash(input.ids), outOfRange),
  generateJobHash: rule(ids, (input) => generateJobHash(input.ids)),
  bodyHash: rule(anything, ({ value }) => bodyHash(value), notCanonical),
  canonicalJson: rule(anything, ({ value }) => canonicalJson(value), notCanonical),
  modelDigest: rule(
    z.strictObject({
      config: zHash,
      tokenizer: zHash,
      tokenizerConfig: zHash,
      generationConfig: zHash,
      chatTemplate: zHash,
      weights: zHash,
    }),
    modelDigest,
  ),
  weightsHash: rule(z.strictObject({ graph: zHash, externalData: z.array(zHash) }), ({ graph, externalData }) =>
    weightsHash(graph, externalData),
  ),
  samplingHash: rule(samplingSchema, samplingHash),
  scoredHash: rule(
    z.strictObject({ promptIds: z.array(z.number()), outputIds: z.array(z.number()) }),
    ({ promptIds, outputIds }) => scoredHash(promptIds, outputIds),
  ),
  choiceSeed: rule(z.strictObject({ seed: z.string(), choice: z.number() }), ({ seed, choice }) =>
    choiceSeed(BigInt(seed), choice).toString(),
  ),
  contentHash: rule(z.custom<ResponseContent>(), contentHash, notCanonical),
});

const proof = { path: z.array(zHex) };
runVectors('./merkle.json', {
  merkleRoot: rule(z.strictObject({ data: z.array(zHex) }), ({ data }) => toHex(merkleRoot(leavesOf(data)))),
  inclusionProof: rule(
    z.strictObject({ data: z.array(zHex), index: z.number() }),
    ({ data, index }) => hexes(inclusionProof(leavesOf(data), index)),
    outOfRange,
  ),
  verifyInclusion: rule(
    z.strictObject({ leaf: zHex, index: z.number(), size: z.number(), root: zHex, ...proof }),
    ({ leaf, index, size, root, path }) =>
      verifyInclusion(leafHash(fromHex(leaf)), index, size, path.map(fromHex), fromHex(root)),
    invalidProof,
  ),
  consistencyProof: rule(
    z.strictObject({ data: z.array(zHex), size: z.number() }),
    ({ data, size }) => hexes(consistencyProof(leavesOf(data), size)),
    outOfRange,
  ),
  verifyConsistency: rule(
    z.strictObject({ oldSize: z.number(), oldRoot: zHex, newSize: z.number(), newRoot: zHex, ...proof }),
    ({ oldSize, oldRoot, newSize, newRoot, path }) =>
      verifyConsistency(oldSize, fromHex(oldRoot), newSize, fromHex(newRoot), path.map(fromHex)),
    invalidProof,
  ),
});

const opening = z.strictObject({
  jobId: zHash,
  index: z.number(),
  previous: zHash,
  previousRoot: zHash,
  tokenCount: z.number(),
  last: z.boolean(),
  tokensHash: zHash,
  evidenceRoot: zHash,
  salt: zHash,
});
const place = { index: z.number(), slot: z.number() };

runVectors('./rounds.json', {
  commitmentHash: rule(
    z.strictObject({ provider: zAddress, opening }),
    (input) => commitmentHash(input.provider, input.opening),
    outOfRange,
  ),
  openingFits: rule(
    z.strictObject({
      provider: zAddress,
      opening,
      expected: z.strictObject({ commitment: zHash, previous: zHash, previousRoot: zHash }),
    }),
    (input) => openingFits(input.provider, input.opening, input.expected),
    invalidProof,
  ),
  padHash: rule(z.strictObject({ padSeed: zHash }), ({ padSeed }) => padHash(padSeed)),
  memberSlots: rule(
    z.strictObject({ padSeed: zHash, roundId: zHash, seats: z.number() }),
    ({ padSeed, roundId, seats }) => memberSlots(padSeed, roundId, seats),
    outOfRange,
  ),
  roundLeaf: rule(
    z.strictObject({ roundId: zHash, commitment: zHash, ...place }),
    ({ roundId, index, slot, commitment }) => toHex(roundLeaf(roundId, index, slot, commitment)),
  ),
  paddingLeaf: rule(z.strictObject({ padSeed: zHash, roundId: zHash, ...place }), ({ padSeed, roundId, index, slot }) =>
    toHex(paddingLeaf(padSeed, roundId, index, slot)),
  ),
  sealRound: rule(
    z.strictObject({
      roundId: zHash,
      index: z.number(),
      padSeed: zHash,
      commitments: z.array(z.tuple([z.number(), zHash])),
    }),
    ({ roundId, index, padSeed, commitments }) => {
      const { root, path } = sealRound(roundId, index, padSeed, new Map(commitments));
      return { root, paths: Array.from({ length: 16 }, (_, slot) => path(slot)) };
    },
  ),
  commitmentInRound: rule(
    z.strictObject({
      round: z.strictObject({ roundId: zHash, index: z.number(), roundRoot: zHash }),
      slot: z.number(),
      commitment: zHash,
      path: z.array(zHash),
    }),
    ({ round, slot, commitment, path }) => commitmentInRound(round, slot, commitment, path),
    invalidProof,
  ),
  rootsHash: rule(z.strictObject({ roots: z.array(zHash) }), ({ roots }) => rootsHash(roots)),
  signerOfTwoRoots: rule(
    zTwoRoots,
    (pair) => signerOfTwoRoots(pair, { domain: LOCAL_DOMAIN, recover: recoverPortable }),
    { not_proven: null },
  ),
});

const snapshot = z.custom<Snapshot>();
runVectors('./draw.json', {
  drawKey: rule(z.strictObject({ secret: zHex, epoch: z.number(), index: z.number() }), ({ secret, epoch, index }) =>
    drawKey(fromHex(secret), epoch, index),
  ),
  drawKeyTree: rule(
    z.strictObject({ secret: zHex, epoch: z.number(), size: z.number() }),
    ({ secret, epoch, size }) => {
      const { root, levels } = drawKeyTree(fromHex(secret), epoch, size);
      return { root, paths: Array.from({ length: size }, (_, index) => drawKeyPath(levels, index)) };
    },
    outOfRange,
  ),
  drawKeyInTree: rule(
    z.strictObject({ index: z.number(), key: zHash, path: z.array(zHash), size: z.number(), root: zHash }),
    ({ index, key, path, size, root }) => drawKeyInTree(index, key, path, size, root),
    invalidProof,
  ),
  drawSeed: rule(
    z.strictObject({ key: zHash, bodyHash: zHash, clientNonce: z.string().nullable() }),
    ({ key, bodyHash: body, clientNonce }) => toHex(drawSeed(key, body, clientNonce)),
  ),
  snapshotHash: rule(snapshot, snapshotHash),
  drawOrder: rule(z.strictObject({ snapshot, modelDigest: zHash, seed: zHex }), (input) =>
    drawOrder(input.snapshot, input.modelDigest, fromHex(input.seed)),
  ),
  seatsFrom: rule(
    z.strictObject({
      order: z.array(zAddress),
      snapshot,
      count: z.number(),
      providers: z.array(zAddress),
      operators: z.array(z.string()),
    }),
    ({ order, count, providers, operators, ...rest }) =>
      seatsFrom(order, rest.snapshot, count, { providers: new Set(providers), operators: new Set(operators) }),
  ),
});

it.each([
  ['an unknown key', { name: 'a', spec: '1', expect: 'success', input: 1, output: 1, note: '' }],
  ['an unknown expectation', { name: 'a', spec: '1', expect: 'sometimes', input: 1, output: null }],
  ['a refusal with an output', { name: 'a', spec: '1', expect: 'malformed', input: 1, output: 1 }],
  ['a success without one', { name: 'a', spec: '1', expect: 'success', input: 1, output: null }],
])('a vector file with %s is refused as a whole', (_, entry) => {
  expect(() => readVectors(JSON.stringify({ rule: [entry] }))).toThrow();
});
