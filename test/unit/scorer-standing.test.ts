/** Who was right, by how a choice ended, and who therefore shares in a slash (spec-money.md §11.8). */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Hash, toHex } from '#protocol/hash';
import { STANDINGS, type Standing } from '#protocol/verdict';
import { rightOf } from '../../gateway/dispute/right.ts';
import type { ScoreVote } from '../../gateway/judge/score.ts';
import { scorerStandings } from '../../gateway/round/scorer-standing.ts';

const JOB: Hash = toHex(new Uint8Array(32));
const TRUE_TEXT = { tokens: [1, 2, 3, 4], standing: 'counted' as Standing };
const LIE = { tokens: [1, 2, 9, 4], standing: 'rejected' as Standing };

function standingOf(tokens: readonly number[], vote: ScoreVote, transcripts = [TRUE_TEXT, LIE], isDecided = true) {
  return scorerStandings(transcripts, [{ jobId: JOB, tokens, vote }], isDecided).get(JOB);
}

describe('a vote', () => {
  test.each([
    ['for what stands', [1, 2, 3, 4], 'accept', 'counted'],
    ['against what stands', [1, 2, 3, 4], 'reject', 'rejected'],
    ['for what fell', [1, 2, 9, 4], 'accept', 'rejected'],
    ['against what fell', [1, 2, 9], 'reject', 'counted'],
    ['for a start that lie and truth share', [1, 2], 'accept', 'counted'],
    ['against a start that lie and truth share', [1, 2], 'reject', 'rejected'],
    ['that abstains', [1, 2, 3, 4], 'abstain', 'witness'],
    ['about tokens that nobody opened', [5], 'accept', 'witness'],
  ] as const)('%s', (_, tokens, vote, standing) => {
    expect(standingOf(tokens, vote)).toBe(standing);
  });

  test('for or against the answer counts for nothing where no verdict stands behind it; against what fell it does', () => {
    for (const vote of ['accept', 'reject'] as const)
      expect(standingOf([1, 2, 3], vote, undefined, false)).toBe('witness');
    expect(standingOf(LIE.tokens, 'reject', undefined, false)).toBe('counted');
  });

  test('about a transcript that is neither accepted nor rejected says nothing', () => {
    for (const standing of ['witness', 'late', 'failed'] as const) {
      expect(standingOf([7], 'reject', [TRUE_TEXT, { tokens: [7], standing }])).toBe('witness');
    }
  });

  test('and its opposite are never both right', () => {
    const transcript = fc.record({
      tokens: fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 4 }),
      standing: fc.constantFrom(...STANDINGS),
    });
    fc.assert(
      fc.property(
        fc.array(transcript, { maxLength: 5 }),
        fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 4 }),
        fc.boolean(),
        (transcripts, tokens, isDecided) => {
          const both = (['accept', 'reject'] as const).map((vote) =>
            standingOf(tokens, vote, transcripts as (typeof TRUE_TEXT)[], isDecided),
          );
          expect([
            ['counted', 'rejected'].join(),
            ['rejected', 'counted'].join(),
            ['witness', 'witness'].join(),
          ]).toContain(both.join());
        },
      ),
    );
  });
});

describe('a slash is shared by', () => {
  const job = (
    provider: string,
    standing: Standing | null,
    role: 'member' | 'scorer' | 'referee' = 'member',
    choice = 0,
  ) => ({
    provider,
    standing,
    role,
    choice,
  });
  const accused = { choice: 0, provider: 'liar' };

  test('members and scorers that were right, once each', () => {
    const jobs = [
      job('a', 'counted'),
      job('a', 'counted', 'scorer'),
      job('b', 'equivalent'),
      job('c', 'counted', 'scorer'),
    ];
    expect(rightOf(jobs, accused)).toEqual(['a', 'b', 'c']);
  });

  test('nobody who was wrong as well, was late, judged, or was right in another choice alone', () => {
    const jobs = [
      job('liar', 'counted', 'scorer'),
      job('liar', 'rejected'),
      job('two-faced', 'counted', 'scorer'),
      job('two-faced', 'rejected', 'scorer'),
      job('late', 'late'),
      job('lost', null),
      job('judge', 'counted', 'referee'),
      job('elsewhere', 'counted', 'member', 1),
    ];
    expect(rightOf(jobs, accused)).toEqual([]);
    expect(rightOf(jobs, null)).toEqual([]);
  });
});
