/** The tree over a chunk's evidence: every position opens, and nothing else opens in its place. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeEvidence, type TokenEvidence, tokenEvidenceSchema } from '#protocol/evidence';
import { evidenceInRoot, evidencePath, evidenceRoot } from '#protocol/evidence-tree';
import { toHex } from '#protocol/hash';

const u32 = fc.nat(2 ** 32 - 1);
const logit = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const someEvidence: fc.Arbitrary<TokenEvidence> = fc.record({
  chosen: u32,
  chosenLogit: logit,
  keptCount: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
  lastKeptLogit: logit,
  massQ32: u32,
  top: fc.array(fc.tuple(u32, logit), { minLength: 1, maxLength: 8 }),
});
const someChunk = fc.array(someEvidence, { minLength: 1, maxLength: 20 });

test('every position of a chunk opens under its root, at its own place only', () => {
  const property = fc.property(someChunk, fc.nat(10_000), fc.nat(19), (chunk, firstPosition, at) => {
    const root = evidenceRoot(firstPosition, chunk);
    const place = { firstPosition, tokenCount: chunk.length, evidenceRoot: root };
    const position = firstPosition + (at % chunk.length);
    const own = chunk[at % chunk.length]!;
    const path = evidencePath(firstPosition, chunk, position);
    expect(evidenceInRoot(place, position, own, path)).toBe(true);
    expect(evidenceInRoot(place, position + 1, own, path)).toBe(false);
    expect(evidenceInRoot(place, position, { ...own, massQ32: (own.massQ32 + 1) % 2 ** 32 }, path)).toBe(false);
    expect(evidenceInRoot({ ...place, firstPosition: firstPosition + 1 }, position, own, path)).toBe(false);
    expect(evidenceInRoot(place, position, own, [...path, root])).toBe(false);
  });
  fc.assert(property, { seed: 41, numRuns: 200 });
});

test('two evidences have one encoding only where they are the same, and what is encoded is what the schema lets in', () => {
  const property = fc.property(someEvidence, someEvidence, fc.nat(1000), (a, b, position) => {
    expect(tokenEvidenceSchema.parse(a)).toEqual(a);
    const same = toHex(encodeEvidence(position, a)) === toHex(encodeEvidence(position, b));
    expect(same).toBe(JSON.stringify(a) === JSON.stringify(b));
    expect(toHex(encodeEvidence(position, a))).not.toBe(toHex(encodeEvidence(position + 1, a)));
  });
  fc.assert(property, { seed: 42, numRuns: 300 });
});
