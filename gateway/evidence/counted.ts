/** What is kept of a counted response, so that its factors can be recomputed by anybody who is shown it (spec-judge.md §7.10). Pure. */
import { z } from 'zod';
import type { Domain } from '#protocol/eip712';
import { confirmedFactors, type ScoreFactors } from '#protocol/evidence-account';
import { evidenceRoot } from '#protocol/evidence-tree';
import { type Hash, toHex } from '#protocol/hash';
import type { ScoredEntry } from '#protocol/log';
import { type ScoreReply, zClaim, zScoreReply } from '#protocol/messages';
import { outputHash } from '#protocol/request';
import { samplingSchema } from '#protocol/sampling';
import { TOKENS_MAX, zSignature, zText, zTokenId, zU64 } from '#protocol/schema';
import type { Recover } from '#protocol/signer';
import { digests } from '#protocol/typed';
import { FACTOR_SCALE } from '#protocol/wealth';
import type { DifferenceBounds } from '../judge/compensator.ts';
import type { ComparedPosition } from '../judge/convict.ts';
import { type CopyTest, copyProbability } from '../judge/copying.ts';
import { factorsOfScores } from '../judge/judge-response.ts';
import { isSealed, zOpenedEvidence } from './opened.ts';

/** Scorers of one response: the drawn one and those that confirmed it. */
const SCORERS_MAX = 16;

export const zCountedEvidence = z.strictObject({
  tokens: z.array(zTokenId).min(1).max(TOKENS_MAX),
  sampling: samplingSchema,
  seed: zU64,
  /** Of the machine that generated it. */
  numericClass: zText(256),
  /** The generator's, over exactly these tokens; null where a part was all that there came to be. */
  claim: z.strictObject({ value: zClaim, signature: zSignature }).nullable(),
  scores: z
    .array(z.strictObject({ operator: zText(128), numericClass: zText(256), reply: zScoreReply }))
    .min(1)
    .max(SCORERS_MAX),
  /** Committed evidence that the generator opened, where it was asked for; beside the claim that it was sealed under. */
  opened: zOpenedEvidence.optional(),
  /** What another provider had written to the same prompt under another seed, where this one was asked to see whether it copies. */
  peer: z
    .strictObject({
      tokens: z.array(zTokenId).min(1).max(TOKENS_MAX),
      claim: z.strictObject({ value: zClaim, signature: zSignature }),
      /** Says how improbable these tokens are. */
      score: z.strictObject({ numericClass: zText(256), reply: zScoreReply }),
    })
    .optional(),
});
export type CountedEvidence = z.output<typeof zCountedEvidence>;
export type CountedEvidenceWire = z.input<typeof zCountedEvidence>;

/** Bounds between two classes of a calibration; null where it has none. */
export type PairBounds = (generator: string, scorer: string) => DifferenceBounds | null;

/** What a response enters its account with. */
export interface ResponseFactors {
  /** In units of 2^-30. */
  readonly factors: readonly number[];
  readonly scores: readonly { readonly operator: string; readonly scoreHash: Hash }[];
  readonly unconfirmed: boolean;
}

/** Factors of every score that says anything: not void, of classes that are calibrated against each other; the drawn one's first or none. */
export function usableScores(kept: CountedEvidence, boundsOf: PairBounds): (ScoreFactors & { reply: ScoreReply })[] {
  const { tokens, sampling, seed, numericClass } = kept;
  const claimed = { tokens, sampling, seed: BigInt(seed) };
  const usable = kept.scores.flatMap(({ operator, numericClass: scorer, reply }) => {
    const bounds = boundsOf(numericClass, scorer);
    const { evidence } = reply;
    const beside = { opened: openedBeside(kept, evidence), copy: copyOf(kept, boundsOf) };
    const [one] = bounds ? factorsOfScores([{ operator, claimed, evidence, bounds, ...beside }]) : [];
    return one ? [{ ...one, reply }] : [];
  });
  // Without the drawn scorer's there is nothing to confirm, and who else was asked may have been asked because of it.
  return usable[0]?.reply === kept.scores[0]!.reply ? usable : [];
}

