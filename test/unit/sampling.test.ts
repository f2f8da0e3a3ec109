import { describe, expect, it } from 'vitest';
import { GREEDY, samplingSchema } from '#protocol/sampling';

const accepts = (change: object): boolean => samplingSchema.safeParse({ ...GREEDY, ...change }).success;

describe('samplingSchema', () => {
  it('accepts the default and every limit', () => {
    expect(samplingSchema.parse(GREEDY)).toEqual(GREEDY);
    for (const change of [
      { temperature: 2 },
      { topP: 1e-9 },
      { topK: 2 ** 20 },
      { presencePenalty: -2, frequencyPenalty: 2 },
      { logitBias: Array.from({ length: 1024 }, (_, id) => [id, id % 2 ? 100 : -100]) },
      { stop: ['a', 'b', '🐟', 'x'.repeat(256)] },
    ]) {
      expect(accepts(change)).toBe(true);
    }
  });

  it.each<[string, object]>([
    ['a temperature above 2', { temperature: 2.0001 }],
    ['a negative temperature', { temperature: -0.1 }],
    ['NaN', { temperature: Number.NaN }],
    ['top-p 0', { topP: 0 }],
    ['top-p above 1', { topP: 1.1 }],
    ['a fractional top-k', { topK: 1.5 }],
    ['a top-k above 2^20', { topK: 2 ** 20 + 1 }],
    ['a penalty above 2', { presencePenalty: 2.1 }],
    ['a penalty below -2', { frequencyPenalty: -2.1 }],
    ['too many biases', { logitBias: Array.from({ length: 1025 }, (_, id) => [id, 0]) }],
    [
      'biases out of order, which would give one request two hashes',
      {
        logitBias: [
          [2, 1],
          [1, 1],
        ],
      },
    ],
    [
      'a token that is biased twice',
      {
        logitBias: [
          [1, 1],
          [1, 2],
        ],
      },
    ],
    ['a bias above 100', { logitBias: [[1, 101]] }],
    ['an id above uint32', { logitBias: [[2 ** 32, 1]] }],
    ['five stop strings', { stop: ['a', 'b', 'c', 'd', 'e'] }],
    ['an empty stop string, which would end every answer at once', { stop: [''] }],
    ['a stop string of 257 units', { stop: ['x'.repeat(257)] }],
    ['a lone surrogate, which has no UTF-8 form', { stop: ['\ud83d'] }],
    ['an unknown member', { minP: 0.1 }],
  ])('refuses %s', (_, change) => {
    expect(accepts(change)).toBe(false);
  });

  it('gives -0 the form of 0, so that one value has one hash', () => {
    const parsed = samplingSchema.parse({ ...GREEDY, temperature: -0, presencePenalty: -0, logitBias: [[1, -0]] });
    expect(Object.is(parsed.temperature, 0) && Object.is(parsed.presencePenalty, 0)).toBe(true);
    expect(Object.is(parsed.logitBias[0]![1], 0)).toBe(true);
  });
});
