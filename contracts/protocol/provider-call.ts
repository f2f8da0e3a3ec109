/** Calls of a provider to a gateway about its own affairs, signed with the provider's key (SPEC.md §6.9). Pure. */
import type { Domain } from './eip712.ts';
import type { Rng } from './env.ts';
import { type Address, type Hash, type Hex, sha256, toHex } from './hash.ts';
import { safeParse, zAddress, zHash, zSignature, zTimeMs } from './schema.ts';
import type { Recover, Signer } from './signer.ts';
import { digests, type ProviderCall } from './typed.ts';

/** How far the caller's clock may be off, in either direction: what tickets allow too. */
export const CALL_SKEW_MS = 30_000;

/** Headers that carry a signed call beside method, path and body. */
export const CALL_HEADERS = {
  provider: 'assay-provider',
  gateway: 'assay-gateway',
  atMs: 'assay-timestamp',
  nonce: 'assay-nonce',
  signature: 'assay-signature',
} as const;

export interface CallParts {
  readonly method: string;
  /** Path with its query. */
  readonly path: string;
  readonly body: Uint8Array;
}

/** The headers of a signed call. */
export function signCall(
  parts: CallParts,
  by: {
    readonly domain: Domain;
    readonly signer: Signer;
    readonly gateway: Address;
    readonly nowMs: number;
    readonly rng: Rng;
  },
): Record<string, string> {
  const call: ProviderCall = {
    provider: by.signer.address,
    gateway: by.gateway,
    method: parts.method,
    path: parts.path,
    bodyHash: toHex(sha256(parts.body)),
    atMs: by.nowMs,
    nonce: toHex(by.rng.bytes(32)),
  };
  return {
    [CALL_HEADERS.provider]: call.provider,
    [CALL_HEADERS.gateway]: call.gateway,
    [CALL_HEADERS.atMs]: String(call.atMs),
    [CALL_HEADERS.nonce]: call.nonce,
    [CALL_HEADERS.signature]: by.signer.sign(digests.providerCall(by.domain, call)),
  };
}

/** Why a call is not taken; a closed list. */
export type CallProblem = 'malformed' | 'other_gateway' | 'clock' | 'signature';

/** Who calls, or why nobody does. Whether the nonce was used before is the receiver's to know. */
export function openCall(
  parts: CallParts,
  header: (name: string) => string | undefined,
  court: {
    readonly domain: Domain;
    readonly recover: Recover;
    readonly isOwn: (gateway: Address) => boolean;
    readonly nowMs: number;
  },
): { readonly provider: Address; readonly nonce: Hash; readonly atMs: number } | { readonly problem: CallProblem } {
  const provider = safeParse(zAddress, header(CALL_HEADERS.provider));
  const gateway = safeParse(zAddress, header(CALL_HEADERS.gateway));
  const nonce = safeParse(zHash, header(CALL_HEADERS.nonce));
  const signature = safeParse(zSignature, header(CALL_HEADERS.signature));
  const atText = header(CALL_HEADERS.atMs) ?? '';
  const atMs = safeParse(zTimeMs, /^\d{1,16}$/.test(atText) ? Number(atText) : null);
  if (!provider.success || !gateway.success || !nonce.success || !signature.success || !atMs.success) {
    return { problem: 'malformed' };
  }
  // Signed for one gateway: another one that it is shown to cannot pass it on.
  if (!court.isOwn(gateway.data)) return { problem: 'other_gateway' };
  if (Math.abs(atMs.data - court.nowMs) > CALL_SKEW_MS) return { problem: 'clock' };
  const digest = digests.providerCall(court.domain, {
    provider: provider.data,
    gateway: gateway.data,
    method: parts.method,
    path: parts.path,
    bodyHash: toHex(sha256(parts.body)),
    atMs: atMs.data,
    nonce: nonce.data,
  });
  if (court.recover(digest, signature.data as Hex) !== provider.data) return { problem: 'signature' };
  return { provider: provider.data, nonce: nonce.data, atMs: atMs.data };
}
