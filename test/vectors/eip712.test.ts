/** Struct hashes, digests and signatures against viem, which read its types from SPEC.md (scripts/make-eip712.mjs). */
import { expect, it } from 'vitest';
import { z } from 'zod';
import * as chain from '#protocol/chain-messages';
import { type Struct, typedDigest } from '#protocol/eip712';
import { fromHex, toHex } from '#protocol/hash';
import { zAddress, zU64 } from '#protocol/schema';
import { portableSigner, recoverPortable } from '#protocol/signer';
import { nativeSigner, recoverNative } from '#protocol/signer-native';
import * as typed from '#protocol/typed';
import { rule, runVectors, zHex } from './read-vectors.ts';

type Value = Record<string, string | bigint | boolean>;
const structs = new Map(
  [...Object.values(typed), ...Object.values(chain)]
    .filter((value) => typeof value === 'object' && 'encodeType' in value)
    .map((value) => value as unknown as Struct<Value>)
    .map((struct) => [struct.name, struct]),
);

const zTyped = z.strictObject({
  struct: z.string(),
  domain: z
    .strictObject({ chainId: zU64, verifyingContract: zAddress })
    .transform(({ chainId, verifyingContract }) => ({ chainId: BigInt(chainId), verifyingContract })),
  value: z.record(z.string(), z.union([z.string(), z.boolean()])),
  key: zHex,
});

function signed({ struct: name, domain, value, key }: z.output<typeof zTyped>): unknown {
  const struct = structs.get(name)!;
  expect(Object.keys(value)).toEqual(struct.fields.map(([field]) => field));
  const parsed: Value = Object.fromEntries(
    struct.fields.map(([field, type]) => [
      field,
      type.startsWith('uint') ? BigInt(value[field] as string) : value[field]!,
    ]),
  );
  const digest = typedDigest(domain, struct, parsed);
  const [portable, native] = [portableSigner(fromHex(key)), nativeSigner(fromHex(key))];
  const signature = portable.sign(digest);
  expect(native.sign(digest)).toBe(signature);
  expect(native.address).toBe(portable.address);
  return {
    encodeType: struct.encodeType,
    structHash: toHex(struct.hash(parsed)),
    digest: toHex(digest),
    address: recoverPortable(digest, signature),
    signature,
  };
}

runVectors('./eip712.json', {
  typedDigest: rule(zTyped, signed, { out_of_range: 'throws' }),
  recover: rule(
    z.strictObject({ digest: zHex, signature: zHex }),
    ({ digest, signature }) => {
      const address = recoverPortable(fromHex(digest), signature);
      expect(recoverNative(fromHex(digest), signature)).toBe(address);
      return address;
    },
    { invalid_signature: null },
  ),
});

it('every struct of the protocol stands in the tables of SPEC.md and spec-chain.md', () => {
  expect([...structs.keys()].sort()).toEqual(
    ['Attestation', 'Checkpoint', 'Claim', 'Commitment', 'DisputeMove', 'Manifest', 'Permission', 'Refusal', 'Request']
      .concat(['Reveal', 'Score', 'Ticket', 'KeySuccession', 'ProviderCall', 'SigningKey', 'Voucher', 'Ruling', 'Draw'])
      .concat('EscrowKey')
      .sort(),
  );
});
