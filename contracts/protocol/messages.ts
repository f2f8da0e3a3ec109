/** Bodies between gateway and provider, each parsed by a schema with limits (SPEC.md §6). */
import { z } from 'zod';
import { ERROR_CODES } from './errors.ts';
import { tokenEvidenceSchema } from './evidence.ts';
import { TOP_LOGPROBS_MAX, zLogprobList } from './logprobs.ts';
import { samplingSchema } from './sampling.ts';
import {
  CHUNKS_MAX,
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
import { zShortEvidence } from './short-evidence.ts';
import { FINISH_KINDS, type Ticket } from './typed.ts';

const zNanoBig = zNano.transform((text) => BigInt(text));
const zSlot = z.number().int().min(0).max(15);
const zPath = z.array(zHash).max(64);
const zModelId = zText(256);
const zTokens = z.array(zTokenId).max(TOKENS_MAX);

/** A ticket on the wire: prices are decimal strings. */
export const zTicket = z.strictObject({
  jobId: zHash,
  requestHash: zHash,
  roundId: zHash,
  provider: zAddress,
  kind: zU8,
  jobHash: zHash,
  padHash: zHash,
  inputNanoPerMtok: zNanoBig,
  outputNanoPerMtok: zNanoBig,
  issuedAtMs: zTimeMs,
  expiresAtMs: zTimeMs,
  retainUntilMs: zTimeMs,
  checkpoint: zHash,
});
export type TicketWire = z.input<typeof zTicket>;

export function ticketToWire(ticket: Ticket): TicketWire {
  return {
    ...ticket,
    inputNanoPerMtok: ticket.inputNanoPerMtok.toString(),
    outputNanoPerMtok: ticket.outputNanoPerMtok.toString(),
  };
}

/** What both kinds of job carry: the ticket, and everything that its requestHash covers. */
const jobTerms = {
  ticket: zTicket,
  signature: zSignature,
  model: zModelId,
  modelDigest: zHash,
  promptIds: zTokens.min(1),
  sampling: samplingSchema,
  seed: zU64,
  maxTokens: z.number().int().min(1).max(TOKENS_MAX),
  nonce: zHash,
};

/**
 * `POST /v1/jobs`. `chunkSizes`: tokens of each chunk in turn; the last size repeats. `logprobs`: how many alternatives
 * are wanted beside each token's log-probability; absent where none is wanted at all.
 */
export const zJobOrder = z.strictObject({
  ...jobTerms,
  logprobs: z.int().min(0).max(TOP_LOGPROBS_MAX).optional(),
  chunkSizes: z.array(z.number().int().min(1).max(TOKENS_MAX)).min(1).max(64),
});
export type JobOrder = z.output<typeof zJobOrder>;
export type JobOrderWire = z.input<typeof zJobOrder>;

/** `POST /v1/scores`: the same terms, and the tokens that somebody claims. */
export const zScoreOrder = z.strictObject({ ...jobTerms, outputIds: zTokens.min(1) });
export type ScoreOrder = z.output<typeof zScoreOrder>;
export type ScoreOrderWire = z.input<typeof zScoreOrder>;

/** `POST /v1/jobs/{id}/reveal`. */
export const zPermissionOrder = z.strictObject({
  permission: z.strictObject({ roundId: zHash, index: zU32, roundRoot: zHash }),
  signature: zSignature,
  slot: zSlot,
  path: z.array(zHash).length(4),
});
export type PermissionOrder = z.output<typeof zPermissionOrder>;

/** Event `commitment` of the job's stream. */
export const zCommitmentEvent = z.strictObject({
  jobId: zHash,
  index: zU32,
  commitment: zHash,
  signature: zSignature,
});
export type CommitmentEvent = z.output<typeof zCommitmentEvent>;

/** A chunk's opening. */
export const zOpening = z.strictObject({
  jobId: zHash,
  index: zU32,
  previous: zHash,
  previousRoot: zHash,
  tokenCount: zU32,
  last: z.boolean(),
  tokensHash: zHash,
  evidenceRoot: zHash,
  salt: zHash,
});

/** Event `reveal`: the opening, and the tokens it opens. */
export const zRevealEvent = z.strictObject({
  opening: zOpening,
  signature: zSignature,
  tokens: zTokens,
  /** Runner-up id and gap of perturbed scores in 2^-16, one pair per token, packed. */
  shortEvidence: zShortEvidence,
  /** Where the order asks for them: one item a token, and the random part of the opening's salt. */
  logprobs: z.strictObject({ salt: zHash, tokens: zLogprobList }).optional(),
});
export type RevealEvent = z.output<typeof zRevealEvent>;
export type RevealEventWire = z.input<typeof zRevealEvent>;

export const zClaim = z.strictObject({
  jobId: zHash,
  ticketHash: zHash,
  requestHash: zHash,
  roundId: zHash,
  provider: zAddress,
  transcriptHash: zHash,
  lastCommitment: zHash,
  rootsHash: zHash,
  chunkCount: z.number().int().min(1).max(CHUNKS_MAX),
  outputTokens: z.number().int().min(0).max(TOKENS_MAX),
  finish: z
    .number()
    .int()
    .min(0)
    .max(FINISH_KINDS.length - 1),
  checkpoint: zHash,
});

/** Event `claim`, the last of a stream. */
export const zClaimEvent = z.strictObject({ claim: zClaim, signature: zSignature });
export type ClaimEvent = z.output<typeof zClaimEvent>;

/** Event `error`, which ends a stream: a code of the closed list, nothing else. */
export const zErrorEvent = z.strictObject({ code: z.string().max(64), retryable: z.boolean() });

/** `POST /v1/jobs/{id}/evidence`. */
export const EVIDENCE_POSITIONS_MAX = 256;
export const zEvidenceOrder = z.strictObject({ positions: z.array(zU32).min(1).max(EVIDENCE_POSITIONS_MAX) });

/** Evidence of one position with its proof under the chunk's evidenceRoot. */
export const zEvidenceItem = z.strictObject({
  position: zU32,
  chunkIndex: zU32,
  evidence: tokenEvidenceSchema,
  path: zPath,
});
export type EvidenceItem = z.output<typeof zEvidenceItem>;
export const zEvidenceReply = z.strictObject({ items: z.array(zEvidenceItem).max(EVIDENCE_POSITIONS_MAX) });

/** Reply of `POST /v1/scores`: the scorer's evidence for every claimed token, under its signature. */
export const zScoreReply = z.strictObject({
  score: z.strictObject({
    jobId: zHash,
    ticketHash: zHash,
    provider: zAddress,
    transcriptHash: zHash,
    evidenceRoot: zHash,
    outputTokens: z.number().int().min(0).max(TOKENS_MAX),
  }),
  signature: zSignature,
  evidence: z.array(tokenEvidenceSchema).max(TOKENS_MAX),
});
export type ScoreReply = z.output<typeof zScoreReply>;

/** `GET /v1/provider`. The signature covers the hash of the canonical JSON of `manifest`. */
export const zManifest = z.strictObject({
  protocol: z.literal('1'),
  address: zAddress,
  operator: zText(128),
  role: z.enum(['member', 'referee']),
  region: z.string().max(64),
  models: z
    .array(
      z.strictObject({
        id: zModelId,
        digest: zHash,
        numericClass: z.string().min(1).max(256),
        contextMax: z.number().int().min(1).max(TOKENS_MAX),
      }),
    )
    .min(1)
    .max(64),
  engine: z.strictObject({ name: z.string().max(128), version: z.string().max(64) }),
  capabilities: z.strictObject({
    sampler: z.literal('assay-sampler/1').nullable(),
    scores: z.boolean(),
    evidence: z.boolean(),
    /** Most alternatives with log-probabilities a token; absent where it gives none. */
    logprobs: z.int().min(0).max(TOP_LOGPROBS_MAX).optional(),
  }),
  concurrency: z.number().int().min(1).max(4096),
  issuedAtMs: zTimeMs,
});
export type Manifest = z.output<typeof zManifest>;
export const zManifestReply = z.strictObject({ manifest: zManifest, signature: zSignature });
export type ManifestReply = z.output<typeof zManifestReply>;

/** Body of every error that a provider answers with; `refusal` signs that this ticket was refused. */
export const zProviderError = z.object({
  error: z.object({ code: z.string().max(64), message: z.string().max(512) }),
  // A code of ours: free text would be a way for prompts into errors and logs.
  refusal: z.strictObject({ code: z.enum(ERROR_CODES), atMs: zTimeMs, signature: zSignature }).optional(),
});
