import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { EvidenceContext, TokenEvidence } from '#protocol/evidence';
import {
  encodeEvidence,
  evidenceConsistent,
  GAP_Q16_MAX,
  LOGIT_Q16_MAX,
  LOGIT_Q16_MIN,
  MASS_Q32_ONE,
  margin,
  quantiseLogit,
  shortEvidence,
  shortEvidenceSchema,
  tokenEvidenceSchema,
} from '#protocol/evidence';
import { chooseToken, evidenceFor, perturbedScore } from '#protocol/sampler';
import type { Sampling } from '#protocol/sampling';
import { GREEDY, samplingSchema } from '#protocol/sampling';

interface EncodingVector {
  name: string;
  position: number;
  temperature: number;
  seed: string;
  evidence: unknown;
  short: [number, number];
  bytes: string;
}
const { encodings } = JSON.parse(readFileSync(new URL('../vectors/evidence.json', import.meta.url), 'utf8')) as {
  encodings: EncodingVector[];
};
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const Q = 65536;
const ONE_LOGIT: TokenEvidence = {
  chosen: 1,
  chosenLogit: 5 * Q,
  keptCount: 100,
  lastKeptLogit: LOGIT_Q16_MIN,
  massQ32: MASS_Q32_ONE,
  top: [8, 7, 6, 5, 4, 3, 2, 1].map((logit, id) => [id, logit * Q] as const),
};

describe('encodeEvidence', () => {
  it.each(encodings.map((vector) => [vector.name, vector] as const))('gives the independent bytes: %s', (_, vector) => {
    const evidence = tokenEvidenceSchema.parse(vector.evidence);
    expect(hex(encodeEvidence(vector.position, evidence))).toBe(vector.bytes);
    const noise = { temperature: vector.temperature, seed: BigInt(vector.seed), position: vector.position };
    expect(shortEvidence(evidence, noise)).toEqual(vector.short);
    expect(shortEvidenceSchema.parse(vector.short)).toEqual(vector.short);
  });
});

describe('tokenEvidenceSchema', () => {
  it.each([
    ['a ninth top entry', { top: [...ONE_LOGIT.top, [9, 0]] }],
    ['an empty top list', { top: [] }],
    ['a fractional logit', { chosenLogit: 0.5 }],
    ['a logit above int32', { chosenLogit: 2 ** 31 }],
    ['a negative id', { chosen: -1 }],
    ['an id above uint32', { chosen: 2 ** 32 }],
    ['an empty support', { keptCount: 0 }],
    ['a key that nobody knows', { extra: 1 }],
  ])('refuses %s', (_, change) => {
    expect(tokenEvidenceSchema.safeParse({ ...ONE_LOGIT, ...change }).success).toBe(false);
    expect(tokenEvidenceSchema.safeParse(ONE_LOGIT).success).toBe(true);
  });
});

describe('quantiseLogit', () => {
  it('rounds halves up, clamps to int32 and never gives -0', () => {
    expect([0.5, -0.5, 1.5, -1.5].map((units) => quantiseLogit(units / Q))).toEqual([1, 0, 2, -1]);
    expect([1e9, -1e9, Number.NaN, Number.POSITIVE_INFINITY].map(quantiseLogit)).toEqual([
      LOGIT_Q16_MAX,
      LOGIT_Q16_MIN,
      LOGIT_Q16_MIN,
      LOGIT_Q16_MAX,
    ]);
  });
});

describe('shortEvidence', () => {
  it('says that there is no runner-up when one token was kept', () => {
    const noise = { temperature: 1, seed: 1n, position: 0 };
    expect(shortEvidence({ ...ONE_LOGIT, chosen: 7, top: [[7, 0]] }, noise)).toEqual([7, GAP_Q16_MAX]);
  });

  it('saturates large gaps', () => {
    const top = [
      [0, LOGIT_Q16_MAX],
      [1, LOGIT_Q16_MIN],
    ] as const;
    const far = { ...ONE_LOGIT, chosen: 0, chosenLogit: LOGIT_Q16_MAX, top };
    expect(shortEvidence(far, { temperature: 0, seed: 0n, position: 0 })).toEqual([1, GAP_Q16_MAX]);
  });
});

