/** A split escalates: fresh scorers of other operators, then the referee, before anything is released (spec-judge.md §7.5). */
import { REJECTIONS_NEEDED } from '#protocol/voices';
import type { Seat } from '../committee/seat.ts';
import { type Ballot, type Decision, decide } from '../judge/decide.ts';
import type { ScoreVote } from '../judge/score.ts';
import type { AttemptPlan } from './plan.ts';
import { type AskedScorer, type ScoreTarget, type ScoringDeps, type TakenScore, takeScore } from './scoring.ts';

/** Who can still be asked: candidates of the draw that have no seat, by operators that have none, and the referee. */
export interface FreshPool {
  /** The next candidate of an operator that has not been asked in this request, or null. */
  nextScorer(): Seat | null;
  readonly referee: Seat | null;
}

/** Transcripts that may stand or fall: how many members are behind each, and the one that is scored for all. */
export interface Contender {
  readonly size: number;
  readonly target: ScoreTarget;
}

export interface Split {
  readonly n: number;
  readonly agree: number;
  readonly contenders: readonly Contender[];
  /** Votes on these very transcripts that were taken before. */
  readonly ballots: readonly Ballot[];
  readonly pool: FreshPool;
}

export interface SplitOutcome {
  readonly decision: Extract<Decision, { step: 'serve' | 'inconclusive' }>;
  readonly scores: readonly TakenScore[];
}

/** Votes already taken on exactly these tokens, by scorers from outside the committee. */
export function ballotsOn(
  tokens: readonly number[],
  scores: readonly TakenScore[],
  members: readonly { readonly seat: Seat }[],
): Ballot[] {
  const seated = new Set(members.map(({ seat }) => seat.operator));
  return scores
    .filter(({ role, scorer }) => role === 'referee' || !seated.has(scorer.operator))
    .filter((score) => score.tokens.join(',') === tokens.join(','))
    .map(({ role, scorer, judgement }) => {
      return { operator: scorer.operator, referee: role === 'referee', votes: [judgement.vote] };
    });
}

/** Asks until the split is decided or nobody is left to ask. */
export async function settleSplit(
  deps: ScoringDeps,
  plan: AttemptPlan,
  split: Split,
  signal: AbortSignal,
): Promise<SplitOutcome> {
  const scores: TakenScore[] = [];
  const ballots: Ballot[] = [...split.ballots];
  let moreScorers = true;
  let moreReferee = split.pool.referee !== null;
  for (;;) {
    const decision = decide({
      n: split.n,
      agree: split.agree,
      clusters: split.contenders.map((contender) => contender.size),
      ballots,
      moreScorers,
      moreReferee,
    });
    if (decision.step === 'serve' || decision.step === 'inconclusive') return { decision, scores };
    const asked = decision.step === 'ask_referee' ? refereeOf(split.pool) : scorersOf(split.pool, ballots);
    if (decision.step === 'ask_referee') moreReferee = false;
    else if (asked.length === 0) moreScorers = false;
    const answers = await Promise.all(asked.map((scorer) => ballotOf(deps, plan, scorer, split.contenders, signal)));
    for (const answer of answers) {
      scores.push(...answer.scores);
      // Who scored nothing is no ballot: the next candidate is asked in its place.
      if (answer.scores.length > 0) ballots.push(answer.ballot);
    }
  }
}

function refereeOf(pool: FreshPool): AskedScorer[] {
  return pool.referee ? [{ seat: pool.referee, role: 'referee' }] : [];
}

function scorersOf(pool: FreshPool, ballots: readonly Ballot[]): AskedScorer[] {
  const asked: AskedScorer[] = [];
  const have = ballots.filter((ballot) => !ballot.referee).length;
  while (have + asked.length < REJECTIONS_NEEDED) {
    const seat = pool.nextScorer();
    if (!seat) break;
    asked.push({ seat, role: 'member' });
  }
  return asked;
}

async function ballotOf(
  deps: ScoringDeps,
  plan: AttemptPlan,
  scorer: AskedScorer,
  contenders: readonly Contender[],
  signal: AbortSignal,
): Promise<{ ballot: Ballot; scores: TakenScore[] }> {
  const taken = await Promise.all(
    contenders.map((contender) => takeScore(deps, plan, scorer, contender.target, signal)),
  );
  const votes: ScoreVote[] = taken.map((score) => score?.judgement.vote ?? 'abstain');
  return {
    ballot: { operator: scorer.seat.operator, referee: scorer.role === 'referee', votes },
    scores: taken.filter((score) => score !== null),
  };
}
