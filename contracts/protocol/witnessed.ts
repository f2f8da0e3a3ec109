/** From the votes of witnesses to the next step, where one seat generates and the others score (spec-judge.md §7.12). Pure. */
import { neededOf, REJECTIONS_NEEDED, type Vote } from './voices.ts';

/** Everything that a decision depends on. */
export interface WitnessState {
  /** Seats of the policy, the generator's included, and how many of them must stand behind the answer. */
  readonly n: number;
  readonly agree: number;
  /** One vote an operator, in the order in which they were asked: n - 1 witnesses, then fresh members. */
  readonly votes: readonly Vote[];
  readonly referee: Vote | null;
  /** Whether another member of a fresh operator, and the referee, can still be asked. */
  readonly moreScorers: boolean;
  readonly moreReferee: boolean;
}

export type WitnessDecision =
  | {
      readonly step: 'serve';
      readonly standing: number;
      readonly of: number;
      readonly needed: number;
      /** Whether votes against the transcript were found to be wrong, and do not count. */
      readonly isOverruling: boolean;
    }
  | { readonly step: 'ask_scorers' }
  | { readonly step: 'ask_referee' }
  | { readonly step: 'inconclusive'; readonly isRejected: boolean };

/** The one next step; repeated with what it brought until it serves or ends inconclusive. */
export function decideWitnessed(state: WitnessState): WitnessDecision {
  const { n, agree, votes, referee, moreScorers } = state;
  if (votes.length < n - 1 && moreScorers) return { step: 'ask_scorers' };
  if (isRejected(state)) return { step: 'inconclusive', isRejected: true };
  const accepting = countOf(votes, 'accept') + (referee === 'accept' ? 1 : 0);
  const rejecting = countOf(votes, 'reject');
  const standing = 1 + accepting;
  const needed = neededOf(agree, n, standing);
  // Somebody who did not generate it must have accepted it, whatever the policy says.
  const isEnough = accepting > 0 && standing >= needed;
  if (isEnough && (rejecting === 0 || isOverruled(state))) {
    if (isOverturned(state) && refereeCanSpeak(state)) return { step: 'ask_referee' };
    return { step: 'serve', standing, of: standing, needed, isOverruling: rejecting > 0 };
  }
  const fresh = Math.max(0, votes.length - (n - 1));
  if (fresh < REJECTIONS_NEEDED && moreScorers && referee === null) return { step: 'ask_scorers' };
  return refereeCanSpeak(state) ? { step: 'ask_referee' } : { step: 'inconclusive', isRejected: false };
}

function countOf(votes: readonly Vote[], vote: Vote): number {
  return votes.filter((each) => each === vote).length;
}

/** By the referee where it has decided, else by two members of distinct operators and accepted by none. */
function isRejected({ votes, referee }: WitnessState): boolean {
  if (referee === 'reject' || referee === 'accept') return referee === 'reject';
  return countOf(votes, 'reject') >= REJECTIONS_NEEDED && countOf(votes, 'accept') === 0;
}

/** Votes against fall by the referee's word, or by that of two fresh members who all accept: never by a mere count. */
function isOverruled({ n, votes, referee }: WitnessState): boolean {
  if (referee === 'accept') return true;
  const fresh = votes.slice(n - 1);
  return countOf(fresh, 'accept') >= REJECTIONS_NEEDED && countOf(fresh, 'reject') === 0;
}

/** Whether as many of the drawn seats reject as stand behind: two liars would look like that, so scorers alone do not decide it. */
function isOverturned({ n, votes }: WitnessState): boolean {
  const drawn = votes.slice(0, n - 1);
  return countOf(drawn, 'reject') >= 1 + countOf(drawn, 'accept');
}

function refereeCanSpeak({ moreReferee, referee }: WitnessState): boolean {
  return moreReferee && referee === null;
}
