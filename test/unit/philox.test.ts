import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { gumbelNoise, gumbelOfWord, philox4x32, seedHigh, seedLow } from '#protocol/philox';

interface PhiloxVectors {
  philox: { counter: [number, number, number, number]; key: [number, number]; output: number[] }[];
  noise: { seed: string; position: number; id: number; gumbel: number }[];
}
const vectors = JSON.parse(readFileSync(new URL('../vectors/sampler.json', import.meta.url), 'utf8')) as PhiloxVectors;

/** Outputs in kat_vectors of Random123 1.14 for philox4x32-10: all zero, all ones, digits of pi. */
const RANDOM123 = [
  [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
  [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
  [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
];

describe('philox4x32', () => {
  it('gives the known answers of Random123', () => {
    const out = new Uint32Array(4);
    expect(vectors.philox).toHaveLength(RANDOM123.length);
    vectors.philox.forEach(({ counter, key, output }, index) => {
      philox4x32(out, ...counter, ...key);
      expect([...out]).toEqual(RANDOM123[index]);
      expect(output).toEqual(RANDOM123[index]);
    });
  });
});

describe('gumbelNoise', () => {
  it('agrees with the independent script, also for negative and high seeds', () => {
    for (const { seed, position, id, gumbel } of vectors.noise) {
      expect(gumbelNoise(BigInt(seed), position, id)).toBeCloseTo(gumbel, 12);
    }
  });

  it("reads a negative seed as its two's complement", () => {
    expect([seedLow(-1n), seedHigh(-1n)]).toEqual([2 ** 32 - 1, 2 ** 32 - 1]);
    expect(gumbelNoise(-1n, 3, 9)).toBe(gumbelNoise(2n ** 64n - 1n, 3, 9));
  });

  it('is finite for every word, including the smallest and the largest', () => {
    expect(gumbelOfWord(0)).toBeCloseTo(-3.13, 3);
    expect(gumbelOfWord(2 ** 32 - 1)).toBeCloseTo(22.8739, 3);
  });

  it('does not repeat between neighbouring ids, positions and seeds', () => {
    const seen = new Set<number>();
    for (let seed = 0n; seed < 8n; seed++) {
      for (let position = 0; position < 16; position++) {
        for (let id = 0; id < 32; id++) seen.add(gumbelNoise(seed, position, id));
      }
    }
    expect(seen.size).toBe(8 * 16 * 32);
  });
});
