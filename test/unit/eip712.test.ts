import fc from 'fast-check';
import { hashStruct, hashTypedData } from 'viem';
import { describe, expect, it } from 'vitest';
import { defineStruct, LOCAL_DOMAIN, typedDigest } from '#protocol/eip712';
import type { Hex } from '#protocol/hash';
import { toHex } from '#protocol/hash';
import { PermissionStruct, RefusalStruct, requestHash, TicketStruct } from '#protocol/typed';

// The same cases on every run.
fc.configureGlobal({ seed: 3 });

interface Sample {
  readonly text: string;
  readonly flag: boolean;
  readonly small: number;
  readonly middle: number;
  readonly large: bigint;
  readonly who: Hex;
  readonly word: Hex;
}
const Sample = defineStruct<Sample>('Sample', [
  ['text', 'string'],
  ['flag', 'bool'],
  ['small', 'uint8'],
  ['middle', 'uint32'],
  ['large', 'uint64'],
  ['who', 'address'],
  ['word', 'bytes32'],
]);
const hexOf = (bytes: number) =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((value): Hex => toHex(value));
const sample: fc.Arbitrary<Sample> = fc.record({
  text: fc.string({ unit: 'grapheme' }),
  flag: fc.boolean(),
  small: fc.integer({ min: 0, max: 255 }),
  middle: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  large: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  who: hexOf(20),
  word: hexOf(32),
});
const one: Sample = {
  text: 'a',
  flag: true,
  small: 1,
  middle: 2,
  large: 3n,
  who: `0x${'11'.repeat(20)}`,
  word: `0x${'22'.repeat(32)}`,
};

describe('typed digests', () => {
  it('are those of viem for any value and any domain', () => {
    const types: Record<string, { name: string; type: string }[]> = {
      Sample: Sample.fields.map(([name, type]) => ({ name, type })),
    };
    fc.assert(
      fc.property(sample, fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), hexOf(20), (value, chainId, contract) => {
        const message = value as unknown as Record<string, unknown>;
        expect(toHex(Sample.hash(value))).toBe(hashStruct({ data: message, types, primaryType: 'Sample' }));
        const domain = { name: 'Assay', version: '1', chainId, verifyingContract: contract };
        expect(toHex(typedDigest({ chainId, verifyingContract: contract }, Sample, value))).toBe(
          hashTypedData({ domain, types, primaryType: 'Sample', message }),
        );
      }),
    );
  });

  it('stay right while more domains are shown than are remembered', () => {
    const domains = Array.from({ length: 200 }, (_, i) => ({
      chainId: BigInt(i),
      verifyingContract: LOCAL_DOMAIN.verifyingContract,
    }));
    const first = domains.map((domain) => toHex(typedDigest(domain, Sample, one)));
    expect(new Set(first).size).toBe(200);
    expect(domains.map((domain) => toHex(typedDigest(domain, Sample, one)))).toEqual(first);
  });

  it('differ for one value under two structs of the same fields', () => {
    const Other = defineStruct<Sample>('Other', Sample.fields);
    expect(toHex(Other.hash(one))).not.toBe(toHex(Sample.hash(one)));
  });

  it.each<[string, Partial<Record<keyof Sample, unknown>>]>([
    ['uint8 above 255', { small: 256 }],
    ['uint32 above 2^32 - 1', { middle: 2 ** 32 }],
    ['uint64 above 2^64 - 1', { large: 2n ** 64n }],
    ['a negative number', { middle: -1 }],
    ['a negative bigint', { large: -1n }],
    ['a fraction', { middle: 0.5 }],
    ['a short address', { who: `0x${'11'.repeat(19)}` }],
    ['a long address, which would move into the next word', { who: `0x${'11'.repeat(21)}` }],
    ['a short word', { word: `0x${'22'.repeat(31)}` }],
    ['a long word', { word: `0x${'22'.repeat(33)}` }],
    ['an odd number of digits', { word: `0x${'2'.repeat(63)}` }],
    ['other than hex', { word: `0x${'zz'.repeat(32)}` }],
  ])('refuse %s', (_, change) => {
    expect(() => Sample.hash({ ...one, ...change } as Sample)).toThrow(/./);
  });

  it('refuse a chain id above 64 bits', () => {
    const domain = { chainId: 2n ** 64n, verifyingContract: LOCAL_DOMAIN.verifyingContract };
    expect(() => typedDigest(domain, Sample, one)).toThrow(RangeError);
  });
});

describe('structs of the protocol', () => {
  it('hash every field: a change of any one changes the hash', () => {
    const permission = { roundId: `0x${'11'.repeat(32)}`, index: 1, roundRoot: `0x${'22'.repeat(32)}` } as const;
    const before = toHex(PermissionStruct.hash(permission));
    const changes = [{ roundId: `0x${'33'.repeat(32)}` }, { index: 2 }, { roundRoot: `0x${'33'.repeat(32)}` }] as const;
    for (const change of changes) {
      expect(toHex(PermissionStruct.hash({ ...permission, ...change }))).not.toBe(before);
    }
  });

  it('keep neighbouring texts and numbers apart', () => {
    const base = { jobId: `0x${'11'.repeat(32)}`, ticketHash: `0x${'22'.repeat(32)}` } as const;
    const hashes = ['queue_full', 'queue_ful', 'queue_full '].map((code) =>
      toHex(RefusalStruct.hash({ ...base, code, atMs: 1 })),
    );
    expect(new Set(hashes).size).toBe(3);
  });

  it('give requestHash without a domain, so that it is the same on every chain', () => {
    const word = `0x${'11'.repeat(32)}` as const;
    const terms = { model: 'm', modelDigest: word, promptHash: word, samplingHash: word, maxTokens: 1, nonce: word };
    expect(requestHash({ ...terms, seed: 2n ** 64n - 1n })).not.toBe(requestHash({ ...terms, seed: 0n }));
    expect(TicketStruct.encodeType.startsWith('Ticket(bytes32 jobId,bytes32 requestHash,')).toBe(true);
  });
});
