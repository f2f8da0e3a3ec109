/** Sampling in vectors gives what the portable code gives, which the vectors of the independent script hold. */
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { quantiseLogit } from '#protocol/evidence';
import { philox4x32 } from '#protocol/philox';
import { createPortableKernel, createWasmKernel, type SamplerKernel } from '#protocol/sampler-kernel';

const wasm = createWasmKernel()!;
const portable = createPortableKernel();
const realm = globalThis as { WebAssembly?: unknown };
const { WebAssembly: real } = realm;
afterEach(() => {
  realm.WebAssembly = real;
});

const logitArb = fc.oneof(
  { weight: 8, arbitrary: fc.float({ min: -40, max: 40, noNaN: true }) },
  // Around the ends of int32, which are 2^15 logits, and everything that is no number of that size.
  fc.float({ min: -32770, max: -32766 }),
  fc.float({ min: 32766, max: 32770 }),
  fc.float(),
  fc.constantFrom(
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    0,
    -0,
    2 ** -17,
    -(2 ** -17),
    3 * 2 ** -17,
  ),
);
const uint32Arb = fc.oneof(fc.nat(20), fc.integer({ min: 0, max: 2 ** 32 - 1 }));

/** Copies: what a kernel gives is valid until its next call. */
function results(
  kernel: SamplerKernel,
  logits: Float32Array,
  [position, key0, key1]: readonly [number, number, number],
) {
  const { values, highs } = kernel.round(logits);
  const rounded = { values: [...values], highs: [...highs] };
  const { words, ask } = kernel.draw(position, key0, key1);
  for (let block = 0; block < highs.length; block++) ask(block);
  return { ...rounded, words: [...words.subarray(0, logits.length)] };
}

describe('the kernel in WebAssembly', () => {
  it('is there on this platform', () => {
    expect(wasm).not.toBeNull();
  });

  it('gives the values, the best of every four and the words of the portable one, whatever vocabulary came before', () => {
    fc.assert(
      fc.property(
        fc.array(logitArb, { minLength: 1, maxLength: 90 }),
        fc.tuple(uint32Arb, uint32Arb, uint32Arb),
        (values, keys) => {
          const logits = Float32Array.from(values);
          expect(results(wasm, logits, keys)).toEqual(results(portable, logits, keys));
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('rounds as evidence does, at every length around its turns', () => {
    for (let length = 1; length <= 70; length++) {
      const logits = Float32Array.from({ length }, (_, id) => 40 * Math.sin(id * length));
      expect([...wasm.round(logits).values]).toEqual([...logits].map(quantiseLogit));
    }
  });

  it('grows for the largest vocabulary and serves a small one after it', () => {
    const large = Float32Array.from({ length: 2 ** 20 }, (_, id) => 12 * Math.sin(id));
    wasm.round(large);
    const { words } = wasm.draw(7, 1, 2);
    const block = new Uint32Array(4);
    for (const at of [0, 1, 4095, 2 ** 18 - 1]) {
      philox4x32(block, 7, at, 0, 0, 1, 2);
      expect([...words.subarray(4 * at, 4 * at + 4)]).toEqual([...block]);
    }
    const small = Float32Array.from([3, 1, 2, -4, 5]);
    expect(results(wasm, small, [1, 2, 3])).toEqual(results(portable, small, [1, 2, 3]));
  });

  it('is missing where WebAssembly is, or may not be compiled, and nothing is thrown', () => {
    realm.WebAssembly = undefined;
    expect(createWasmKernel()).toBeNull();
    const forbidden = () => {
      throw new Error('unsafe-eval');
    };
    realm.WebAssembly = { Module: forbidden, Instance: forbidden };
    expect(createWasmKernel()).toBeNull();
  });
});