describe('margin', () => {
  const greedy = { temperature: 0, seed: 0n, position: 0, borderTolerance: 0 };

  it('is 0 for the token that the scorer itself would have taken', () => {
    const own = { ...ONE_LOGIT, chosen: 0, chosenLogit: 8 * Q };
    expect(margin(own, greedy)).toEqual({ margin: 0, atClip: false });
  });

  it('is the distance of perturbed scores, clipped', () => {
    const near = { ...ONE_LOGIT, chosen: 50, chosenLogit: 7.75 * Q };
    expect(margin(near, greedy)).toEqual({ margin: 0.25, atClip: false });
    expect(margin(ONE_LOGIT, greedy)).toEqual({ margin: 0.5, atClip: true });
    expect(margin(ONE_LOGIT, { ...greedy, clip: 10 })).toEqual({ margin: 3, atClip: false });
  });

  it('uses the shared noise at temperature above 0', () => {
    const noise = { temperature: 1, seed: 77n, position: 12 };
    const logits = Float32Array.from({ length: 64 }, (_, id) => Math.cos(id));
    const context = { sampling: { ...GREEDY, temperature: 1 }, seed: 77n, position: 12, outputCounts: new Map() };
    const { id: best, evidence } = chooseToken(logits, context);
    const claim = evidence.top[1]![0];
    const score = (id: number): number =>
      perturbedScore(quantiseLogit(logits[id]!) / Q, noise.temperature, noise.seed, noise.position, id);
    const measured = margin(evidenceFor(logits, context, claim), { ...noise, borderTolerance: 0, clip: 100 });
    expect(measured.margin).toBeCloseTo(score(best) - score(claim), 12);
  });

  it('counts the clip for a token outside the grown support, however near its score is', () => {
    const restricted = { ...ONE_LOGIT, keptCount: 8, lastKeptLogit: Q };
    const outside = { ...restricted, chosen: 50, chosenLogit: 0.9 * Q };
    const noisy = { temperature: 2, seed: 0n, position: 0, clip: 1000 };
    expect(margin(outside, { ...noisy, borderTolerance: 0 })).toEqual({ margin: 1000, atClip: true });
    expect(margin(outside, { ...noisy, borderTolerance: 0.2 }).atClip).toBe(false);
  });

  it('does not blame a claim for losing to a token that may honestly be outside the support', () => {
    // The scorer keeps tokens 0 and 1; 1 wins by its noise, but lies within the tolerance of the border.
    const seed = [...Array(200).keys()].map(BigInt).find((s) => winner(s) === 1 && distance(s) > 0.2)!;
    const evidence: TokenEvidence = {
      chosen: 0,
      chosenLogit: Q,
      keptCount: 2,
      lastKeptLogit: 0.9 * Q,
      massQ32: 2 ** 31,
      top: [
        [1, 0.9 * Q],
        [0, Q],
      ],
    };
    const at = { temperature: 1, seed, position: 0 };
    expect(margin(evidence, { ...at, borderTolerance: 0 }).margin).toBeGreaterThan(0.2);
    expect(margin(evidence, { ...at, borderTolerance: 0.05 }).margin).toBe(0);
    function distance(s: bigint): number {
      return perturbedScore(0.9, 1, s, 0, 1) - perturbedScore(1, 1, s, 0, 0);
    }
    function winner(s: bigint): number {
      return distance(s) > 0 ? 1 : 0;
    }
  });
});

