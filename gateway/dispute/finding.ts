/** What a bundle proves, and so how it is ruled; the offline verifier judges the same bundle by the same rules (spec-judge.md §7.7). Pure. */
import { type Calibration, pairOf } from '#protocol/calibration';
import { contradictionProven, faultOf } from '#protocol/contradiction';
import type { Hash } from '#protocol/hash';
import { FINISH_KINDS } from '#protocol/typed';
import type { Fault } from '#protocol/verdict';
import type { PairBounds } from '../evidence/counted.ts';
import { tolerancesOf } from '../judge/classes.ts';
import { type ComparedPosition, convict, selfContradiction } from '../judge/convict.ts';
import { judgeScore, type ScoreJudgement } from '../judge/score.ts';
import { impliedFinish, type ShapeRules, shapeProblem } from '../judge/shape.ts';
import type { Ruling } from '../ledger/dispute-money.ts';
import { accountFinding } from './accumulated.ts';
import { bundleProblem, isScoreGenuine, type SignatureCheck } from './authentic.ts';
import type { DisputeBundle, ScoreEvidence } from './bundle.ts';

export interface Finding {
  readonly ruling: Ruling;
  /** What was found; null where nothing speaks against the accused. */
  readonly finding: { readonly reason: string; readonly count: number } | null;
}

/** What a judge needs besides the bundle. */
export interface Court extends SignatureCheck {
  /** The text side of the model that the terms name; null where the judge has it not: then much stays undecided. */
  readonly text: ShapeRules['text'] | null;
  /** The calibration file with this hash; null where the judge has it not: then differences prove nothing. */
  readonly calibrationOf: (hash: Hash) => Calibration | null;
}

/** Reason of an accusation by an account of evidence. */
export const ACCUMULATED = 'accumulated_evidence';
/** Positions of which evidence is opened: 16 show a wrong model or nothing does; more only cost. */
const POSITIONS_MAX = 16;
/** Of these, how many may be those that scorers object to: the rest is spread, so that a scorer cannot choose all. */
const OBJECTED_MAX = 7;

/** Whether the fault needs scores and opened evidence: signed contradictions, accounts and broken orders prove themselves. */
export function proofNeeded(fault: Fault, reason: string): boolean {
  const proveThemselves: readonly Fault[] = ['equivocation', 'bad_opening', 'model_substitution'];
  return !proveThemselves.includes(fault) && !reason.startsWith('shape:');
}

/**
 * Where the accused has to show its evidence: the first divergence, positions that scorers object to, and others spread
 * evenly over its transcript. The same for everybody who holds the bundle, so that what was left out can be seen.
 */
export function evidencePositions(bundle: DisputeBundle, court: Pick<Court, 'calibrationOf'>): number[] {
  const { tokens } = bundle.accused;
  const first = bundle.served?.divergesAt ?? tokens.length;
  const objected = bundle.scores.flatMap((score) => judgementOf(bundle, score, court)?.clippedAt ?? []);
  return openedPositions(tokens.length, first, objected);
}

/** @param first of the divergence; the length where there is none @param objected positions at the clip, in any order */
export function openedPositions(length: number, first: number, objected: readonly number[]): number[] {
  const count = Math.min(POSITIONS_MAX, length);
  const spread = Array.from({ length: count }, (_, i) => Math.floor((i * length) / count));
  const ascending = [...objected].sort((a, b) => a - b);
  const wanted = [first, ...new Set(ascending)].slice(0, OBJECTED_MAX + 1);
  return [...new Set([...wanted, ...spread])].filter((position) => position < length).slice(0, POSITIONS_MAX);
}

/** Upheld where one response proves the fault, rejected where judges find nothing wrong, else abandoned. */
export function findingOf(bundle: DisputeBundle, court: Court): Finding {
  const problem = bundleProblem(bundle, court);
  if (problem !== null) return { ruling: 'abandoned', finding: { reason: `bundle:${problem}`, count: 0 } };
  if (bundle.fault === 'equivocation' || bundle.fault === 'bad_opening') {
    return contradictionHolds(bundle, court) ? upheld(bundle.reason, 1) : ABANDONED;
  }
  if (bundle.fault === 'model_substitution') return substitutionFinding(bundle, court);
  // No other fault can be shown by one response; what names one is a matter of statistics.
  if (bundle.fault !== 'wrong_output' && bundle.fault !== 'bad_evidence') return ABANDONED;
  if (court.text === null) return ABANDONED;
  return bundle.reason.startsWith('shape:')
    ? shapeFinding(bundle, court.text)
    : outputFinding(bundle, court, court.text.vocabSize);
}

const ABANDONED: Finding = { ruling: 'abandoned', finding: null };
const REJECTED: Finding = { ruling: 'rejected', finding: null };

function upheld(reason: string, count: number): Finding {
  return { ruling: 'upheld', finding: { reason, count } };
}

/** Whether the accused has signed two things of this one job that exclude each other, and that is the fault at issue. */
function contradictionHolds({ fault, accused, contradiction }: DisputeBundle, check: SignatureCheck): boolean {
  if (contradiction === null || faultOf(contradiction.kind) !== fault) return false;
  return contradictionProven(contradiction, { provider: accused.provider, jobId: accused.ticket.jobId }, check);
}

