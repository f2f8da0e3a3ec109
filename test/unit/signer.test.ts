import fc from 'fast-check';
import { privateKeyToAccount } from 'viem/accounts';
import { describe, expect, it } from 'vitest';
import { fromHex, type Hex, sha256, toHex, utf8 } from '#protocol/hash';
import { portableSigner, recoverPortable, S_MAX, splitSignature } from '#protocol/signer';
import { nativeSigner, recoverNative } from '#protocol/signer-native';

// The same cases on every run.
fc.configureGlobal({ seed: 3 });

const ORDER = 2n * S_MAX + 1n;
const RECOVERIES = [
  ['portable', recoverPortable],
  ['native', recoverNative],
] as const;
const digest32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const privateKey = digest32.filter((bytes) => {
  const key = BigInt(toHex(bytes));
  return key > 0n && key < ORDER;
});
const word = (value: bigint): string => value.toString(16).padStart(64, '0');
const KEY = sha256(utf8('a key'));
const DIGEST = sha256(utf8('a digest'));
const SIGNER = portableSigner(KEY);
const SOUND = SIGNER.sign(DIGEST);
const parts = (signature: Hex) => ({
  r: signature.slice(2, 66),
  s: BigInt(`0x${signature.slice(66, 130)}`),
  v: signature.slice(130),
});

describe('both signers', () => {
  it('give viem’s bytes for any key and digest, and both recoveries find the signer', async () => {
    await fc.assert(
      fc.asyncProperty(privateKey, digest32, async (key, digest) => {
        const [portable, native, account] = [portableSigner(key), nativeSigner(key), privateKeyToAccount(toHex(key))];
        expect(native.address).toBe(portable.address);
        expect(portable.address).toBe(account.address.toLowerCase());
        const signature = portable.sign(digest);
        expect(native.sign(digest)).toBe(signature);
        expect(await account.sign({ hash: toHex(digest) })).toBe(signature);
        expect(recoverPortable(digest, signature)).toBe(portable.address);
        expect(recoverNative(digest, signature)).toBe(portable.address);
      }),
      { numRuns: 30 },
    );
  });

  it('sign the same digest twice with the same bytes, s always low', () => {
    for (let i = 0; i < 20; i++) {
      const digest = sha256(utf8(`digest ${i}`));
      const signature = SIGNER.sign(digest);
      expect(SIGNER.sign(digest)).toBe(signature);
      expect(parts(signature).s <= S_MAX).toBe(true);
    }
  });

  it.each([0, 20, 31, 33, 64])('refuse a digest of %s bytes', (length) => {
    expect(() => SIGNER.sign(new Uint8Array(length))).toThrow(/./);
    expect(() => nativeSigner(KEY).sign(new Uint8Array(length))).toThrow(/./);
  });

  it.each<[string, Uint8Array]>([
    ['zero', new Uint8Array(32)],
    ['the order', fromHex(`0x${word(ORDER)}`)],
    ['above the order', new Uint8Array(32).fill(0xff)],
    ['31 bytes', new Uint8Array(31).fill(1)],
    ['33 bytes', new Uint8Array(33).fill(1)],
  ])('refuse the private key %s', (_, key) => {
    expect(() => portableSigner(key)).toThrow(/./);
    expect(() => nativeSigner(key)).toThrow(/./);
  });
});

describe.each(RECOVERIES)('%s recovery', (_, recover) => {
  it('finds the signer, and another address for another digest', () => {
    expect(recover(DIGEST, SOUND)).toBe(SIGNER.address);
    expect(recover(sha256(DIGEST), SOUND)).not.toBe(SIGNER.address);
  });

  it('refuses the twin with high s, which a chain without EIP-2 would take for a second signature', () => {
    const { r, s, v } = parts(SOUND);
    const otherV = v === '1b' ? '1c' : '1b';
    expect(recover(DIGEST, `0x${r}${word(ORDER - s)}${otherV}`)).toBeNull();
    expect(recover(DIGEST, `0x${r}${word(ORDER - s)}${v}`)).toBeNull();
  });

  it('takes the border of low s and nothing above it', () => {
    const { r } = parts(SOUND);
    expect(splitSignature(`0x${r}${word(S_MAX)}1b`)).not.toBeNull();
    expect(recover(DIGEST, `0x${r}${word(S_MAX)}1b`)).not.toBeNull();
    expect(splitSignature(`0x${r}${word(S_MAX + 1n)}1b`)).toBeNull();
    expect(recover(DIGEST, `0x${r}${word(S_MAX + 1n)}1b`)).toBeNull();
  });

  it('never throws and never finds the signer in a signature with one digit changed', () => {
    for (let at = 2; at < SOUND.length; at++) {
      const digit = ((Number.parseInt(SOUND[at]!, 16) + 1) % 16).toString(16);
      const changed = `${SOUND.slice(0, at)}${digit}${SOUND.slice(at + 1)}` as Hex;
      expect(recover(DIGEST, changed), `digit ${at}`).not.toBe(SIGNER.address);
    }
  });

  const { r, s, v } = parts(SOUND);
  it.each<[string, string]>([
    ['v 0', `0x${r}${word(s)}00`],
    ['v 1', `0x${r}${word(s)}01`],
    ['v 29', `0x${r}${word(s)}1d`],
    ['v of EIP-155', `0x${r}${word(s)}25`],
    ['r zero', `0x${word(0n)}${word(s)}${v}`],
    ['s zero', `0x${r}${word(0n)}${v}`],
    ['r equal to the order', `0x${word(ORDER)}${word(s)}${v}`],
    ['64 bytes', `0x${r}${word(s)}`],
    ['66 bytes', `${SOUND}00`],
    ['upper-case digits', `0x${SOUND.slice(2).toUpperCase()}`],
    ['no prefix', SOUND.slice(2)],
    ['a line feed at the end', `${SOUND}\n`],
    ['nothing', ''],
  ])('refuses %s', (_name, text) => {
    expect(recover(DIGEST, text as Hex)).toBeNull();
  });

  it.each([0, 31, 33])('refuses a digest of %s bytes', (length) => {
    expect(recover(new Uint8Array(length).fill(1), SOUND)).toBeNull();
  });
});

it('native and portable recovery agree on arbitrary bytes', () => {
  const bytes = fc.uint8Array({ minLength: 64, maxLength: 64 });
  fc.assert(
    fc.property(bytes, fc.constantFrom('1b', '1c'), digest32, (body, v, digest) => {
      const signature = `${toHex(body)}${v}` as Hex;
      expect(recoverNative(digest, signature)).toBe(recoverPortable(digest, signature));
    }),
    { numRuns: 60 },
  );
});
