/** The orders of a trial on their way: what the referee knows of them, and the scorer's answers in the order and at the pace of real ones (spec-judge.md §7.13). */
import type { TokenEvidence } from '#protocol/evidence';
import type { Seat } from '../committee/seat.ts';
import { tolerancesOf } from '../judge/classes.ts';
import { judgeScore } from '../judge/score.ts';
import type { TrialPart } from '../judge/trial.ts';
import type { AttemptPlan } from './plan.ts';
import { type ScoringDeps, type TakenScore, takeScore } from './scoring.ts';
import type { JudgedPass } from './witness-panel.ts';

export interface TrialOrders {
  readonly plan: AttemptPlan;
  readonly parts: readonly TrialPart[];
  /** Who claims the tokens. */
  readonly about: Seat;
  /** When the witnesses of the same answer were asked about its parts; none where nobody witnesses. */
  readonly passes: readonly JudgedPass[];
}

/** What the referee says of every part. */
export interface KnownParts {
  readonly scores: readonly TakenScore[];
  /** By part. */
  readonly evidence: readonly (readonly TokenEvidence[])[];
  /** Whether it finds of every part what it was made to be. */
  readonly isKnown: boolean;
}

/** A part with which another begins is known by the other's score. */
export async function askReferee(
  deps: ScoringDeps,
  { plan, parts, about }: TrialOrders,
  referee: Seat,
  signal: AbortSignal,
): Promise<KnownParts> {
  const longest = parts.filter((part) => !parts.some((other) => begins(other.tokens, part.tokens)));
  const taken = await Promise.all(
    longest.map(({ tokens }) =>
      takeScore(deps, plan, { seat: referee, role: 'referee' }, { seat: about, tokens }, signal),
    ),
  );
  const scores = taken.filter((score) => score !== null);
  const tolerances = tolerancesOf(plan.calibration?.calibration ?? null, referee.numericClass, about.numericClass);
  const evidence = parts.map(({ tokens }) => {
    const whole = scores.find((score) => score.tokens === tokens || begins(score.tokens, tokens));
    return whole?.reply.evidence.slice(0, tokens.length) ?? [];
  });
  const isKnown = parts.every(
    ({ tokens, answer }, at) => judgeScore({ ...plan, tokens }, evidence[at]!, tolerances)?.vote === answer,
  );
  return { scores, evidence, isKnown };
}

/**
 * Those of a witness one after the other, none sooner than the real ones came; others at once, as those of a split.
 * @returns by part, as far as it was asked: a witness that is lost, or that rejects, is asked for no later one
 */
export async function askScorer(
  deps: ScoringDeps,
  { plan, parts, about, passes }: TrialOrders,
  seat: Seat,
  signal: AbortSignal,
): Promise<(TakenScore | null)[]> {
  const ask = ({ tokens }: TrialPart) =>
    takeScore(deps, plan, { seat, role: 'member' }, { seat: about, tokens }, signal);
  if (passes.length === 0) return Promise.all(parts.map(ask));
  const { clock } = deps;
  const beganMs = clock.nowMs();
  const taken: (TakenScore | null)[] = [];
  for (const part of parts) {
    const pass = passes.find(({ tokens }) => tokens >= part.tokens.length);
    const waitMs = beganMs + (pass === undefined ? 0 : pass.atMs - passes[0]!.atMs) - clock.nowMs();
    if (waitMs > 0) await clock.sleep(waitMs, signal);
    const score = await ask(part);
    taken.push(score);
    if (score === null || score.judgement.vote === 'reject') break;
  }
  return taken;
}

function begins(whole: readonly number[], part: readonly number[]): boolean {
  return whole.length > part.length && part.every((token, at) => whole[at] === token);
}
