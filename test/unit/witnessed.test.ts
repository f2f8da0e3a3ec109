/** Witnessed answers: when votes let one stand, how it is cut into passes, what it may cost, and what the policy may say. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { policyOfBody, policyOfText, policyText } from '#protocol/policy';
import { policyJson, policyJsonSchema, policyOfJson } from '#protocol/policy-json';
import type { Vote } from '#protocol/voices';
import { decideWitnessed, type WitnessState } from '#protocol/witnessed';
import { captureProbability, witnessedCaptureProbability } from '../../gateway/audit/collusion.ts';
import {
  committeeBounds,
  coverNano,
  generatingJobMaxNano,
  quoteNano,
  scoringJobMaxNano,
} from '../../gateway/ledger/price.ts';
import { chunkSizesOf, scorePassesOf } from '../../gateway/round/chunk-plan.ts';

const [yes, no, unsure] = ['accept', 'reject', 'abstain'] as const;

function decided(votes: readonly Vote[], changes: Partial<WitnessState> = {}) {
  const state = { n: 3, agree: 3, votes, referee: null, moreScorers: false, moreReferee: false };
  return decideWitnessed({ ...state, ...changes });
}

describe('the decision', () => {
  test('asks all witnesses first, and serves what all of them accept', () => {
    expect(decided([], { moreScorers: true }).step).toBe('ask_scorers');
    expect(decided([yes], { moreScorers: true }).step).toBe('ask_scorers');
    expect(decided([yes, yes])).toEqual({ step: 'serve', standing: 3, of: 3, needed: 3, isOverruling: false });
  });

  test('one colluding witness does not carry a lie: an honest one beside it makes fresh members judge', () => {
    expect(decided([yes, no], { moreScorers: true }).step).toBe('ask_scorers');
    expect(decided([yes, no, no, no], { moreReferee: true }).step).toBe('ask_referee');
    expect(decided([yes, no, no, no], { referee: 'reject' })).toEqual({ step: 'inconclusive', isRejected: true });
  });

  test('a lone vote against is overruled by two fresh members, never by the votes that were there before', () => {
    expect(decided([yes, yes, yes, no], { n: 5, agree: 4, moreScorers: true }).step).toBe('ask_scorers');
    const overruled = decided([yes, yes, yes, no, yes, yes], { n: 5, agree: 4 });
    expect(overruled).toEqual({ step: 'serve', standing: 6, of: 6, needed: 5, isOverruling: true });
    expect(decided([yes, no, yes, no])).toEqual({ step: 'inconclusive', isRejected: false });
  });

  test('where as many seats reject as stand behind it, scorers do not decide alone while a referee can be had', () => {
    const state = { n: 2, agree: 2, moreReferee: true } as const;
    expect(decided([no, yes, yes], state).step).toBe('ask_referee');
    expect(decided([no, yes, yes], { ...state, referee: 'reject' })).toEqual({
      step: 'inconclusive',
      isRejected: true,
    });
    expect(decided([no, yes, yes], { ...state, moreReferee: false }).step).toBe('serve');
  });

  test('two members of distinct operators reject what nobody accepts', () => {
    expect(decided([no, no], { moreScorers: true, moreReferee: true })).toEqual({
      step: 'inconclusive',
      isRejected: true,
    });
    expect(decided([no], { n: 2, agree: 2 })).toEqual({ step: 'inconclusive', isRejected: false });
  });

  test('abstentions stand behind nothing: more are asked, and too few are no answer', () => {
    expect(decided([unsure, yes], { moreScorers: true }).step).toBe('ask_scorers');
    expect(decided([unsure, yes, yes]).step).toBe('serve');
    expect(decided([unsure, unsure])).toEqual({ step: 'inconclusive', isRejected: false });
    expect(decided([])).toEqual({ step: 'inconclusive', isRejected: false });
  });

  const vote = fc.constantFrom<Vote>('accept', 'reject', 'abstain');
  const states = fc.record({
    seats: fc
      .integer({ min: 2, max: 7 })
      .chain((n) => fc.record({ n: fc.constant(n), agree: fc.integer({ min: 2, max: n }) })),
    votes: fc.array(vote, { maxLength: 10 }),
    referee: fc.option(vote),
    moreScorers: fc.boolean(),
    moreReferee: fc.boolean(),
  });

  test('never serves what the referee rejects, what too few accept, or what stands against a vote that nobody fresh has answered', () => {
    fc.assert(
      fc.property(states, ({ seats, ...rest }) => {
        const state = { ...seats, ...rest };
        const decision = decideWitnessed(state);
        if (decision.step !== 'serve') return;
        const accepting = state.votes.filter((each) => each === 'accept').length + (state.referee === 'accept' ? 1 : 0);
        expect(state.referee).not.toBe('reject');
        expect(decision.standing).toBe(1 + accepting);
        expect(decision.standing).toBeGreaterThanOrEqual(state.agree);
        expect(accepting).toBeGreaterThan(0);
        const fresh = state.votes.slice(state.n - 1);
        const answered = state.referee === 'accept' || fresh.filter((each) => each === 'accept').length >= 2;
        if (state.votes.includes('reject'))
          expect(answered && (state.referee === 'accept' || !fresh.includes('reject'))).toBe(true);
      }),
    );
  });

  test('comes to an end however votes fall: at most two fresh members and the referee are asked', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 7 }),
        fc.array(vote, { minLength: 12, maxLength: 12 }),
        vote,
        (n, cast, referee) => {
          let [asked, ruled] = [0, false];
          for (let step = 0; step < 20; step++) {
            const decision = decideWitnessed({
              n,
              agree: n,
              votes: cast.slice(0, asked),
              referee: ruled ? referee : null,
              moreScorers: true,
              moreReferee: !ruled,
            });
            if (decision.step === 'serve' || decision.step === 'inconclusive') {
              expect(asked).toBeLessThanOrEqual(n + 1);
              return;
            }
            if (decision.step === 'ask_scorers') asked++;
            else ruled = true;
          }
          throw new Error('it never ended');
        },
      ),
    );
  });
});

describe('the probability of a captured answer', () => {
  test('is that of a liar and witnesses who lie with it, by hand for one and two of them', () => {
    // n = 2: the generator, its witness; or the generator, an honest witness, and both of the fresh members.
    expect(witnessedCaptureProbability(2, 2, 0.2)).toBeCloseTo(0.2 * (0.2 + 0.8 * 0.04), 12);
    // n = 3, agree 3: both witnesses; or one of the two and both fresh members. Two honest ones reject at once.
    expect(witnessedCaptureProbability(3, 3, 0.2)).toBeCloseTo(0.2 * (0.04 + 0.32 * 0.04), 12);
  });

  test('falls with every witness, is 0 among the honest and 1 among liars, and is near that of a quorum', () => {
    const of = [2, 3, 4, 5, 7].map((n) => witnessedCaptureProbability(n, n, 0.2));
    expect([...of].sort((a, b) => b - a)).toEqual(of);
    for (const n of [2, 3, 5]) {
      expect(witnessedCaptureProbability(n, n, 0)).toBe(0);
      expect(witnessedCaptureProbability(n, n, 1)).toBeCloseTo(1, 12);
      expect(witnessedCaptureProbability(n, n, 0.2)).toBeLessThan(2 * captureProbability(n, n, 0.2));
    }
  });
});

describe('the passes of a witnessed stream', () => {
  const policy = { mode: 'witnessed', release: 'verified' } as const;

  test('double, so that what is scored stays below three times the answer and a few first chunks', () => {
    const sizes = chunkSizesOf(policy, { stream: true, maxTokens: 2000 }, [8, 16, 32, 64]);
    expect(sizes).toEqual([8, 16, 32, 64, 128, 256, 512, 1024]);
    expect(scorePassesOf(policy, sizes, 2000)).toEqual([8, 24, 56, 120, 248, 504, 1016, 2000]);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1 << 20 }), (maxTokens) => {
        const chunks = chunkSizesOf(policy, { stream: true, maxTokens }, [8, 16, 32, 64]);
        const passes = scorePassesOf(policy, chunks, maxTokens)!;
        expect(passes.at(-1)).toBe(maxTokens);
        expect(chunks.length).toBeLessThanOrEqual(64);
        expect(passes.reduce((a, b) => a + b, 0)).toBeLessThanOrEqual(3 * maxTokens);
      }),
    );
  });

  test('are one where the whole answer is one chunk, or is streamed before anybody judges it', () => {
    expect(scorePassesOf(policy, chunkSizesOf(policy, { stream: false, maxTokens: 90 }, [8]), 90)).toEqual([90]);
    expect(scorePassesOf({ ...policy, release: 'eager' }, [8, 16], 90)).toEqual([90]);
    expect(scorePassesOf({ mode: 'quorum', release: 'verified' }, [8, 16], 90)).toBeUndefined();
  });
});

describe('the price', () => {
  const price = { inputNanoPerMtok: 50_000_000n, outputNanoPerMtok: 200_000_000n };
  const shape = { price, seats: 3, scorePasses: [100], choices: 1, inputTokens: 40, maxTokens: 100 };

  test('is one generation and n - 1 scores, each rounded up for itself', () => {
    // 40 · 50 + 100 · 200 = 22,000; (40 + 100) · 50 = 7,000.
    expect(quoteNano(shape)).toBe(22_000n + 2n * 7_000n);
    expect(quoteNano({ ...shape, choices: 3 })).toBe(3n * 36_000n);
    // Streamed in passes of 8, 24, 56 and 100: 48 + 64 + 96 + 140 tokens a witness.
    expect(quoteNano({ ...shape, scorePasses: [8, 24, 56, 100] })).toBe(22_000n + 2n * 348n * 50n);
    const tiny = { inputNanoPerMtok: 1n, outputNanoPerMtok: 1n };
    expect(quoteNano({ ...shape, price: tiny })).toBe(3n);
  });

  test('has a cover that reaches every job: two generations, and in each pass 2n + 1 scores', () => {
    expect(committeeBounds(3, 4)).toEqual({ generatingJobs: 2, scoringJobs: 28 });
    const streamed = { ...shape, scorePasses: [8, 24, 56, 100] };
    expect(coverNano(streamed)).toBe(2n * generatingJobMaxNano(streamed) + 28n * scoringJobMaxNano(streamed));
  });
});

describe('the policy', () => {
  test('is read from body, header and suffix, and goes to text and JSON and back', () => {
    for (const policy of [
      policyOfBody({ mode: 'witnessed' }),
      policyOfText('witnessed; n=5; agree=3; evidence=full'),
    ]) {
      expect(policyOfText(policyText(policy))).toEqual(policy);
      expect(policyOfJson(policyJsonSchema.parse(policyJson(policy)))).toEqual(policy);
    }
    expect(policyOfBody({ mode: 'witnessed' })).toMatchObject({ mode: 'witnessed', n: 3, agree: 3 });
    expect(policyJson(policyOfBody({ mode: 'witnessed', evidence: 'short' }))).not.toHaveProperty('evidence');
    expect(policyOfBody({ mode: 'witnessed', n: 1 }).mode).toBe('single');
  });

  test('that lets the generator stand alone is refused, and so is evidence where nobody scores', () => {
    for (const [body, param] of [
      [{ mode: 'witnessed', n: 3, agree: 1 }, 'verification.agree'],
      [{ mode: 'witnessed', n: 3, threshold: 0.1 }, 'verification.threshold'],
      [{ mode: 'quorum', evidence: 'full' }, 'verification.evidence'],
      [{ mode: 'witnessed', evidence: 'all' }, 'verification.evidence'],
    ] as const) {
      expect(() => policyOfBody(body)).toThrowError(expect.objectContaining({ code: 'invalid_policy', param }));
    }
    const json = policyJson(policyOfBody({ mode: 'witnessed' }));
    expect(policyJsonSchema.safeParse({ ...json, agree: 1 }).success).toBe(false);
    expect(policyJsonSchema.safeParse({ ...json, mode: 'quorum', evidence: 'full' }).success).toBe(false);
  });
});
