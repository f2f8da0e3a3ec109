/** Keccak-256 in WebAssembly gives what the portable code gives, and the published values. */
import { keccak_256 } from '@noble/hashes/sha3.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import fc from 'fast-check';
import { afterEach, expect, test, vi } from 'vitest';
import { createKeccak256 } from '#protocol/keccak-wasm';

const keccak = createKeccak256()!;
const realm = globalThis as { WebAssembly?: unknown };
const { WebAssembly: real } = realm;
afterEach(() => {
  realm.WebAssembly = real;
});

test('it is there on this platform', () => {
  expect(keccak).not.toBeNull();
});

test('published values of the empty text, of abc and of an ERC-20 event come out', () => {
  const hashOf = (text: string) => bytesToHex(keccak(utf8ToBytes(text)));
  expect(hashOf('')).toBe('c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470');
  expect(hashOf('abc')).toBe('4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45');
  expect(hashOf('Transfer(address,address,uint256)')).toBe(
    'ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef',
  );
});

test('every length over four blocks gives the bytes of the portable code', () => {
  const bytes = Uint8Array.from({ length: 4 * 136 + 1 }, (_, i) => (i * 167 + 13) % 256);
  for (let length = 0; length <= bytes.length; length++) {
    const part = bytes.subarray(0, length);
    expect(keccak(part)).toEqual(keccak_256(part));
  }
});

test('random bytes give the bytes of the portable code, whatever was hashed before', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => {
      expect(keccak(bytes)).toEqual(keccak_256(bytes));
    }),
    { numRuns: 500 },
  );
});

test('where WebAssembly is missing or may not be compiled there is none, and nothing is thrown', () => {
  realm.WebAssembly = undefined;
  expect(createKeccak256()).toBeNull();
  const forbidden = vi.fn(() => {
    throw new Error('unsafe-eval');
  });
  realm.WebAssembly = { Module: forbidden, Instance: forbidden };
  expect(createKeccak256()).toBeNull();
});
