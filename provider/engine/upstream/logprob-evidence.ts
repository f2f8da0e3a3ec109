/**
 * Evidence from log-probabilities (SPEC.md, "Evidence"): they are logits less the same number at every token of a
 * position, which cancels in margins, gaps and distances. Pure.
 */
import { EVIDENCE_TOP_MAX, LOGIT_Q16_MIN, MASS_Q32_ONE, quantiseLogit, type TokenEvidence } from '#protocol/evidence';
import { EngineError } from '../engine.ts';
import type { LogprobList, Proposal, ScoredPosition } from './dialect.ts';

type Top = readonly (readonly [id: number, logit: number])[];

/**
 * The token that our rule takes where the server proposed one: the best log-probability rounded to 2^-16, the lowest id
 * on ties. Servers break ties their own way, so it may be another than proposed.
 * @throws EngineError `upstream_malformed`; `upstream_mismatch` where the server has not taken one of its best
 */
export function greedyChoice(proposal: Proposal, vocabSize: number): { id: number; evidence: TokenEvidence } {
  const top = topOf(proposal.list, vocabSize);
  const [id, chosenLogit] = top[0]!;
  const proposed = top.find(([other]) => other === proposal.id);
  if (proposed?.[1] !== chosenLogit) {
    throw new EngineError('upstream_mismatch', 'the upstream does not take its most likely token at temperature 0');
  }
  return { id, evidence: evidenceOf(id, chosenLogit, top, vocabSize) };
}

/** The server's own evidence for a token that somebody claims. @throws EngineError `upstream_malformed` */
export function claimedEvidence(claimed: number, scored: ScoredPosition, vocabSize: number): TokenEvidence {
  return evidenceOf(claimed, quantiseLogit(scored.logprob), topOf(scored.list, vocabSize), vocabSize);
}

function evidenceOf(chosen: number, chosenLogit: number, top: Top, vocabSize: number): TokenEvidence {
  // At temperature 0 nothing restricts the vocabulary.
  return { chosen, chosenLogit, keptCount: vocabSize, lastKeptLogit: LOGIT_Q16_MIN, massQ32: MASS_Q32_ONE, top };
}

function topOf(list: LogprobList, vocabSize: number): Top {
  const needed = Math.min(EVIDENCE_TOP_MAX, vocabSize);
  const ids = new Set(list.map(([id]) => id));
  if (ids.size !== list.length) throw new EngineError('upstream_malformed', 'the upstream listed a token twice');
  if (list.length < needed) {
    const message = `the upstream gave ${list.length} log-probabilities a token, ${needed} are needed`;
    throw new EngineError('upstream_malformed', message);
  }
  if (list.some(([id]) => id >= vocabSize)) {
    throw new EngineError('upstream_mismatch', `the upstream has tokens outside the vocabulary of ${vocabSize}`);
  }
  return list
    .map(([id, logprob]) => [id, quantiseLogit(logprob)] as const)
    .sort((a, b) => b[1] - a[1] || a[0] - b[0])
    .slice(0, needed);
}
