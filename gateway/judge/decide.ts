/** From clusters and votes to the next step of a split, up to the verdict (spec-judge.md §7.5; DESIGN §7 "Verdict"). Pure. */
import { neededOf, REJECTIONS_NEEDED } from '#protocol/voices';
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
      readonly needed: number;
      readonly rejected: readonly number[];
    }
  | { readonly step: 'ask_scorers' }
  | { readonly step: 'ask_referee' }
  | { readonly step: 'inconclusive'; readonly rejected: readonly number[] };

/** The one next step; repeated with what it brought until it serves or ends inconclusive. */
export function decide(state: SplitState): Decision {
  const members = state.clusters[0]!;
  if (state.clusters.length === 1 && state.ballots.length === 0 && members >= state.agree) {
    return {
      step: 'serve',
      cluster: 0,
      behind: [0],
      standing: members,
      of: members,
      // More members than seats where the operator adds some: the share counts then.
      needed: neededOf(state.agree, state.n, members),
      rejected: [],
    };
  }
  const voices = voicesOf(state);
  const all = state.clusters.map((_, cluster) => cluster);
  const rejected = all.filter((cluster) => isRejected(voices, cluster));
  const left = all.filter((cluster) => !rejected.includes(cluster));
  // Several clusters that fresh scorers all accept are honest divergences whose evidence was merely not close enough.
  const settled = left.length === 1 || (left.length > 1 && left.every((cluster) => isConfirmed(voices, cluster)));
  const served = settled ? serveIfSupported(state, voices, left, rejected) : null;
  if (!served) return nextStep(state, voices, rejected);
  return overturns(state, left, rejected) && refereeCanSpeak(state, voices) ? { step: 'ask_referee' } : served;
}

/** One voice per operator, and the referee's: who speaks twice and says two things has said nothing. */
function voicesOf({ ballots, clusters }: SplitState): Ballot[] {
  const voices = new Map<string, Ballot>();
  for (const ballot of ballots) {
    const key = `${ballot.referee}:${ballot.operator}`;
    const before = voices.get(key)?.votes ?? ballot.votes;
    const votes = clusters.map((_, i) => (ballot.votes[i] === before[i] ? ballot.votes[i]! : 'abstain'));
    voices.set(key, { ...ballot, votes });
  }
  return [...voices.values()];
}

function countOf(voices: readonly Ballot[], vote: ScoreVote, cluster: number): number {
  return new Set(voices.filter((voice) => voice.votes[cluster] === vote).map((voice) => voice.operator)).size;
}

function refereeVote(voices: readonly Ballot[], cluster: number): ScoreVote | undefined {
  return voices.find((voice) => voice.referee)?.votes[cluster];
}

/** By the referee where it has decided, else by two fresh scorers of distinct operators and accepted by none. */
function isRejected(voices: readonly Ballot[], cluster: number): boolean {
  const referee = refereeVote(voices, cluster);
  if (referee === 'reject' || referee === 'accept') return referee === 'reject';
  return countOf(voices, 'reject', cluster) >= REJECTIONS_NEEDED && countOf(voices, 'accept', cluster) === 0;
}

/** The mirror image of a rejection. */
function isConfirmed(voices: readonly Ballot[], cluster: number): boolean {
  const referee = refereeVote(voices, cluster);
  if (referee === 'reject' || referee === 'accept') return referee === 'accept';
  return countOf(voices, 'accept', cluster) >= REJECTIONS_NEEDED && countOf(voices, 'reject', cluster) === 0;
}

/** The final count holds the members left and the scorers who voted on them; those who accepted stand behind. */
function serveIfSupported(
  state: SplitState,
  voices: readonly Ballot[],
  left: readonly number[],
  rejected: readonly number[],
): Extract<Decision, { step: 'serve' }> | null {
  const accepting = voices.filter((voice) => left.every((cluster) => voice.votes[cluster] === 'accept')).length;
  const opposing = voices.filter((voice) => left.some((cluster) => voice.votes[cluster] === 'reject')).length;
  // Somebody outside the split must have confirmed it: a split is never settled by the first vote alone.
  if (accepting === 0) return null;
  const standing = sizeOf(state, left) + accepting;
  const of = standing + opposing;
  const needed = neededOf(state.agree, state.n, of);
  if (standing < needed) return null;
  const cluster = left.reduce((best, next) => (state.clusters[next]! > state.clusters[best]! ? next : best), left[0]!);
  return { step: 'serve', cluster, behind: left, standing, of, needed, rejected };
}

function sizeOf({ clusters }: SplitState, those: readonly number[]): number {
  return those.reduce((sum, cluster) => sum + clusters[cluster]!, 0);
}

/**
 * Whether serving takes the answer of fewer members against that of as many or more. Two scorers and a minority who
 * lie look just like two scorers and a minority who are right, so this is nothing that scorers should decide alone.
 */
function overturns(state: SplitState, left: readonly number[], rejected: readonly number[]): boolean {
  return sizeOf(state, rejected) >= sizeOf(state, left);
}

function refereeCanSpeak(state: SplitState, voices: readonly Ballot[]): boolean {
  return state.moreReferee && !voices.some((voice) => voice.referee);
}

function nextStep(state: SplitState, voices: readonly Ballot[], rejected: readonly number[]): Decision {
  const fresh = voices.filter((voice) => !voice.referee).length;
  if (fresh < REJECTIONS_NEEDED && state.moreScorers) return { step: 'ask_scorers' };
  if (refereeCanSpeak(state, voices)) return { step: 'ask_referee' };
  return { step: 'inconclusive', rejected };
}
