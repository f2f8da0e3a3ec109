/** What a bundle proves, and so how it is ruled; the offline verifier judges the same bundle by the same rules. Pure. */
import { scoredHash } from '#protocol/request';
import type { Fault } from '#protocol/verdict';
import { tolerancesOf } from '../judge/classes.ts';
import { type ComparedPosition, convict } from '../judge/convict.ts';
import { judgeScore, type ScoreJudgement } from '../judge/score.ts';
import type { Ruling } from '../ledger/dispute-money.ts';
import type { DisputeBundle, ScoreEvidence } from './bundle.ts';

export interface Finding {
  readonly ruling: Ruling;
  readonly finding: { readonly reason: string; readonly count: number } | null;
}

/** Positions of which evidence is opened: 16 show a wrong model or nothing does; more only cost. */
const POSITIONS_MAX = 16;

/** Whether the fault needs scores and opened evidence: signed contradictions and broken orders prove themselves. */
export function proofNeeded(fault: Fault, reason: string): boolean {
  return fault !== 'equivocation' && fault !== 'bad_opening' && !reason.startsWith('shape:');
}

/** Where the accused has to show its evidence: the first divergence, and others spread evenly over its transcript. */
export function evidencePositions(bundle: DisputeBundle): number[] {
  const length = bundle.accused.tokens.length;
  const count = Math.min(POSITIONS_MAX, length);
  const spread = Array.from({ length: count }, (_, i) => Math.floor((i * length) / count));
  const first = bundle.served?.divergesAt;
  const positions = first !== null && first !== undefined && first < length ? [first, ...spread] : spread;
  return [...new Set(positions)].slice(0, POSITIONS_MAX);
}

/** Upheld where one response proves the fault, rejected where scorers find nothing wrong, else abandoned. */
export function findingOf(bundle: DisputeBundle, vocabSize: number | null): Finding {
  if (!proofNeeded(bundle.fault, bundle.reason)) {
    return { ruling: 'upheld', finding: { reason: bundle.reason, count: 1 } };
  }
  const judged = bundle.scores.flatMap((score) => judgedScore(bundle, score));
  const operators = new Set(
    judged.filter(({ judgement }) => judgement.vote === 'reject').map(({ score }) => score.operator),
  );
  const referee = judged.find(({ score }) => score.role === 'referee')?.judgement.vote;
  const against = referee === 'reject' || operators.size >= 2;
  if (referee === 'accept' || (judged.length > 0 && operators.size === 0)) return { ruling: 'rejected', finding: null };
  if (!against || vocabSize === null) return { ruling: 'abandoned', finding: null };
  // Rejected by independent scorers, and unwilling to show what it had committed to.
  if (bundle.opened?.length === 0) return { ruling: 'upheld', finding: { reason: 'evidence_refused', count: 1 } };
  const conviction = convict({
    tokens: bundle.accused.tokens,
    sampling: bundle.terms.sampling,
    seed: BigInt(bundle.terms.seed),
    vocabSize,
    judgements: distinctOperators(judged),
    compared: comparedPositions(bundle, judged),
    tolerances: tolerancesOf(bundle.accused.numericClass, judged[0]!.score.numericClass),
  });
  return conviction
    ? { ruling: 'upheld', finding: { reason: conviction.reason, count: conviction.count } }
    : { ruling: 'abandoned', finding: null };
}

interface JudgedScore {
  readonly score: ScoreEvidence;
  readonly judgement: ScoreJudgement;
}

/** Scores may be about the part of the transcript that existed at the split; the judge reads that part. */
function judgedScore(bundle: DisputeBundle, score: ScoreEvidence): JudgedScore[] {
  const tokens = bundle.accused.tokens.slice(0, score.reply.evidence.length);
  if (score.reply.score.transcriptHash !== scoredHash(bundle.terms.promptIds, tokens)) return [];
  const { sampling, seed } = bundle.terms;
  const tolerances = tolerancesOf(score.numericClass, bundle.accused.numericClass);
  const judgement = judgeScore({ tokens, sampling, seed: BigInt(seed) }, score.reply.evidence, tolerances);
  return judgement ? [{ score, judgement }] : [];
}

function distinctOperators(judged: readonly JudgedScore[]): ScoreJudgement[] {
  return [...new Map(judged.map(({ score, judgement }) => [score.operator, judgement])).values()];
}

/** The accused's committed evidence beside the referee's, else beside the first scorer's. */
function comparedPositions(bundle: DisputeBundle, judged: readonly JudgedScore[]): ComparedPosition[] {
  const best = judged.find(({ score }) => score.role === 'referee') ?? judged[0];
  return (bundle.opened ?? []).flatMap(({ position, evidence }) => {
    const scored = best?.score.reply.evidence[position];
    return scored ? [{ position, own: evidence, scored }] : [];
  });
}
