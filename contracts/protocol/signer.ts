/** Signatures over 32-byte digests, injected everywhere so that speed and key custody are the caller's (SPEC.md §2). */
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { type Address, fromHex, type Hex, keccak256, toHex } from './hash.ts';

/** Signs digests with one secp256k1 key. */
export interface Signer {
  readonly address: Address;
  /** r ‖ s ‖ v (65 bytes), low s (EIP-2), v 27 or 28, nonce by RFC 6979: the same digest gives the same bytes. */
  sign(digest: Uint8Array): Hex;
}

/** The address that signed `digest`, or null where the signature is malformed, has a high s, or recovers no key. */
export type Recover = (digest: Uint8Array, signature: Hex) => Address | null;

/** Half the order of secp256k1: a valid s is at most this (EIP-2). */
export const S_MAX = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n;

/** Splits 65 bytes into the compact signature and the recovery bit; null unless well-formed with low s. */
export function splitSignature(signature: Hex): { compact: Uint8Array; recovery: 0 | 1 } | null {
  if (!/^0x[0-9a-f]{128}(1b|1c)$/.test(signature)) return null;
  if (BigInt(`0x${signature.slice(66, 130)}`) > S_MAX) return null;
  const bytes = fromHex(signature);
  return { compact: bytes.subarray(0, 64), recovery: bytes[64] === 28 ? 1 : 0 };
}

/** Address of an uncompressed public key (65 bytes, leading 0x04). */
export function addressOf(uncompressed: Uint8Array): Address {
  return toHex(keccak256(uncompressed.subarray(1)).subarray(12));
}

/** Recovery in pure JavaScript, for browsers and the offline verifier. */
export const recoverPortable: Recover = (digest, signature) => {
  const parts = splitSignature(signature);
  // As libsecp256k1 does: other lengths would be cut or padded, so that two digests shared a signature.
  if (!parts || digest.length !== 32) return null;
  try {
    const point = secp256k1.Signature.fromBytes(parts.compact, 'compact')
      .addRecoveryBit(parts.recovery)
      .recoverPublicKey(digest);
    return addressOf(point.toBytes(false));
  } catch {
    return null;
  }
};

/** A signer in pure JavaScript. @throws {Error} on an invalid private key; `sign` throws on other than 32 bytes */
export function portableSigner(privateKey: Uint8Array): Signer {
  const address = addressOf(secp256k1.getPublicKey(privateKey, false));
  return {
    address,
    sign(digest) {
      if (digest.length !== 32) throw new RangeError('digest must have 32 bytes');
      const signature = secp256k1.sign(digest, privateKey, { prehash: false, format: 'recovered', lowS: true });
      // noble's recovered form is recovery ‖ r ‖ s
      return `${toHex(signature.subarray(1))}${signature[0] === 1 ? '1c' : '1b'}` as Hex;
    },
  };
}