/** Upheld where the account, recomputed, is where a slash is; rejected where it is not; else it cannot be recomputed. */
function substitutionFinding(bundle: DisputeBundle, court: Court): Finding {
  const boundsBy = (hash: Hash): PairBounds | null => {
    const calibration = court.calibrationOf(hash);
    return calibration && ((generator, scorer) => pairOf(calibration, generator, scorer));
  };
  const found = accountFinding(bundle, { ...court, boundsBy });
  const count = bundle.accumulated?.entries.length ?? 0;
  if (found === 'slash') return upheld(ACCUMULATED, count);
  return { ruling: found === 'not_reached' ? 'rejected' : 'abandoned', finding: { reason: `account:${found}`, count } };
}

/** The rules of form, applied again to what the accused has sealed. */
function shapeFinding({ terms, accused }: DisputeBundle, text: ShapeRules['text']): Finding {
  const rules = { maxTokens: terms.maxTokens, stop: terms.sampling.stop, text };
  const { tokens, openings, claim } = accused;
  const ended = openings.at(-1)?.last ?? false;
  const finish = impliedFinish(tokens, ended, rules);
  const problem = shapeProblem({ tokens, finish }, rules);
  if (problem !== null) return upheld(`shape:${problem}`, 1);
  const claimed = claim === null ? null : FINISH_KINDS[claim.value.finish]!;
  const isFalse = claimed !== null && claimed !== (ended ? finish : 'cancelled');
  return isFalse ? upheld('shape:false_finish', 1) : REJECTED;
}

function outputFinding(bundle: DisputeBundle, court: Court, vocabSize: number): Finding {
  const { sampling, seed } = bundle.terms;
  const accused = { tokens: bundle.accused.tokens, sampling, seed: BigInt(seed), vocabSize };
  const opened = (bundle.opened ?? []).map(({ position, evidence }) => ({ position, own: evidence }));
  const contradiction = selfContradiction(accused, opened);
  if (contradiction) return upheld(contradiction.reason, contradiction.count);
  const judged = judgedScores(bundle, court);
  const referee = judged.find(({ score }) => score.role === 'referee');
  if (referee?.judgement.vote === 'accept') return REJECTED;
  if (referee?.judgement.vote !== 'reject') return withoutReferee(judged);
  // Refused, or left some out: rejected by the referee, and unwilling to show what it had committed to.
  const shown = new Set(opened.map(({ position }) => position));
  const missing =
    bundle.opened === null ? [] : evidencePositions(bundle, court).filter((position) => !shown.has(position));
  if (missing.length > 0) return upheld('evidence_refused', missing.length);
  const { numericClass, reply } = referee.score;
  const compared = opened.flatMap(({ position, own }): ComparedPosition[] => {
    const scored = reply.evidence[position];
    return scored ? [{ position, own, scored }] : [];
  });
  const judgements = judged.map(({ judgement }) => judgement);
  const tolerances = tolerancesOf(calibrationFor(bundle, court), bundle.accused.numericClass, numericClass);
  const conviction = convict(accused, compared, judgements, tolerances);
  return conviction ? upheld(conviction.reason, conviction.count) : ABANDONED;
}

/**
 * Nobody is convicted by scorers alone: two of them are two votes, and the members that they vote out may be as many.
 * Scorers who object to nothing clear the accused.
 */
function withoutReferee(judged: readonly JudgedScore[]): Finding {
  const votes = judged.map(({ judgement }) => judgement.vote);
  return votes.includes('accept') && !votes.includes('reject') ? REJECTED : ABANDONED;
}

interface JudgedScore {
  readonly score: ScoreEvidence;
  readonly judgement: ScoreJudgement;
}

/** One judgement per operator and role, the one on most tokens; the accused's own operator has none. */
function judgedScores(bundle: DisputeBundle, court: Court): JudgedScore[] {
  const best = new Map<string, JudgedScore>();
  for (const score of bundle.scores) {
    if (score.operator === bundle.accused.operator || !isScoreGenuine(bundle, score, court)) continue;
    const judgement = judgementOf(bundle, score, court);
    const known = best.get(score.operator);
    const better = !known || (score.role === 'referee' && known.score.role !== 'referee');
    if (judgement && (better || judgement.tokens > known.judgement.tokens))
      best.set(score.operator, { score, judgement });
  }
  return [...best.values()];
}

/** Scores may be about the part of the transcript that existed at the split; the judge reads that part. */
function judgementOf(
  bundle: DisputeBundle,
  { numericClass, reply }: ScoreEvidence,
  court: Pick<Court, 'calibrationOf'>,
): ScoreJudgement | null {
  const tokens = bundle.accused.tokens.slice(0, reply.evidence.length);
  const { sampling, seed } = bundle.terms;
  const tolerances = tolerancesOf(calibrationFor(bundle, court), numericClass, bundle.accused.numericClass);
  return judgeScore({ tokens, sampling, seed: BigInt(seed) }, reply.evidence, tolerances);
}

/** INVARIANT: by hash, never "the newest": whoever judges the bundle again judges by the same figures, years later too. */
function calibrationFor(
  { calibration, terms }: DisputeBundle,
  court: Pick<Court, 'calibrationOf'>,
): Calibration | null {
  const found = calibration === null ? null : court.calibrationOf(calibration);
  return found?.modelDigest === terms.modelDigest ? found : null;
}
