/** From generated tokens to sealed chunks, openings and the claim (SPEC.md §5). Pure apart from the signer. */
import type { Domain } from '#protocol/eip712';
import type { TokenEvidence } from '#protocol/evidence';
import { shortEvidence } from '#protocol/evidence';
import { evidenceRoot } from '#protocol/evidence-tree';
import type { Address, Hash } from '#protocol/hash';
import { ZERO_HASH } from '#protocol/hash';
import { logprobSalt, type TokenLogprobs } from '#protocol/logprobs';
import type { ClaimEvent, CommitmentEvent, RevealEventWire } from '#protocol/messages';
import { outputHash } from '#protocol/request';
import { commitmentHash, rootsHash } from '#protocol/round';
import { packShortEvidence } from '#protocol/short-evidence';
import type { Signer } from '#protocol/signer';
import { type Claim, digests, FINISH_KINDS, type FinishKind, type Opening } from '#protocol/typed';
import type { StoredChunk, StoredJob, StoredRoot } from '../store/store.ts';

/** One generated token. */
export interface GeneratedToken {
  readonly id: number;
  readonly evidence: TokenEvidence;
  /** On all tokens of a job or on none. */
  readonly logprobs?: TokenLogprobs | undefined;
}

/** How many output tokens the chunks hold together. */
export function tokenCountOf(chunks: readonly StoredChunk[]): number {
  return chunks.reduce((sum, chunk) => sum + chunk.tokens.length, 0);
}

/**
 * Seals the chunk that follows `before`.
 * @param input.salt 32 fresh random bytes as hex: without it a short chunk could be guessed from its commitment
 * @param input.finish how generation ended, on the last chunk only
 */
export function sealChunk(input: {
  provider: Address;
  jobId: Hash;
  before: { chunks: readonly StoredChunk[]; roots: readonly StoredRoot[] };
  tokens: readonly GeneratedToken[];
  finish: FinishKind | null;
  noise: { temperature: number; seed: bigint };
  salt: Hash;
}): StoredChunk {
  const { provider, jobId, before, finish, noise, salt } = input;
  const firstPosition = tokenCountOf(before.chunks);
  const tokens = input.tokens.map((token) => token.id);
  const evidence = input.tokens.map((token) => token.evidence);
  const given = input.tokens.flatMap((token) => (token.logprobs === undefined ? [] : [token.logprobs]));
  const logprobs = given.length === 0 ? null : { salt, tokens: given };
  const opening: Opening = {
    jobId,
    index: before.chunks.length,
    previous: before.chunks.at(-1)?.commitment ?? ZERO_HASH,
    previousRoot: before.roots.at(-1)?.root ?? ZERO_HASH,
    tokenCount: tokens.length,
    last: finish !== null,
    tokensHash: outputHash(tokens),
    evidenceRoot: evidenceRoot(firstPosition, evidence),
    salt: logprobs === null ? salt : logprobSalt(salt, given),
  };
  return {
    opening,
    commitment: commitmentHash(provider, opening),
    tokens,
    evidence,
    shortEvidence: evidence.map((item, i) => shortEvidence(item, { ...noise, position: firstPosition + i })),
    logprobs,
    finish,
  };
}

/** The signed commitment; RFC 6979 makes a repeated signature the same bytes. */
export function commitmentEvent(signer: Signer, domain: Domain, chunk: StoredChunk): CommitmentEvent {
  const { jobId, index } = chunk.opening;
  const value = { jobId, index, commitment: chunk.commitment };
  return { ...value, signature: signer.sign(digests.commitment(domain, value)) };
}

/** The signed opening with the tokens that it opens. */
export function revealEvent(signer: Signer, domain: Domain, chunk: StoredChunk): RevealEventWire {
  return {
    opening: chunk.opening,
    signature: signer.sign(digests.reveal(domain, chunk.opening)),
    tokens: [...chunk.tokens],
    shortEvidence: packShortEvidence(chunk.shortEvidence),
    ...(chunk.logprobs === null ? {} : { logprobs: { salt: chunk.logprobs.salt, tokens: [...chunk.logprobs.tokens] } }),
  };
}

/**
 * The claim over the opened chunks.
 * @param opened at least one
 */
export function buildClaim(input: {
  provider: Address;
  job: StoredJob;
  opened: readonly StoredChunk[];
  roots: readonly StoredRoot[];
  finish: FinishKind;
}): Claim {
  const { provider, job, opened, roots, finish } = input;
  const { jobId, requestHash, roundId, checkpoint } = job.ticket;
  return {
    jobId,
    ticketHash: job.ticketHash,
    requestHash,
    roundId,
    provider,
    transcriptHash: outputHash(opened.flatMap((chunk) => chunk.tokens)),
    lastCommitment: opened.at(-1)!.commitment,
    rootsHash: rootsHash(roots.map((root) => root.root)),
    chunkCount: opened.length,
    outputTokens: tokenCountOf(opened),
    finish: FINISH_KINDS.indexOf(finish),
    checkpoint,
  };
}

/** The signed claim. */
export function claimEvent(signer: Signer, domain: Domain, claim: Claim): ClaimEvent {
  return { claim, signature: signer.sign(digests.claim(domain, claim)) };
}
