import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { neededOf } from '#protocol/voices';
import { captureProbability } from '../../gateway/audit/collusion.ts';
import { type Ballot, decide, type SplitState } from '../../gateway/judge/decide.ts';
import type { ScoreVote } from '../../gateway/judge/score.ts';

const vote = fc.constantFrom<ScoreVote>('accept', 'reject', 'abstain');

const states: fc.Arbitrary<SplitState> = fc
  .record({
    clusters: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 }),
    lost: fc.integer({ min: 0, max: 2 }),
    scorers: fc.integer({ min: 0, max: 3 }),
    referee: fc.boolean(),
    moreScorers: fc.boolean(),
    moreReferee: fc.boolean(),
  })
  .chain(({ clusters, lost, scorers, referee, moreScorers, moreReferee }) => {
    const n = clusters.reduce((sum, size) => sum + size, lost);
    return fc.record({
      n: fc.constant(n),
      agree: fc.integer({ min: 1, max: n }),
      clusters: fc.constant(clusters),
      ballots: fc
        .array(fc.array(vote, { minLength: clusters.length, maxLength: clusters.length }), {
          minLength: scorers + (referee ? 1 : 0),
          maxLength: scorers + (referee ? 1 : 0),
        })
        .map((all) => all.map((votes, i) => ({ operator: `op-${i}`, referee: i === scorers, votes }))),
      moreScorers: fc.constant(moreScorers),
      moreReferee: fc.constant(moreReferee && !referee),
    });
  });

function ballots(...votes: (readonly [operator: string, ...votes: ScoreVote[]])[]): Ballot[] {
  return votes.map(([operator, ...all]) => ({ operator, referee: operator === 'referee', votes: all }));
}

/** Two against one: cluster 0 has two members, cluster 1 has one. */
function twoToOne(...votes: (readonly [operator: string, ...votes: ScoreVote[]])[]): SplitState {
  return { n: 3, agree: 3, clusters: [2, 1], ballots: ballots(...votes), moreScorers: true, moreReferee: true };
}

