/** Randomness by the page: no byte twice, whatever the lengths. */
import { expect, test } from 'vitest';
import { createSystemRng } from '../../gateway/system-rng.ts';

test('pieces of any length are whole, never alike, and not kept', () => {
  const rng = createSystemRng();
  const seen = new Set<string>();
  for (let turn = 0; turn < 2_000; turn++) {
    const length = 16 + (turn % 50);
    const bytes = rng.bytes(length);
    expect(bytes).toHaveLength(length);
    expect(bytes.buffer.byteLength).toBe(length);
    seen.add(Buffer.from(bytes.subarray(0, 16)).toString('hex'));
  }
  // 2,000 pieces of 128 bits: two alike, or one of a wiped pool, is a fault of the pool.
  expect(seen.size).toBe(2_000);
  expect(seen).not.toContain('0'.repeat(32));
});

test('a piece that no page holds comes by itself', () => {
  const bytes = createSystemRng().bytes(10_000);
  expect(bytes).toHaveLength(10_000);
  expect(bytes.slice(9_000).some((byte) => byte !== 0)).toBe(true);
});
