/** The statement that the gateway signs on every answer, its compact form, and the receipt (SPEC.md §10). */
import { z } from 'zod';
import { fromBase64Url, toBase64Url } from './base64-url.ts';
import { canonicalJson } from './canonical.ts';
import { CHOICES_MAX } from './content.ts';
import type { Domain } from './eip712.ts';
import { fromHex, type Hash, type Hex, taggedHash, toHex, u32, utf8 } from './hash.ts';
import { PPM, zLogEntry } from './log.ts';
import { zClaim, zTicket } from './messages.ts';
import { hasWholePrompts, zChoicePrompt } from './prompt-groups.ts';
import { samplingSchema } from './sampling.ts';
import {
  CHUNKS_MAX,
  SCORES_MAX,
  SEATS_MAX,
  safeParse,
  TOKENS_MAX,
  zAddress,
  zHash,
  zNano,
  zSignature,
  zText,
  zTimeMs,
  zTokenId,
  zU8,
  zU32,
  zU64,
} from './schema.ts';
import { zSignedDraw } from './signed-draw.ts';
import type { Signer } from './signer.ts';
import { type AttestationSeal, type Claim, digests } from './typed.ts';
import { FAULTS, STANDINGS, VERDICTS, type Verdict } from './verdict.ts';
import { TAGS } from './version.ts';

const WAVES_MAX = 4;
const PROOF_MAX = 64;
/** Longest compact attestation: 4 MiB of text. */
export const ATTESTATION_LENGTH_MAX = 1 << 22;
const zName = zText(256);

/** One member of a wave: what it sealed and, where it finished, its claim. */
export const zMemberRecord = z.strictObject({
  provider: zAddress,
  operator: zName,
  slot: zU8.max(15),
  standing: z.enum(STANDINGS),
  ticket: zTicket,
  commitments: z.array(zHash).max(CHUNKS_MAX),
  /** Openings of the sealed chunks, for members whose transcript was opened. */
  openings: z
    .array(z.strictObject({ tokenCount: zU32, last: z.boolean(), evidenceRoot: zHash, salt: zHash }))
    .max(CHUNKS_MAX),
  claim: z.strictObject({ value: zClaim, signature: zSignature }).nullable(),
});
export type MemberRecord = z.output<typeof zMemberRecord>;

/** One wave: its padding, opened, and the roots of its rounds. */
export const zWaveRecord = z.strictObject({
  roundId: zHash,
  padSeed: zHash,
  roots: z.array(zHash).max(CHUNKS_MAX),
  members: z.array(zMemberRecord).min(1).max(SEATS_MAX),
});
export type WaveRecord = z.output<typeof zWaveRecord>;

/** A fresh member's or the referee's signed score of one claimed transcript. */
export const zScoreRecord = z.strictObject({
  provider: zAddress,
  operator: zName,
  role: z.enum(['member', 'referee']),
  /** The member whose transcript was scored. */
  about: zAddress,
  /** Hash of the claimed tokens that were scored: a whole transcript, or its part up to a split. */
  outputHash: zHash,
  accepted: z.boolean().nullable(),
  score: z.strictObject({
    jobId: zHash,
    ticketHash: zHash,
    provider: zAddress,
    transcriptHash: zHash,
    evidenceRoot: zHash,
    outputTokens: zU32,
  }),
  signature: zSignature,
});

const zSkips = z.array(z.strictObject({ provider: zAddress, reason: zName, logIndex: zU32 })).max(1024);

/** What is said of every choice apart. */
const choiceShape = {
  waves: z.array(zWaveRecord).min(1).max(WAVES_MAX),
  scores: z.array(zScoreRecord).max(SCORES_MAX),
  /** The member whose tokens were served, and those tokens. */
  served: zAddress,
  outputIds: z.array(zTokenId).max(TOKENS_MAX),
  verdict: z.enum(VERDICTS),
  agreement: z.strictObject({ needed: zU32, standing: zU32, of: zU32 }),
  faults: z.array(z.strictObject({ provider: zAddress, fault: z.enum(FAULTS), disputeId: zHash.nullable() })).max(64),
};

/** A choice after the first. Its seed, and so its request hash, follow from the request's seed (SPEC.md §4.4). */
export const zChoiceRecord = z.strictObject({
  /** Absent in choices of the first prompt. */
  prompt: zChoicePrompt.optional(),
  skipped: zSkips,
  ...choiceShape,
});
export type ChoiceRecord = z.output<typeof zChoiceRecord>;

const statementShape = z.strictObject({
  version: z.literal(1),
  requestId: zName,
  attempt: zU32,
  gateway: zAddress,
  request: z.strictObject({
    model: zName,
    modelDigest: zHash,
    promptHash: zHash,
    promptTokens: zU32,
    sampling: samplingSchema,
    seed: zU64,
    maxTokens: zU32,
    nonce: zHash,
  }),
  requestHash: zHash,
  bodyHash: zHash,
  clientNonce: z.string().max(256).nullable(),
  policy: z.record(
    z.string().max(64),
    z.union([z.string().max(256), z.number(), z.boolean(), z.null(), z.array(z.string().max(256)).max(32).readonly()]),
  ),
  draw: z.strictObject({
    epoch: zU32,
    index: zU32,
    key: zHash,
    path: z.array(zHash).max(PROOF_MAX),
    size: zU32,
    snapshotHash: zHash,
    skipped: zSkips,
  }),
  /** What an audited answer promises of its audits; absent in others. */
  audit: z.strictObject({ ppm: zU32.max(PPM), regeneratePpm: zU32.max(PPM), withinMs: zU32 }).optional(),
  /** Of choice 0, but for the verdict, which is that of the weakest choice. */
  ...choiceShape,
  /** Choice 0's own verdict, and the choices after it: both absent in an answer of one choice. */
  firstVerdict: z.enum(VERDICTS).optional(),
  choices: z
    .array(zChoiceRecord)
    .min(1)
    .max(CHOICES_MAX - 1)
    .optional(),
  unverified: z.array(zName).max(16),
  /** By which scores were judged; absent without scores, and where the model has none. */
  calibration: zHash.optional(),
  contentHash: zHash,
  /** Of the log-probabilities in the answer; absent where it has none. */
  logprobsHash: zHash.optional(),
  price: z.strictObject({ quoteNano: zNano, chargedNano: zNano }),
  logIndex: zU32,
  issuedAtMs: zTimeMs,
});
export const zStatement = statementShape
  .refine(
    (statement) => (statement.choices === undefined) === (statement.firstVerdict === undefined),
    'choices and firstVerdict belong together',
  )
  .refine(
    ({ audit, policy }) => (audit !== undefined) === (policy.mode === 'audited'),
    'audits belong to audited answers',
  )
  .refine(({ choices }) => hasWholePrompts(choices ?? []), 'every prompt has equally many choices');
