/** The evidence of one dispute as one JSON bundle that anybody can judge again offline (DESIGN §8; spec-judge.md §7.7). */
import { z } from 'zod';
import { zContradiction } from '#protocol/contradiction';
import { tokenEvidenceSchema } from '#protocol/evidence';
import { fromHex, type Hash, taggedHash, toHex, utf8 } from '#protocol/hash';
import { zScoredEntry } from '#protocol/log';
import { TOP_LOGPROBS_MAX } from '#protocol/logprobs';
import { EVIDENCE_POSITIONS_MAX, ticketToWire, zClaim, zOpening, zScoreReply, zTicket } from '#protocol/messages';
import { samplingSchema } from '#protocol/sampling';
import {
  CHUNKS_MAX,
  SCORES_MAX,
  TOKENS_MAX,
  zAddress,
  zHash,
  zSignature,
  zTokenId,
  zU32,
  zU64,
} from '#protocol/schema';
import { FAULTS, type Fault } from '#protocol/verdict';
import { TAGS } from '#protocol/version';
import { zCountedEvidence } from '../evidence/counted.ts';
import { firstDivergence } from '../judge/divergence.ts';
import type { Accusation } from '../round/attempt.ts';
import type { SealedMember } from '../round/member.ts';
import type { AttemptPlan } from '../round/plan.ts';
import type { TakenScore } from '../round/scoring.ts';

const zText = z.string().max(256);
const zTokens = z.array(zTokenId).max(TOKENS_MAX);

const zScoreEvidence = z.strictObject({
  operator: zText,
  numericClass: zText,
  role: z.enum(['member', 'referee']),
  reply: zScoreReply,
});
export type ScoreEvidence = z.output<typeof zScoreEvidence>;

/** Entries of the log that one account is accused by. */
const ENTRIES_MAX = 65_536;
const zAccumulated = z.strictObject({
  entries: z.array(zScoredEntry).min(1).max(ENTRIES_MAX),
  kept: z.array(z.strictObject({ responseHash: zHash, evidence: zCountedEvidence })).max(ENTRIES_MAX),
});
export type AccumulatedWire = z.input<typeof zAccumulated>;

export const zDisputeBundle = z.strictObject({
  version: z.literal(1),
  disputeId: zHash,
  requestId: zText,
  fault: z.enum(FAULTS),
  reason: zText,
  terms: z.strictObject({
    attempt: zU32,
    model: zText,
    modelDigest: zHash,
    promptIds: zTokens,
    sampling: samplingSchema,
    seed: zU64,
    maxTokens: zU32,
    nonce: zHash,
    chunkSizes: z.array(zU32).max(CHUNKS_MAX),
    logprobs: z.int().min(0).max(TOP_LOGPROBS_MAX).optional(),
    checkpoint: zHash,
  }),
  accused: z.strictObject({
    provider: zAddress,
    operator: zText,
    numericClass: zText,
    url: z.string().max(2048),
    ticket: zTicket,
    commitments: z.array(z.strictObject({ index: zU32, commitment: zHash, signature: zSignature })).max(CHUNKS_MAX + 1),
    openings: z.array(zOpening).max(CHUNKS_MAX),
    tokens: zTokens,
    claim: z.strictObject({ value: zClaim, signature: zSignature }).nullable(),
  }),
  /** Hash of the calibration that it is judged by; null, as in bundles from before there were any, convicts by no difference. */
  calibration: zHash.nullable().default(null),
  /** What the committee served instead, and where the accused first left it; null where nothing was served. */
  served: z.strictObject({ provider: zAddress, tokens: zTokens, divergesAt: zU32.nullable() }).nullable(),
  /** Signed contradictions, for faults that prove themselves. */
  contradiction: zContradiction.nullable(),
  scores: z.array(zScoreEvidence).max(SCORES_MAX),
  /** Evidence that the accused opened, with its path under the commitments; null while not asked, empty where it refused. */
  opened: z
    .array(z.strictObject({ position: zU32, evidence: tokenEvidenceSchema, path: z.array(zHash).max(64) }))
    .max(EVIDENCE_POSITIONS_MAX)
    .nullable(),
  /** For `model_substitution`: the account since it was opened, with what is still kept of its responses. */
  accumulated: zAccumulated.nullable().default(null),
  finding: z.strictObject({ reason: zText, count: zU32 }).nullable(),
});
export type DisputeBundle = z.output<typeof zDisputeBundle>;
export type DisputeBundleWire = z.input<typeof zDisputeBundle>;

