/** From clusters and votes to the next step of a split, up to the verdict (spec-judge.md §7.5; DESIGN §7 "Verdict"). Pure. */
import type { ScoreVote } from './score.ts';

/** A scorer's votes, one per cluster, in the order of the clusters. */
export interface Ballot {
  readonly operator: string;
  readonly referee: boolean;
  readonly votes: readonly ScoreVote[];
}

/** Everything that a decision depends on. */
export interface SplitState {
  /** Seats asked for, and how many of them must stand behind the answer. */
  readonly n: number;
  readonly agree: number;
  /** Members in each cluster; equivalent transcripts are one cluster. */
  readonly clusters: readonly number[];
  readonly ballots: readonly Ballot[];
  /** Whether another member of a fresh operator, and the referee, can still be asked. */
  readonly moreScorers: boolean;
  readonly moreReferee: boolean;
}

export type Decision =
  | {
      readonly step: 'serve';
      readonly cluster: number;
      /** Clusters that stand behind the answer: the served one and those confirmed beside it. */
      readonly behind: readonly number[];
      readonly standing: number;
      readonly of: number;
      readonly rejected: readonly number[];
    }
  | { readonly step: 'ask_scorers' }
  | { readonly step: 'ask_referee' }
  | { readonly step: 'inconclusive'; readonly rejected: readonly number[] };

/** Operators, other than the clusters' own, that must reject a cluster before it leaves the count. */
export const REJECTIONS_NEEDED = 2;
/**
 * Seats that must stand behind the answer when `count` voices are in the final count: never fewer than the client asked
 * for, and the same share of them where an escalation made the count larger.
 */
export function neededOf(agree: number, n: number, count: number): number {
  return Math.max(agree, Math.ceil((agree * count) / n));
}

/** The one next step; repeated with what it brought until it serves or ends inconclusive. */
export function decide(state: SplitState): Decision {
  const members = state.clusters[0]!;
  if (state.clusters.length === 1 && state.ballots.length === 0 && members >= state.agree) {
    return { step: 'serve', cluster: 0, behind: [0], standing: members, of: members, rejected: [] };
  }
  const all = state.clusters.map((_, cluster) => cluster);
  const rejected = all.filter((cluster) => isRejected(state.ballots, cluster));
  const left = all.filter((cluster) => !rejected.includes(cluster));
  // Several clusters that fresh scorers all accept are honest divergences whose evidence was merely not close enough.
  const settled =
    left.length === 1 || (left.length > 1 && left.every((cluster) => isConfirmed(state.ballots, cluster)));
  const served = settled ? serveIfSupported(state, left, rejected) : null;
  return served ?? nextStep(state, rejected);
}

function operatorsThat(ballots: readonly Ballot[], vote: ScoreVote, cluster: number): number {
  return new Set(ballots.filter((ballot) => ballot.votes[cluster] === vote).map((ballot) => ballot.operator)).size;
}

function refereeVote(ballots: readonly Ballot[], cluster: number): ScoreVote | undefined {
  return ballots.find((ballot) => ballot.referee)?.votes[cluster];
}

/** By the referee where it has decided, else by two fresh scorers of distinct operators and accepted by none. */
function isRejected(ballots: readonly Ballot[], cluster: number): boolean {
  const referee = refereeVote(ballots, cluster);
  if (referee === 'reject' || referee === 'accept') return referee === 'reject';
  return (
    operatorsThat(ballots, 'reject', cluster) >= REJECTIONS_NEEDED && operatorsThat(ballots, 'accept', cluster) === 0
  );
}

/** The mirror image of a rejection. */
function isConfirmed(ballots: readonly Ballot[], cluster: number): boolean {
  if (refereeVote(ballots, cluster) === 'accept') return true;
  return (
    operatorsThat(ballots, 'accept', cluster) >= REJECTIONS_NEEDED && operatorsThat(ballots, 'reject', cluster) === 0
  );
}

/** The final count holds the members left and the scorers who voted on them; those who accepted stand behind. */
function serveIfSupported(state: SplitState, left: readonly number[], rejected: readonly number[]): Decision | null {
  const members = left.reduce((sum, cluster) => sum + state.clusters[cluster]!, 0);
  const accepting = state.ballots.filter((ballot) =>
    left.every((cluster) => ballot.votes[cluster] === 'accept'),
  ).length;
  const opposing = state.ballots.filter((ballot) => left.some((cluster) => ballot.votes[cluster] === 'reject')).length;
  const standing = members + accepting;
  const of = standing + opposing;
  // Somebody outside the split must have confirmed it: a split is never settled by the first vote alone.
  if (accepting === 0) return null;
  if (standing < neededOf(state.agree, state.n, of)) return null;
  const cluster = left.reduce((best, next) => (state.clusters[next]! > state.clusters[best]! ? next : best), left[0]!);
  return { step: 'serve', cluster, behind: left, standing, of, rejected };
}

function nextStep(state: SplitState, rejected: readonly number[]): Decision {
  const fresh = new Set(state.ballots.filter((ballot) => !ballot.referee).map((ballot) => ballot.operator)).size;
  if (fresh < REJECTIONS_NEEDED && state.moreScorers) return { step: 'ask_scorers' };
  if (state.moreReferee && !state.ballots.some((ballot) => ballot.referee)) return { step: 'ask_referee' };
  return { step: 'inconclusive', rejected };
}