describe('evidenceConsistent', () => {
  const restricted: Sampling = samplingSchema.parse({ ...GREEDY, temperature: 1, topP: 0.9 });
  const logits = Float32Array.from({ length: 60 }, (_, id) => 3 * Math.sin(id * 7));
  const honest = (sampling: Sampling): { evidence: TokenEvidence; context: EvidenceContext } => {
    const context = { sampling, seed: 9n, position: 2, outputCounts: new Map(), vocabSize: logits.length };
    return { evidence: chooseToken(logits, context).evidence, context };
  };
  const reasonFor = (sampling: Sampling, forge: (evidence: TokenEvidence) => Partial<TokenEvidence>) => {
    const { evidence, context } = honest(sampling);
    const check = evidenceConsistent({ ...evidence, ...forge(evidence) }, context);
    return check.ok ? 'ok' : check.reason;
  };
  const free = { ...restricted, topP: 1 };

  it('accepts what the sampler made', () => {
    for (const sampling of [GREEDY, free, restricted, { ...free, topK: 4 }])
      expect(reasonFor(sampling, () => ({}))).toBe('ok');
  });

  it.each<[string, string, Sampling, (evidence: TokenEvidence) => Partial<TokenEvidence>]>([
    ['a cheaper token claimed beside the true list', 'chosen_not_best', free, (e) => ({ chosen: e.top[3]![0] })],
    [
      'a chosen logit that the list does not have',
      'chosen_not_best',
      free,
      (e) => ({ chosenLogit: e.chosenLogit + 1 }),
    ],
    [
      'the runner-up moved to the front',
      'wrong_order',
      free,
      (e) => {
        const [first, second, ...rest] = e.top;
        return { chosen: second![0], chosenLogit: second![1], top: [second!, first!, ...rest] };
      },
    ],
    ['an empty list', 'wrong_top_count', free, () => ({ keptCount: 0, top: [] })],
    ['a missing entry', 'wrong_top_count', free, (e) => ({ top: e.top.slice(0, 7) })],
    ['a padded list', 'duplicate_token', free, (e) => ({ top: [...e.top.slice(0, 7), e.top[0]!] })],
    [
      'a token that the vocabulary does not have',
      'duplicate_token',
      free,
      (e) => ({ top: [...e.top.slice(0, 7), [60, -(2 ** 30)]] }),
    ],
    ['a smaller support where nothing restricts', 'wrong_kept_count', free, () => ({ keptCount: 59 })],
    ['a support above the vocabulary', 'wrong_kept_count', restricted, () => ({ keptCount: 61 })],
    ['a support above top-k', 'wrong_kept_count', { ...free, topK: 20 }, () => ({ keptCount: 21 })],
    ['a support below top-k', 'wrong_kept_count', { ...free, topK: 20 }, () => ({ keptCount: 19 })],
    ['a border where nothing restricts', 'wrong_border', free, () => ({ lastKeptLogit: -5 * Q })],
    ['a border above a listed token', 'wrong_border', restricted, (e) => ({ lastKeptLogit: e.chosenLogit + 1 })],
    [
      'a border below the last of a complete list',
      'wrong_border',
      { ...free, topK: 4 },
      (e) => ({ lastKeptLogit: e.lastKeptLogit - 1 }),
    ],
    ['a mass where nothing restricts', 'wrong_mass', free, () => ({ massQ32: MASS_Q32_ONE - 1 })],
    [
      'a support above top-k where top-p restricts too',
      'wrong_kept_count',
      { ...restricted, topK: 10 },
      () => ({ keptCount: 11 }),
    ],
    [
      'a whole vocabulary that is not everything',
      'wrong_mass',
      { ...free, topK: 100 },
      () => ({ massQ32: MASS_Q32_ONE - 1 }),
    ],
    [
      'a mass below top-p where top-k restricts too',
      'wrong_mass',
      { ...restricted, topK: 10 },
      () => ({ massQ32: Math.floor(0.89 * MASS_Q32_ONE) }),
    ],
    [
      'all of what top-k kept that is not everything',
      'wrong_mass',
      { ...restricted, topP: 0.999999, topK: 2 },
      () => ({ massQ32: MASS_Q32_ONE - 1 }),
    ],
    ['a mass below top-p', 'wrong_mass', restricted, () => ({ massQ32: Math.floor(0.89 * MASS_Q32_ONE) })],
    [
      'a support that goes on after top-p was reached',
      'wrong_mass',
      restricted,
      () => ({ massQ32: Math.floor(0.999 * MASS_Q32_ONE) }),
    ],
  ])('refuses %s', (_, reason, sampling, forge) => {
    expect(reasonFor(sampling, forge)).toBe(reason);
  });

  it('refuses evidence that was made for another seed', () => {
    const { evidence, context } = honest(free);
    expect(evidenceConsistent(evidence, { ...context, seed: 10n }).ok).toBe(false);
  });

  it('refuses the higher id of two equal logits at temperature 0', () => {
    const context = { sampling: GREEDY, seed: 0n, position: 0, vocabSize: 2 };
    const top = [
      [1, 0],
      [0, 0],
    ] as const;
    const evidence = {
      chosen: 1,
      chosenLogit: 0,
      keptCount: 2,
      lastKeptLogit: LOGIT_Q16_MIN,
      massQ32: MASS_Q32_ONE,
      top,
    };
    expect(evidenceConsistent(evidence, context)).toEqual({ ok: false, reason: 'wrong_order' });
  });
});
