/** Private keys as text: what a key file may hold, and what is refused without being quoted. */
import { expect, it } from 'vitest';
import { newPrivateKey, parsePrivateKey, privateKeyText } from '#protocol/private-key';

/** Order of secp256k1 (SEC 2, §2.4.1): the smallest number that is no key any more. */
const ORDER = 'fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141';

it('writes a key as one line and reads it back, with or without 0x, in either case', () => {
  const key = newPrivateKey({ bytes: (length) => new Uint8Array(length).fill(0xab) });
  expect(privateKeyText(key)).toBe(`0x${'ab'.repeat(32)}\n`);
  for (const text of [privateKeyText(key), 'AB'.repeat(32), ` 0x${'ab'.repeat(32)} `]) {
    expect(parsePrivateKey(text)).toEqual(key);
  }
});

it.each(['', '0x', 'ab'.repeat(31), 'ab'.repeat(33), `0x${'zz'.repeat(32)}`, `0x${'00'.repeat(32)}`, ORDER])(
  'refuses %j and does not quote it',
  (text) => {
    expect(() => parsePrivateKey(text)).toThrow(/^the key file does not hold/);
    if (text.length > 2) expect(() => parsePrivateKey(text)).not.toThrow(text);
  },
);

it('draws again where the bytes are no key', () => {
  const draws = [new Uint8Array(32), new Uint8Array(32).fill(255), new Uint8Array(32).fill(1)];
  expect(newPrivateKey({ bytes: () => draws.shift()! })).toEqual(new Uint8Array(32).fill(1));
});