/** How improbable it is to write what the other had, by the score of it; none where their classes are uncalibrated. */
function copyOf({ peer, tokens, sampling, numericClass }: CountedEvidence, boundsOf: PairBounds): CopyTest | undefined {
  const bounds = peer && boundsOf(numericClass, peer.score.numericClass);
  if (peer === undefined || !bounds) return undefined;
  const probability = copyProbability(peer.score.reply.evidence, sampling, bounds);
  return { probability, isSame: peer.tokens.join() === tokens.join() };
}

/** What the generator opened beside what the scorer says of the same positions; a void score says nothing of any. */
function openedBeside({ opened }: CountedEvidence, evidence: ScoreReply['evidence']): ComparedPosition[] {
  return (opened?.items ?? []).flatMap(({ position, evidence: own }) => {
    const scored = evidence[position];
    return scored === undefined ? [] : [{ position, own, scored }];
  });
}

/** Factors of the kept evidence; null where no score counts. */
export function countedFactors(kept: CountedEvidence, boundsOf: PairBounds, domain: Domain): ResponseFactors | null {
  const usable = usableScores(kept, boundsOf);
  if (usable.length === 0) return null;
  const { factors, unconfirmed } = confirmedFactors(usable);
  return {
    factors: factors.map((factor) => Math.round(factor * FACTOR_SCALE)),
    scores: usable.map(({ operator, reply }) => ({
      operator,
      scoreHash: toHex(digests.score(domain, reply.score)),
    })),
    unconfirmed,
  };
}

/** Why kept evidence does not bear out its entry of the log; a closed list. */
export type CountedProblem =
  | 'claim_unfit'
  | 'opened_unsealed'
  | 'peer_unfit'
  | 'score_unsigned'
  | 'other_scores'
  | 'other_factors';

/** The first thing in which kept evidence and entry differ, or null. */
export function countedProblem(
  kept: CountedEvidence,
  entry: ScoredEntry,
  boundsOf: PairBounds,
  { domain, recover }: { readonly domain: Domain; readonly recover: Recover },
): CountedProblem | null {
  const { claim, tokens } = kept;
  if (claim !== null) {
    const isFit =
      claim.value.jobId === entry.responseHash &&
      claim.value.transcriptHash === outputHash(tokens) &&
      recover(digests.claim(domain, claim.value), claim.signature) === entry.provider;
    if (!isFit) return 'claim_unfit';
  }
  const isOpenedSealed = kept.opened === undefined || (claim !== null && isSealed(kept.opened, tokens, claim.value));
  if (!isOpenedSealed) return 'opened_unsealed';
  const isSignedAbout = ({ score, evidence, signature }: ScoreReply, about: readonly number[]) =>
    score.outputTokens === about.length &&
    score.evidenceRoot === evidenceRoot(0, evidence) &&
    recover(digests.score(domain, score), signature) === score.provider;
  if (!kept.scores.every(({ reply }) => isSignedAbout(reply, tokens))) return 'score_unsigned';
  if (kept.peer !== undefined) {
    const { value, signature } = kept.peer.claim;
    // Another's, of another order: under the same seed the same tokens are what honesty looks like.
    const isOther =
      claim !== null && value.provider !== entry.provider && value.requestHash !== claim.value.requestHash;
    const isIts =
      value.transcriptHash === outputHash(kept.peer.tokens) &&
      recover(digests.claim(domain, value), signature) === value.provider &&
      isSignedAbout(kept.peer.score.reply, kept.peer.tokens);
    if (!isOther || !isIts) return 'peer_unfit';
  }
  const recomputed = countedFactors(kept, boundsOf, domain);
  if (recomputed === null || JSON.stringify(recomputed.scores) !== JSON.stringify(entry.scores)) return 'other_scores';
  return JSON.stringify(recomputed.factors) === JSON.stringify(entry.factors) ? null : 'other_factors';
}
