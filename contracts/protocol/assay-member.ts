/** The `assay` member of an answer: what a client needs to check it, and what it is told in passing (SPEC.md §10). */
import { z } from 'zod';
import { ATTESTATION_LENGTH_MAX, zReceipt } from './attestation.ts';
import { CHOICES_MAX } from './content.ts';
import type { Domain } from './eip712.ts';
import { tokenEvidenceSchema } from './evidence.ts';
import type { LogKeys } from './log.ts';
import { zLogprobList } from './logprobs.ts';
import { CHUNKS_MAX, SEATS_MAX, TOKENS_MAX, zAddress, zHash, zU64 } from './schema.ts';
import { VERDICTS } from './verdict.ts';

/** A C2SP key name: no spaces, no plus sign. */
const zOrigin = z.string().regex(/^[^\s+]{1,255}$/, 'expected a name without spaces and plus signs');

/** The receipt as it stands beside its attestation. */
export const zInlineReceipt = zReceipt.omit({ attestation: true });
export type InlineReceipt = z.output<typeof zInlineReceipt>;

/**
 * Parsed from an answer's body or from the last chunk of a stream. Members that are not named here are for display
 * and prove nothing; they are dropped.
 */
export const zAssayMember = z.object({
  id: z.string().min(1).max(256),
  verdict: z.enum(VERDICTS),
  /** Compact form; null where it was too long to carry and has to be fetched from `url`. */
  attestation: z.string().max(ATTESTATION_LENGTH_MAX).nullable(),
  /** Null until the log has a checkpoint that covers the answer. */
  receipt: zInlineReceipt.nullable(),
  gateway: z.object({
    address: zAddress,
    domain: z.object({ chainId: zU64, verifyingContract: zAddress }),
  }),
  log: z.object({ origin: zOrigin, ed25519: zHash, address: zAddress }),
  url: z.string().max(2048),
  /** Per choice: whose log-probabilities these are chunk by chunk, what they were sealed with, and the whole of them. */
  logprobs: z
    .array(
      z.object({
        index: z
          .int()
          .min(0)
          .max(CHOICES_MAX - 1),
        chunks: z.array(z.object({ provider: zAddress, salt: zHash })).max(CHUNKS_MAX),
        tokens: zLogprobList,
      }),
    )
    .max(CHOICES_MAX)
    .optional(),
  /** Per choice and witness: the evidence that its score signs, one item a token. */
  scores: z
    .array(
      z.object({
        index: z
          .int()
          .min(0)
          .max(CHOICES_MAX - 1),
        provider: zAddress,
        evidence: z.array(tokenEvidenceSchema).max(TOKENS_MAX),
      }),
    )
    .max(CHOICES_MAX * SEATS_MAX)
    .optional(),
});
export type AssayMember = z.output<typeof zAssayMember>;
/** As it travels. */
export type AssayMemberWire = z.input<typeof zAssayMember>;

/** The signature domain that the member names. */
export function domainOf(member: AssayMember): Domain {
  return {
    chainId: BigInt(member.gateway.domain.chainId),
    verifyingContract: member.gateway.domain.verifyingContract,
  };
}

/** The log keys that the member names. */
export function logKeysOf(member: AssayMember): LogKeys {
  return member.log;
}

/** The member for an answer; `usage` and other display members may be added beside these. */
export function assayMember(parts: {
  id: string;
  verdict: AssayMemberWire['verdict'];
  attestation: string | null;
  receipt: InlineReceipt | null;
  gateway: AssayMemberWire['gateway']['address'];
  domain: Domain;
  log: LogKeys;
  url: string;
}): AssayMemberWire {
  const { domain, gateway, log, ...rest } = parts;
  return {
    ...rest,
    gateway: {
      address: gateway,
      domain: { chainId: domain.chainId.toString(), verifyingContract: domain.verifyingContract },
    },
    log: { origin: log.origin, ed25519: log.ed25519, address: log.address },
  };
}
