/** Whether scorers were right by how their choice ended: what entitles them to a share of a slash (spec-money.md §11.8). Pure. */
import type { Hash } from '#protocol/hash';
import type { Standing } from '#protocol/verdict';
import type { ScoreVote } from '../judge/score.ts';

/** A transcript that was opened, and how it entered the verdict. */
export interface HeardTranscript {
  readonly tokens: readonly number[];
  readonly standing: Standing;
}

/** One vote of a scorer, on a transcript or on its part up to a split. */
export interface ScorerVote {
  readonly jobId: Hash;
  readonly tokens: readonly number[];
  readonly vote: ScoreVote;
}

/**
 * `counted`: the vote is what the choice came to. `rejected`: the opposite of it. `witness`: neither, since the scorer abstained or
 * nothing was decided about these tokens. None of it changes what the score itself is paid.
 * @param isDecided false where no verdict stands behind the served transcript
 */
export function scorerStandings(
  transcripts: readonly HeardTranscript[],
  votes: readonly ScorerVote[],
  isDecided: boolean,
): Map<Hash, Standing> {
  return new Map(
    votes.map(({ jobId, tokens, vote }) => {
      const standing = fateOf(transcripts, tokens, isDecided);
      if (standing === null || vote === 'abstain') return [jobId, 'witness'];
      return [jobId, (vote === 'accept') === (standing === 'stands') ? 'counted' : 'rejected'];
    }),
  );
}

/** A start that a standing transcript shares with a rejected one was true: the lie came after it. */
function fateOf(
  transcripts: readonly HeardTranscript[],
  tokens: readonly number[],
  isDecided: boolean,
): 'stands' | 'falls' | null {
  const same = transcripts.filter((transcript) => tokens.every((token, at) => transcript.tokens[at] === token));
  if (same.length > 0 && same.every(({ standing }) => standing === 'rejected')) return 'falls';
  const stands = same.some(({ standing }) => standing === 'counted' || standing === 'equivalent');
  return stands && isDecided ? 'stands' : null;
}
