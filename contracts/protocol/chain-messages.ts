/** EIP-712 structs of what concerns the chain alone, with their digests (spec-chain.md C1). A field's order is part of the protocol. */
import { type Domain, defineStruct, typedDigest } from './eip712.ts';
import { type Address, concat, fromHex, type Hash, keccak256, toHex } from './hash.ts';
import { type Claim, ClaimStruct } from './typed.ts';

/** A key's own statement that it answers for an account. */
export interface SigningKey {
  readonly account: Address;
  readonly key: Address;
}
export const SigningKeyStruct = defineStruct<SigningKey>('SigningKey', [
  ['account', 'address'],
  ['key', 'address'],
]);

/** What a client owes a gateway in all since its escrow's epoch began, in base units of the token. */
export interface Voucher {
  /** The `Settlement` that holds the escrow: one registry may have several. */
  readonly settlement: Address;
  readonly client: Address;
  readonly gateway: Address;
  readonly epoch: bigint;
  readonly cumulative: bigint;
}
export const VoucherStruct = defineStruct<Voucher>('Voucher', [
  ['settlement', 'address'],
  ['client', 'address'],
  ['gateway', 'address'],
  ['epoch', 'uint64'],
  ['cumulative', 'uint128'],
]);

/**
 * A client's statement that an API key spends what its vouchers bring, or `revoked` that it does so no more. Only the gateway reads it: a
 * key that was revoked stays so, whoever says the first statement again.
 */
export interface EscrowKey {
  readonly settlement: Address;
  readonly client: Address;
  readonly gateway: Address;
  /** SHA-256 of the API key. */
  readonly keyHash: Hash;
  readonly revoked: boolean;
}
export const EscrowKeyStruct = defineStruct<EscrowKey>('EscrowKey', [
  ['settlement', 'address'],
  ['client', 'address'],
  ['gateway', 'address'],
  ['keyHash', 'bytes32'],
  ['revoked', 'bool'],
]);

/** A referee's voice on one case. `instance` is 1 on appeal; `outcome` 1 is upheld, 2 rejected; `refund` in base units. */
export interface Ruling {
  readonly caseId: Hash;
  readonly instance: number;
  readonly outcome: number;
  readonly client: Address;
  readonly refund: bigint;
  /** `rightHash` of those who were right. */
  readonly rightHash: Hash;
}
export const RulingStruct = defineStruct<Ruling>('Ruling', [
  ['caseId', 'bytes32'],
  ['instance', 'uint8'],
  ['outcome', 'uint8'],
  ['client', 'address'],
  ['refund', 'uint128'],
  ['rightHash', 'bytes32'],
]);

/** A gateway's statement on one draw: the whole order that its opened key leads to. */
export interface Draw {
  readonly epoch: number;
  readonly index: number;
  readonly key: Hash;
  readonly bodyHash: Hash;
  /** SHA-256 of the client's nonce. */
  readonly nonceHash: Hash;
  readonly modelDigest: Hash;
  readonly snapshotHash: Hash;
  readonly orderHash: Hash;
}
export const DrawStruct = defineStruct<Draw>('Draw', [
  ['epoch', 'uint32'],
  ['index', 'uint32'],
  ['key', 'bytes32'],
  ['bodyHash', 'bytes32'],
  ['nonceHash', 'bytes32'],
  ['modelDigest', 'bytes32'],
  ['snapshotHash', 'bytes32'],
  ['orderHash', 'bytes32'],
]);

export const chainDigests = {
  signingKey: (domain: Domain, value: SigningKey) => typedDigest(domain, SigningKeyStruct, value),
  voucher: (domain: Domain, value: Voucher) => typedDigest(domain, VoucherStruct, value),
  escrowKey: (domain: Domain, value: EscrowKey) => typedDigest(domain, EscrowKeyStruct, value),
  ruling: (domain: Domain, value: Ruling) => typedDigest(domain, RulingStruct, value),
  draw: (domain: Domain, value: Draw) => typedDigest(domain, DrawStruct, value),
} as const;

/** Keccak-256 of addresses, 32 bytes each, in the order given. @throws {RangeError} on what is no address */
export function rightHash(addresses: readonly Address[]): Hash {
  return toHex(keccak256(concat(...addresses.map(addressWord))));
}

/** An address as the EVM lays it into a word: 12 zero bytes before it. @throws {RangeError} */
export function addressWord(address: Address): Uint8Array {
  const bytes = fromHex(address);
  if (bytes.length !== 20) throw new RangeError('expected an address');
  const word = new Uint8Array(32);
  word.set(bytes, 12);
  return word;
}

/**
 * What a second claim says otherwise than a first one, as `Evidence` takes it (spec-chain.md C6).
 * @returns `places`: the lowest bit for a claim's first word; `words` of the second there, in their order
 */
export function claimChanges(
  first: Claim,
  second: Claim,
): { readonly places: number; readonly words: readonly Hash[] } {
  const wordsOf = (claim: Claim) => ClaimStruct.fields.map((_, i) => wordAt(ClaimStruct.encode(claim), i + 1));
  const before = wordsOf(first);
  const changed = wordsOf(second)
    .map((word, i) => ({ word, i }))
    .filter(({ word, i }) => word !== before[i]);
  return { places: changed.reduce((bits, { i }) => bits | (1 << i), 0), words: changed.map(({ word }) => word) };
}

const wordAt = (bytes: Uint8Array, i: number): Hash => toHex(bytes.subarray(32 * i, 32 * i + 32));
