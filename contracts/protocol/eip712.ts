/** EIP-712 hashing with domain and type hashes computed once (SPEC.md §2; EIP-712 "Definition of hashStruct"). */
import { type Address, concat, fromHex, keccak256, u8, utf8 } from './hash.ts';
import { PROTOCOL_VERSION } from './version.ts';

type FieldType = 'address' | 'bytes32' | 'bool' | 'string' | 'uint8' | 'uint32' | 'uint64' | 'uint128';
type FieldValue = string | number | bigint | boolean;

/** Where signatures are valid: a chain and the contract that reads them. */
export interface Domain {
  readonly chainId: bigint;
  readonly verifyingContract: Address;
}

/** The embedded default: no chain, no contract. */
export const LOCAL_DOMAIN: Domain = { chainId: 0n, verifyingContract: `0x${'00'.repeat(20)}` };

/** One EIP-712 struct type and its hash function. */
export interface Struct<T> {
  /** The struct's own `encodeType` text. */
  readonly encodeType: string;
  readonly name: string;
  readonly fields: readonly (readonly [name: keyof T & string, type: FieldType])[];
  /** typeHash ‖ encodeData(value): 32 bytes for each field behind the first 32. @throws {RangeError} on a value outside its type */
  encode(value: T): Uint8Array;
  /** hashStruct(value): 32 bytes. @throws {RangeError} on a value outside its type */
  hash(value: T): Uint8Array;
}

const WORD = 32;
const BITS = { uint8: 8n, uint32: 32n, uint64: 64n, uint128: 128n } as const;
const LOW_64 = (1n << 64n) - 1n;

function writeField(out: Uint8Array, offset: number, type: FieldType, value: FieldValue): void {
  if (type === 'string') {
    out.set(keccak256(utf8(value as string)), offset);
    return;
  }
  if (type === 'bytes32' || type === 'address') {
    const bytes = fromHex(value as `0x${string}`);
    if (bytes.length !== (type === 'bytes32' ? 32 : 20)) throw new RangeError(`expected ${type}`);
    out.set(bytes, offset + WORD - bytes.length);
    return;
  }
  if (type === 'bool') {
    out[offset + WORD - 1] = value === true ? 1 : 0;
    return;
  }
  const number = BigInt(value as number | bigint);
  if (number < 0n || number >> BITS[type] !== 0n) throw new RangeError(`expected ${type}`);
  const view = new DataView(out.buffer);
  view.setBigUint64(offset + WORD - 8, number & LOW_64);
  if (type === 'uint128') view.setBigUint64(offset + WORD - 16, number >> 64n);
}

/** Defines a flat struct (no nested structs or arrays: those are hashed into a bytes32 field). */
export function defineStruct<T extends object>(
  name: string,
  fields: readonly (readonly [keyof T & string, FieldType])[],
): Struct<T> {
  const encodeType = `${name}(${fields.map(([field, type]) => `${type} ${field}`).join(',')})`;
  const typeHash = keccak256(utf8(encodeType));
  const encode = (value: T): Uint8Array => {
    const out = new Uint8Array(WORD * (fields.length + 1));
    out.set(typeHash, 0);
    for (let i = 0; i < fields.length; i++) {
      const [field, type] = fields[i]!;
      writeField(out, WORD * (i + 1), type, value[field] as FieldValue);
    }
    return out;
  };
  return { encodeType, name, fields, encode, hash: (value) => keccak256(encode(value)) };
}

function domainSeparator(domain: Domain): Uint8Array {
  const typeHash = keccak256(
    utf8('EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)'),
  );
  const out = new Uint8Array(WORD * 5);
  out.set(typeHash, 0);
  writeField(out, WORD, 'string', 'Assay');
  writeField(out, WORD * 2, 'string', PROTOCOL_VERSION);
  // EIP-712 types it uint256; every chain id in use fits 64 bits, and the word is the same.
  writeField(out, WORD * 3, 'uint64', domain.chainId);
  writeField(out, WORD * 4, 'address', domain.verifyingContract);
  return keccak256(out);
}

const separators = new Map<string, Uint8Array>();
/** A server uses one domain; a verifier may be shown many, and must not grow with them. */
const SEPARATORS_MAX = 64;

/** The digest that is signed: keccak256(0x19 ‖ 0x01 ‖ domainSeparator ‖ structHash). */
export function typedDigest<T>(domain: Domain, struct: Struct<T>, value: T): Uint8Array {
  const key = `${domain.chainId}:${domain.verifyingContract}`;
  let separator = separators.get(key);
  if (!separator) {
    separator = domainSeparator(domain);
    if (separators.size >= SEPARATORS_MAX) separators.clear();
    separators.set(key, separator);
  }
  return keccak256(concat(u8(0x19), u8(0x01), separator, struct.hash(value)));
}
