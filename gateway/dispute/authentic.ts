/** Whether a bundle shows what its parties have signed: a judge that believed unsigned words would convict anybody (spec-judge.md §7.7). Pure. */
import type { Domain } from '#protocol/eip712';
import { evidenceInRoot, evidenceRoot } from '#protocol/evidence-tree';
import { toHex } from '#protocol/hash';
import { generateJobHash, outputHash, promptHash, samplingHash, scoredHash } from '#protocol/request';
import { commitmentHash } from '#protocol/round';
import type { Recover } from '#protocol/signer';
import { digests, requestHash, TICKET_KINDS } from '#protocol/typed';
import type { DisputeBundle, ScoreEvidence } from './bundle.ts';

/** Where signatures hold, and how they are read. */
export interface SignatureCheck {
  readonly domain: Domain;
  readonly recover: Recover;
}

/** Why a bundle cannot be judged; a closed list. */
export type BundleProblem =
  | 'other_terms'
  | 'other_provider'
  | 'commitment_unsigned'
  | 'opening_unfit'
  | 'tokens_unsealed'
  | 'claim_unfit'
  | 'evidence_unproven';

/** The first thing in the bundle that the accused has not signed, or null. */
export function bundleProblem(bundle: DisputeBundle, check: SignatureCheck): BundleProblem | null {
  const { terms, accused } = bundle;
  const { ticket, provider } = accused;
  const requested = requestHash({
    model: terms.model,
    modelDigest: terms.modelDigest,
    promptHash: promptHash(terms.promptIds),
    samplingHash: samplingHash(terms.sampling),
    seed: BigInt(terms.seed),
    maxTokens: terms.maxTokens,
    nonce: terms.nonce,
  });
  if (requested !== ticket.requestHash || ticket.jobHash !== generateJobHash(terms.chunkSizes, terms.logprobs))
    return 'other_terms';
  if (ticket.provider !== provider || ticket.kind !== TICKET_KINDS.generate) return 'other_provider';
  return transcriptProblem(bundle, check) ?? claimProblem(bundle, check) ?? openedProblem(bundle);
}

function transcriptProblem({ accused }: DisputeBundle, { domain, recover }: SignatureCheck): BundleProblem | null {
  const { provider, ticket, commitments, openings, tokens } = accused;
  const { jobId } = ticket;
  for (const [index, { commitment, signature, ...sealed }] of commitments.entries()) {
    if (sealed.index !== index) return 'commitment_unsigned';
    if (recover(digests.commitment(domain, { jobId, index, commitment }), signature) !== provider) {
      return 'commitment_unsigned';
    }
  }
  let first = 0;
  for (const [index, opening] of openings.entries()) {
    if (opening.index !== index || opening.jobId !== jobId) return 'opening_unfit';
    if (commitmentHash(provider, opening) !== commitments[index]?.commitment) return 'opening_unfit';
    const chunk = tokens.slice(first, first + opening.tokenCount);
    if (chunk.length !== opening.tokenCount || outputHash(chunk) !== opening.tokensHash) return 'tokens_unsealed';
    first += opening.tokenCount;
  }
  return first === tokens.length ? null : 'tokens_unsealed';
}

function claimProblem({ accused }: DisputeBundle, { domain, recover }: SignatureCheck): BundleProblem | null {
  const { claim, ticket, provider, tokens } = accused;
  if (claim === null) return null;
  const fits =
    recover(digests.claim(domain, claim.value), claim.signature) === provider &&
    claim.value.jobId === ticket.jobId &&
    claim.value.ticketHash === toHex(digests.ticket(domain, ticket)) &&
    claim.value.transcriptHash === outputHash(tokens);
  return fits ? null : 'claim_unfit';
}

function openedProblem({ accused, opened }: DisputeBundle): BundleProblem | null {
  const proven = (opened ?? []).every(({ position, evidence, path }) => {
    let firstPosition = 0;
    for (const { tokenCount, evidenceRoot: root } of accused.openings) {
      if (position < firstPosition + tokenCount) {
        return evidenceInRoot({ firstPosition, tokenCount, evidenceRoot: root }, position, evidence, path);
      }
      firstPosition += tokenCount;
    }
    return false;
  });
  return proven ? null : 'evidence_unproven';
}

/** Whether a score is signed by its scorer, and about the accused's tokens or a first part of them. */
export function isScoreGenuine(bundle: DisputeBundle, { reply }: ScoreEvidence, check: SignatureCheck): boolean {
  const { score, signature, evidence } = reply;
  const tokens = bundle.accused.tokens.slice(0, evidence.length);
  return (
    score.outputTokens === tokens.length &&
    score.transcriptHash === scoredHash(bundle.terms.promptIds, tokens) &&
    score.evidenceRoot === evidenceRoot(0, evidence) &&
    check.recover(digests.score(check.domain, score), signature) === score.provider
  );
}
