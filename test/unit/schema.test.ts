/** The numbers of the wire: what is no number is a failed check, never an exception. */
import { expect, test } from 'vitest';
import { zNano, zU64 } from '#protocol/schema';

test.each(['', 'x', '1.5', '-1', '01', '1e3', ' 1', '0x10', '9'.repeat(40), 7, null])(
  '%j is no amount and no uint64',
  (value) => {
    expect(zNano.safeParse(value).success).toBe(false);
    expect(zU64.safeParse(value).success).toBe(false);
  },
);

test('the largest numbers are those of the types', () => {
  expect(zNano.safeParse((2n ** 63n - 1n).toString()).success).toBe(true);
  expect(zNano.safeParse((2n ** 63n).toString()).success).toBe(false);
  expect(zU64.safeParse((2n ** 64n - 1n).toString()).success).toBe(true);
  expect(zU64.safeParse((2n ** 64n).toString()).success).toBe(false);
});
