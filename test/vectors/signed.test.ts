/** Notes, statements and their signatures against vectors that Python made from SPEC.md, with its own curves. */
import { ed25519 } from '@noble/curves/ed25519.js';
import { z } from 'zod';
import {
  claimsHash,
  compactAttestation,
  parseAttestation,
  type StatementWire,
  sealOf,
  statementHash,
} from '#protocol/attestation';
import { canonicalJson } from '#protocol/canonical';
import { fromHex, toHex } from '#protocol/hash';
import { checkpointHash, logLeaf, openCheckpoint, signCheckpoint, zLogEntry } from '#protocol/log';
import { zClaim } from '#protocol/messages';
import { zAddress, zHash, zU64 } from '#protocol/schema';
import { portableSigner, recoverPortable } from '#protocol/signer';
import { digests } from '#protocol/typed';
import { rule, runVectors } from './read-vectors.ts';

const zDomain = z
  .strictObject({ chainId: zU64, verifyingContract: zAddress })
  .transform(({ chainId, verifyingContract }) => ({ chainId: BigInt(chainId), verifyingContract }));
const statement = z.custom<StatementWire>();

runVectors('./log.json', {
  logLeaf: rule(zLogEntry, logLeaf),
  checkpointHash: rule(z.strictObject({ origin: z.string(), size: z.number(), root: zHash }), ({ origin, ...rest }) =>
    checkpointHash(origin, rest),
  ),
  signCheckpoint: rule(
    z.strictObject({
      domain: zDomain,
      origin: z.string(),
      noteKey: zHash,
      chainKey: zHash,
      size: z.number(),
      root: zHash,
    }),
    ({ domain, origin, noteKey, chainKey, size, root }) => {
      const secret = fromHex(noteKey);
      const chain = portableSigner(fromHex(chainKey));
      const signer = {
        origin,
        ed25519: toHex(ed25519.getPublicKey(secret)),
        address: chain.address,
        signNote: (message: Uint8Array) => ed25519.sign(message, secret),
        signDigest: (digest: Uint8Array) => chain.sign(digest),
      };
      return signCheckpoint(domain, signer, { size, root });
    },
  ),
  openCheckpoint: rule(
    z.strictObject({
      domain: zDomain,
      keys: z.strictObject({ origin: z.string(), ed25519: zHash, address: zAddress }),
      note: z.string(),
    }),
    ({ domain, keys, note }) => openCheckpoint(domain, keys, note, recoverPortable),
    { invalid_signature: null, malformed: null },
  ),
});

runVectors('./attestation.json', {
  statementHash: rule(statement, statementHash),
  claimsHash: rule(z.strictObject({ domain: zDomain, claims: z.array(zClaim) }), ({ domain, claims }) =>
    claimsHash(domain, claims),
  ),
  compactAttestation: rule(
    z.strictObject({ domain: zDomain, key: zHash, statement }),
    ({ domain, key, statement: value }) => compactAttestation(domain, portableSigner(fromHex(key)), value),
  ),
  parseAttestation: rule(
    z.strictObject({ compact: z.string() }),
    ({ compact }) => {
      const opened = parseAttestation(compact);
      if (opened === null) return null;
      const domain = { chainId: 0n, verifyingContract: `0x${'00'.repeat(20)}` } as const;
      const digest = digests.attestation(domain, sealOf(domain, opened.wire));
      return {
        statement: JSON.parse(canonicalJson(opened.wire)) as unknown,
        gateway: recoverPortable(digest, opened.signature),
      };
    },
    { malformed: null, not_canonical: null },
  ),
});