describe('decide', () => {
  it('never serves a rejected cluster, and never with fewer seats than the client asked for', () => {
    fc.assert(
      fc.property(states, (state) => {
        const decision = decide(state);
        if (decision.step !== 'serve') return;
        expect(decision.behind).toContain(decision.cluster);
        expect(decision.rejected.filter((cluster) => decision.behind.includes(cluster))).toEqual([]);
        expect(decision.standing).toBeGreaterThanOrEqual(neededOf(state.agree, state.n, decision.of));
        expect(decision.standing).toBeGreaterThanOrEqual(state.agree);
        if (state.clusters.length > 1) expect(state.ballots.length).toBeGreaterThan(0);
      }),
      { numRuns: 5000, seed: 1 },
    );
  });

  it('a further voice that accepts what is served and rejects the rest never undoes the serving', () => {
    fc.assert(
      fc.property(states, (state) => {
        const decision = decide(state);
        if (decision.step !== 'serve') return;
        const votes = state.clusters.map((_, i): ScoreVote => (decision.behind.includes(i) ? 'accept' : 'reject'));
        const more = { ...state, ballots: [...state.ballots, { operator: 'one more', referee: false, votes }] };
        expect(decide(more)).toMatchObject({ step: 'serve', cluster: decision.cluster, behind: decision.behind });
      }),
      { numRuns: 5000, seed: 2 },
    );
  });

  it('does not depend on the order of ballots', () => {
    fc.assert(
      fc.property(states, (state) => {
        expect(decide({ ...state, ballots: [...state.ballots].reverse() })).toEqual(decide(state));
      }),
      { numRuns: 3000, seed: 3 },
    );
  });

  it('does not depend on the order of clusters, but for which of equals is served', () => {
    fc.assert(
      fc.property(states, (state) => {
        const turned = {
          ...state,
          clusters: [...state.clusters].reverse(),
          ballots: state.ballots.map((ballot) => ({ ...ballot, votes: [...ballot.votes].reverse() })),
        };
        const [a, b] = [decide(state), decide(turned)];
        const last = state.clusters.length - 1;
        expect(b.step).toBe(a.step);
        if (a.step !== 'serve' || b.step !== 'serve') return;
        expect([...b.behind].map((cluster) => last - cluster).sort()).toEqual([...a.behind].sort());
        expect(turned.clusters[b.cluster]).toBe(state.clusters[a.cluster]);
        expect([b.standing, b.of, b.needed]).toEqual([a.standing, a.of, a.needed]);
      }),
      { numRuns: 5000, seed: 4 },
    );
  });

  it('two colluders in three do not win: honest scorers and the referee hand the answer to the lone honest seat', () => {
    const scored = twoToOne(['a', 'reject', 'accept'], ['b', 'reject', 'accept']);
    expect(decide(twoToOne())).toEqual({ step: 'ask_scorers' });
    expect(decide(scored)).toEqual({ step: 'ask_referee' });
    const ruled = twoToOne(['a', 'reject', 'accept'], ['b', 'reject', 'accept'], ['referee', 'reject', 'accept']);
    expect(decide(ruled)).toMatchObject({ step: 'serve', cluster: 1, standing: 4, of: 4, rejected: [0] });
  });

  it('two colluders in three do not win whatever one honest scorer or the referee is able to say', () => {
    const votes: ScoreVote[] = ['accept', 'reject', 'abstain'];
    for (const first of votes) {
      for (const second of votes) {
        const honest = ['honest', 'reject', 'accept'] as const;
        const decision = decide({
          ...twoToOne(honest, ['liar', first, second]),
          moreScorers: false,
          moreReferee: false,
        });
        expect(decision.step === 'serve' && decision.behind.includes(0)).toBe(false);
      }
    }
  });

  it('a lone liar with two lying scorers cannot overturn a majority past the referee', () => {
    const state = twoToOne(['a', 'reject', 'accept'], ['b', 'reject', 'accept']);
    const ruled = { ...state, ballots: [...state.ballots, ...ballots(['referee', 'accept', 'reject'])] };
    expect(decide(state)).toEqual({ step: 'ask_referee' });
    expect(decide(ruled)).toEqual({ step: 'inconclusive', rejected: [1] });
  });

  it('takes out a dissenter by two operators without the referee', () => {
    expect(decide(twoToOne(['a', 'accept', 'reject'], ['b', 'accept', 'reject']))).toEqual({
      step: 'serve',
      cluster: 0,
      behind: [0],
      standing: 4,
      of: 4,
      needed: 4,
      rejected: [1],
    });
  });

  it('one operator with two scorers is one voice', () => {
    const twice = twoToOne(['a', 'accept', 'reject'], ['a', 'accept', 'reject']);
    expect(decide(twice)).toEqual({ step: 'ask_scorers' });
    expect(decide({ ...twice, moreScorers: false })).toEqual({ step: 'ask_referee' });
    // Also where only the number of accepting voices is missing.
    const lost: SplitState = { ...twice, agree: 3, clusters: [1], ballots: ballots(['a', 'accept'], ['a', 'accept']) };
    expect(decide({ ...lost, moreScorers: false, moreReferee: false }).step).toBe('inconclusive');
  });

  it('an operator that says two things has said nothing', () => {
    const both = twoToOne(['a', 'accept', 'reject'], ['a', 'reject', 'reject'], ['b', 'accept', 'reject']);
    expect(decide({ ...both, moreReferee: false })).toMatchObject({ step: 'serve', standing: 3, of: 3 });
  });

  it('a split is not settled by its first vote', () => {
    expect(decide(twoToOne(['a', 'accept', 'reject']))).toEqual({ step: 'ask_scorers' });
    expect(decide({ ...twoToOne(['a', 'accept', 'reject']), moreScorers: false })).toEqual({ step: 'ask_referee' });
    const alone = { ...twoToOne(['a', 'accept', 'reject']), moreScorers: false, moreReferee: false };
    expect(decide(alone)).toEqual({ step: 'inconclusive', rejected: [] });
  });

  it('one acceptance keeps a cluster that two reject', () => {
    const state = twoToOne(['a', 'accept', 'reject'], ['b', 'accept', 'reject'], ['c', 'accept', 'accept']);
    expect(decide(state)).toEqual({ step: 'ask_referee' });
  });

  it('scorers and a referee that abstain decide nothing', () => {
    const silent = twoToOne(
      ['a', 'abstain', 'abstain'],
      ['b', 'abstain', 'abstain'],
      ['referee', 'abstain', 'abstain'],
    );
    expect(decide(silent)).toEqual({ step: 'inconclusive', rejected: [] });
  });

  it('honest divergences that scorers accept stand behind one answer together', () => {
    const state = twoToOne(['a', 'accept', 'accept'], ['b', 'accept', 'accept']);
    expect(decide(state)).toMatchObject({ step: 'serve', cluster: 0, behind: [0, 1], standing: 5, of: 5, needed: 5 });
  });

  it('keeps the share that the client asked for when escalation makes the count larger', () => {
    expect([neededOf(3, 3, 2), neededOf(3, 3, 4), neededOf(4, 5, 7), neededOf(2, 3, 4)]).toEqual([3, 4, 6, 3]);
    const opposed = twoToOne(['a', 'accept', 'reject'], ['b', 'reject', 'reject'], ['referee', 'accept', 'reject']);
    expect(decide(opposed)).toEqual({ step: 'inconclusive', rejected: [1] });
  });
});

describe('captureProbability', () => {
  it('is a colluding share for one seat, and needs every voice of a quorum or the escalation with it', () => {
    expect(captureProbability(1, 1, 0.2)).toBeCloseTo(0.2, 12);
    // All three seats, or fewer and both fresh scorers: f³ + 3f(1 − f)²f² + 3f²(1 − f)f².
    expect(captureProbability(3, 3, 0.2)).toBeCloseTo(0.008 + 0.384 * 0.04 + 0.096 * 0.04, 12);
  });

  it('falls with larger committees and is certain where all collude', () => {
    const falling = [1, 2, 3, 5, 7, 9].map((n) => captureProbability(n, Math.floor((2 * n) / 3) + 1, 0.2));
    expect([...falling].sort((a, b) => b - a)).toEqual(falling);
    for (const n of [1, 3, 5]) {
      expect(captureProbability(n, n, 1)).toBe(1);
      expect(captureProbability(n, n, 0)).toBe(0);
    }
  });
});
