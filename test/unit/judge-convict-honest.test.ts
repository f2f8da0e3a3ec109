/** No honest evidence convicts, whatever the logits, and whatever constant an engine adds to all of them. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LOGIT_Q16_MIN, LOGIT_SCALE, type TokenEvidence } from '#protocol/evidence';
import { chooseToken, evidenceFor } from '#protocol/sampler';
import { GREEDY, type Sampling } from '#protocol/sampling';
import { convict, selfContradiction } from '../../gateway/judge/convict.ts';
import { evidenceDistance, sharedDistance } from '../../gateway/judge/evidence-distance.ts';

const NO_COUNTS = new Map<number, number>();
const TOLERANCES = { tie: 0.01, border: 0.01, reject: 0.05, gross: 1 };
const float = (min: number, max: number) => fc.double({ min, max, noNaN: true });
const someLogits = fc.array(float(-12, 12), { minLength: 9, maxLength: 40 }).map((values) => Float32Array.from(values));
const someSampling = fc
  .record({ temperature: fc.oneof(fc.constant(0), float(0.1, 2)), topP: float(0.05, 1), topK: fc.nat(12) })
  .map((change): Sampling => ({ ...GREEDY, ...change }));
const someSeed = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

/** One honest token at position 0, and its evidence. */
function honest(logits: Float32Array, sampling: Sampling, seed: bigint) {
  const context = { sampling, seed, position: 0, outputCounts: NO_COUNTS };
  const { id, evidence } = chooseToken(logits, context);
  return { id, evidence, context };
}

function raised(evidence: TokenEvidence, by: number): TokenEvidence {
  const { lastKeptLogit } = evidence;
  return {
    ...evidence,
    chosenLogit: evidence.chosenLogit + by,
    lastKeptLogit: lastKeptLogit === LOGIT_Q16_MIN ? lastKeptLogit : lastKeptLogit + by,
    top: evidence.top.map(([id, logit]) => [id, logit + by] as const),
  };
}

test('what a sampler makes contradicts nothing, and is nowhere from itself, also with a constant added', () => {
  const property = fc.property(
    someLogits,
    someSampling,
    someSeed,
    fc.integer({ min: -5, max: 5 }),
    (logits, sampling, seed, logit) => {
      const { id, evidence } = honest(logits, sampling, seed);
      const accused = { tokens: [id], sampling, seed, vocabSize: logits.length };
      expect(selfContradiction(accused, [{ position: 0, own: evidence }])).toBeNull();
      const shifted = raised(evidence, logit * LOGIT_SCALE);
      const pair = { position: 0, own: evidence, scored: shifted };
      expect(evidenceDistance(pair, { sampling, seed })).toBeCloseTo(0, 6);
    },
  );
  fc.assert(property, { seed: 31, numRuns: 400 });
});

// Each token may move by d = tie / 2, so that two of them move apart by a tie.
const someNoise = fc.array(float(-0.005, 0.005), { minLength: 40, maxLength: 40 });

/** The same, evenly: of all doubles that lie between two numbers most are next to nothing. */
const evenNoise = fc
  .array(fc.integer({ min: -5000, max: 5000 }), { minLength: 40, maxLength: 40 })
  .map((parts) => parts.map((part) => part / 1e6));

/** One position alone is all of a transcript of one token: the hardest case. */
function convictHonest(logits: Float32Array, moved: readonly number[], sampling: Sampling, seed: bigint) {
  const { id, evidence, context } = honest(logits, sampling, seed);
  const scored = evidenceFor(
    logits.map((logit, i) => logit + moved[i]!),
    context,
    id,
  );
  const pair = { position: 0, own: evidence, scored };
  const found = convict({ tokens: [id], sampling, seed }, [pair], [], TOLERANCES);
  return { found, distance: evidenceDistance(pair, { sampling, seed }), isShared: sharedDistance(pair) !== null };
}

test.each([
  ['any seed', 32, 600],
  // Its 445th case has 15 equal logits at the border of top-k: two honest lists share next to nothing.
  ['seed 77, which once convicted', 77, 500],
])(
  'an honest machine is not convicted by a judge whose logits are as far off as its class allows: %s',
  (_, from, numRuns) => {
    const property = fc.property(someLogits, someNoise, someSampling, someSeed, (logits, moved, sampling, seed) => {
      expect(convictHonest(logits, moved, sampling, seed).found).toBeNull();
    });
    fc.assert(property, { seed: from, numRuns });
  },
);

test('tokens that are equal within noise convict nobody, at the border of a support or of a list, however many there are', () => {
  // Few levels: most tokens stand on a border with a dozen others.
  const levels = fc.array(fc.constantFrom(-3, 0, 0, 0, 0), { minLength: 20, maxLength: 40 });
  const tight = fc.record({ temperature: fc.constantFrom(0, 0.1, 1), topP: fc.constantFrom(0.4, 1), topK: fc.nat(12) });
  let unshared = 0;
  const property = fc.property(levels, evenNoise, tight, someSeed, (logits, moved, change, seed) => {
    const sampling = { ...GREEDY, ...change };
    const { found, distance, isShared } = convictHonest(Float32Array.from(logits), moved, sampling, seed);
    expect(found).toBeNull();
    if (isShared) return;
    unshared++;
    // Two roundings to 2^-16 beyond what two tokens may move apart by; top-p leaves out by shares as well.
    if (sampling.topP === 1) expect(distance).toBeLessThan(0.01 + 4 / LOGIT_SCALE);
  });
  fc.assert(property, { seed: 34, numRuns: 600 });
  expect(unshared).toBeGreaterThan(20);
});

test('nobody is convicted across classes that nobody has calibrated', () => {
  const property = fc.property(someLogits, someLogits, someSampling, someSeed, (mine, theirs, sampling, seed) => {
    const { id, evidence } = honest(mine, sampling, seed);
    const compared = [{ position: 0, own: evidence, scored: honest(theirs, sampling, seed).evidence }];
    const judgement = {
      vote: 'reject',
      tokens: 9,
      atClip: 9,
      clippedAt: [],
      meanMargin: 1,
      largestMargin: 0.5,
    } as const;
    expect(convict({ tokens: [id], sampling, seed }, compared, [judgement, judgement], null)).toBeNull();
  });
  fc.assert(property, { seed: 33, numRuns: 100 });
});