export type Statement = z.output<typeof zStatement>;
/** As it travels: bigint fields are decimal strings. */
export type StatementWire = z.input<typeof zStatement>;

/** Everything beside the attestation that an offline check needs. */
export const zReceipt = z.strictObject({
  attestation: z.string().max(ATTESTATION_LENGTH_MAX),
  checkpoint: z.string().max(4096),
  inclusion: z.array(zHash).max(PROOF_MAX),
  epoch: z.strictObject({
    index: zU32,
    entry: zLogEntry,
    inclusion: z.array(zHash).max(PROOF_MAX),
  }),
  snapshot: z.strictObject({
    capNano: zNano,
    entries: z
      .array(
        z.strictObject({
          address: zAddress,
          operator: zName,
          stakeNano: zNano,
          modelDigests: z.array(zHash).max(64),
          region: z.string().max(64).optional(),
          numericClasses: z.array(z.string().max(256)).max(64).optional(),
        }),
      )
      .max(4096),
  }),
  /** Of gateways on a chain. */
  draw: zSignedDraw.optional(),
});
export type Receipt = z.output<typeof zReceipt>;

/**
 * The hash that the log's `answer` entry and the attestation carry.
 * @param text the statement's canonical JSON, from who has it already
 */
export function statementHash(statement: StatementWire, text: string = canonicalJson(statement)): Hash {
  return toHex(taggedHash(TAGS.attestationBody, utf8(text)));
}

/** Hash over the digests of claims, in the order of waves and members. */
export function claimsHash(domain: Domain, claims: readonly Claim[]): Hash {
  return toHex(taggedHash(TAGS.claims, u32(claims.length), ...claims.map((claim) => digests.claim(domain, claim))));
}

/** The waves of all choices, in the order of the choices. */
export function wavesOf<Wave>(statement: { waves: Wave[]; choices?: { waves: Wave[] }[] | undefined }): Wave[] {
  return [...statement.waves, ...(statement.choices ?? []).flatMap(({ waves }) => waves)];
}

/** All claims of waves, in order. */
export function claimsOf(waves: readonly { members: readonly Pick<MemberRecord, 'claim'>[] }[]): Claim[] {
  return waves.flatMap((wave) => wave.members.flatMap((member) => (member.claim ? [member.claim.value] : [])));
}

/** What the signature covers, derived from the statement alone. */
export function sealOf(
  domain: Domain,
  statement: StatementWire,
  text: string = canonicalJson(statement),
): AttestationSeal {
  return {
    requestId: statement.requestId,
    requestHash: statement.requestHash,
    contentHash: statement.contentHash,
    claimsHash: claimsHash(domain, claimsOf(wavesOf<Pick<StatementWire['waves'][number], 'members'>>(statement))),
    verdict: VERDICTS.indexOf(statement.verdict as Verdict),
    logIndex: statement.logIndex,
    issuedAtMs: statement.issuedAtMs,
    statementHash: statementHash(statement, text),
  };
}

/**
 * `v1.<base64url canonical json>.<base64url signature>`.
 * @param text the statement's canonical JSON, from who has it already
 */
export function compactAttestation(
  domain: Domain,
  signer: Signer,
  statement: StatementWire,
  text: string = canonicalJson(statement),
): string {
  return compactForm(text, signer.sign(digests.attestation(domain, sealOf(domain, statement, text))));
}

/** The compact form of a statement's canonical JSON and the 65 bytes that sign it. */
export function compactForm(text: string, signature: Hex): string {
  return `v1.${toBase64Url(utf8(text))}.${toBase64Url(fromHex(signature))}`;
}

/** Parses the compact form; null unless it is canonical JSON of a well-formed statement. Signature is not yet checked. */
export function parseAttestation(
  compact: string,
): { wire: StatementWire; statement: Statement; signature: Hex } | null {
  if (compact.length > ATTESTATION_LENGTH_MAX) return null;
  const parts = compact.split('.');
  if (parts.length !== 3 || parts[0] !== 'v1') return null;
  const json = fromBase64Url(parts[1]!);
  const signature = fromBase64Url(parts[2]!);
  if (!json || signature?.length !== 65) return null;
  try {
    // Without ignoreBOM a byte order mark would be dropped: a second text for one statement.
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(json);
    const wire: unknown = JSON.parse(text);
    const parsed = safeParse(zStatement, wire);
    // A second form of one statement would be a second thing to sign: only the canonical bytes are accepted.
    if (!parsed.success || canonicalJson(wire) !== text) return null;
    return { wire: wire as StatementWire, statement: parsed.data, signature: toHex(signature) };
  } catch {
    return null;
  }
}