/** One accusation per job and fault. */
export function disputeIdOf(jobId: Hash, fault: Fault): Hash {
  return toHex(taggedHash(TAGS.dispute, fromHex(jobId), utf8(fault)));
}

export function scoreEvidenceOf(score: TakenScore): ScoreEvidence {
  return {
    operator: score.scorer.operator,
    numericClass: score.scorer.numericClass,
    role: score.role,
    reply: score.reply,
  };
}

/** The bundle as it stands when the dispute is opened. */
export function openingBundle(
  plan: AttemptPlan,
  accusation: Accusation,
  scores: readonly TakenScore[],
  served: SealedMember | null,
  accumulated: AccumulatedWire | null = null,
): DisputeBundleWire {
  const { member, fault, reason } = accusation;
  return {
    version: 1,
    disputeId: disputeIdOf(member.jobId, fault),
    requestId: plan.requestId,
    fault,
    reason,
    terms: disputeTerms(plan),
    accused: disputedJob(member),
    calibration: plan.calibration?.hash ?? null,
    served: served && {
      provider: served.seat.address,
      tokens: [...served.tokens],
      divergesAt: firstDivergence(served.tokens, member.tokens),
    },
    contradiction: accusation.contradiction,
    scores: scores
      // Who gave the same tokens as the member that was scored stands or falls with it.
      .filter((score) => isPrefix(score.tokens, member.tokens))
      .slice(0, SCORES_MAX - 1)
      .map(scoreEvidenceOf),
    opened: null,
    accumulated,
    finding: null,
  };
}

/** What was ordered. */
export function disputeTerms(plan: AttemptPlan): DisputeBundleWire['terms'] {
  const { promptIds, sampling, seed, attempt, model, modelDigest, maxTokens, nonce, chunkSizes, checkpoint } = plan;
  return {
    attempt,
    model,
    modelDigest,
    promptIds: [...promptIds],
    sampling,
    seed: seed.toString(),
    maxTokens,
    nonce,
    chunkSizes: [...chunkSizes],
    ...(plan.logprobs === undefined ? {} : { logprobs: plan.logprobs.top }),
    checkpoint,
  };
}

/** What a member has signed and opened. */
export function disputedJob(member: SealedMember): DisputeBundleWire['accused'] {
  return {
    provider: member.seat.address,
    operator: member.seat.operator,
    numericClass: member.seat.numericClass,
    url: member.seat.url,
    ticket: ticketToWire(member.issued.ticket),
    commitments: member.commitments.map(({ index, commitment, signature }) => ({ index, commitment, signature })),
    openings: member.openings.map((opening) => ({ ...opening })),
    tokens: [...member.tokens],
    claim: member.claim && { value: { ...member.claim.value }, signature: member.claim.signature },
  };
}

function isPrefix(prefix: readonly number[], tokens: readonly number[]): boolean {
  return prefix.length <= tokens.length && prefix.every((token, i) => tokens[i] === token);
}

/** A bundle as it leaves the gateway: where a provider is reached is between it and the gateway, and no judge needs it. */
export function servedBundle(bundleJson: string): DisputeBundleWire {
  const bundle = JSON.parse(bundleJson) as DisputeBundleWire;
  return { ...bundle, accused: { ...bundle.accused, url: '' } };
}
