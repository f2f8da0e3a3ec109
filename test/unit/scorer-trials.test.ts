/** Trials of scorers: what they are made of, who answers them rightly, and how often that convicts (spec-judge.md §7.13). */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AuditDraw, auditCommitment, auditSecret } from '#protocol/audit';
import { LOCAL_DOMAIN } from '#protocol/eip712';
import { shortEvidence, type TokenEvidence } from '#protocol/evidence';
import {
  HONEST_ERROR,
  recordTrial,
  SCORER_AT_START,
  type ScorerRecord,
  scorerStanding,
  scorerWealth,
} from '#protocol/scorer-record';
import { tolerancesOf } from '../../gateway/judge/classes.ts';
import { judgeTrial, type TrialPart, trialOf } from '../../gateway/judge/trial.ts';
import { scoreTicket } from '../../gateway/round/plan.ts';
import type { Engine } from '../../provider/engine/engine.ts';
import { CALIBRATION, classOf, machine, promptOf, SAMPLINGS, sampled, score, write } from './judge-fixture.ts';

const HASH = `0x${'11'.repeat(32)}` as const;
const HONEST = machine('fp32', 'a');
const REFEREE = machine('fp32', 'b');
const FP32 = tolerancesOf(CALIBRATION, classOf('fp32'), classOf('fp32'));
const PAIRS = { member: FP32, referee: FP32 };

const tried = fc.record({
  text: fc.string({ minLength: 1, maxLength: 12 }),
  seed: fc.bigInt(0n, (1n << 64n) - 1n),
  sampling: fc.constantFrom(...SAMPLINGS.map(([, sampling]) => sampling)),
  audit: fc.integer({ min: 0, max: 1e6 }),
});
type Tried = typeof tried extends fc.Arbitrary<infer T> ? T : never;

async function trialFor({ text, seed, sampling, audit }: Tried, mode = 'quorum') {
  const promptIds = promptOf(text);
  const written = await write(HONEST, { promptIds, sampling, seed, maxTokens: 24 });
  const short = written.evidence.map((item, position) =>
    shortEvidence(item, { temperature: sampling.temperature, seed, position }),
  );
  const draw = new AuditDraw(auditSecret(new Uint8Array(32).fill(3), 1), {
    drawIndex: audit,
    choice: 0,
    bodyHash: HASH,
  });
  const held = {
    tokens: written.tokens,
    shortEvidence: [short, short],
    sampling,
    eosIds: [0],
    chunkEnds: [4, 12, 28],
    mode,
  };
  const parts = trialOf(held, (word, below) => draw.number(word, below));
  const reference = await Promise.all(parts.map(({ tokens }) => score(REFEREE, { ...written, tokens: [...tokens] })));
  return { written, parts, reference };
}

type Made = Awaited<ReturnType<typeof trialFor>>;
/** The outcome for a scorer that answers with this evidence. */
async function outcomeFor({ written, parts, reference }: Made, answer: (part: TrialPart) => Promise<TokenEvidence[]>) {
  const scored = await Promise.all(parts.map(answer));
  const judged = parts.map((part, at) => ({ ...part, reference: reference[at]!, scored: scored[at]! }));
  return judgeTrial(judged, written, PAIRS);
}
const by =
  (engine: Engine, { written }: Made) =>
  (part: TrialPart) =>
    score(engine, { ...written, tokens: [...part.tokens] });

describe('a trial', () => {
  test('is answered rightly by every honest machine, whatever the sampling', async () => {
    await fc.assert(
      fc.asyncProperty(tried, fc.string({ maxLength: 4 }), async (choice, name) => {
        const made = await trialFor(choice);
        expect(await outcomeFor(made, by(machine('fp32', name), made))).not.toBe('wrong');
        expect(await outcomeFor(made, by(HONEST, made))).not.toBe('wrong');
      }),
      { numRuns: 60 },
    );
  });

  test('holds one or two orders of what was said, cut where real orders end, with one wrong token where it is edited', async () => {
    const shapes = new Map<string, number>();
    for (let audit = 0; audit < 80; audit++) {
      const { written, parts } = await trialFor({ text: 'hello', seed: 7n, sampling: sampled({}), audit });
      const [first] = parts;
      for (const { tokens, answer } of parts) {
        expect([4, 12, written.tokens.length]).toContain(tokens.length);
        expect(tokens).toHaveLength(first!.tokens.length);
        const changed = tokens.filter((token, at) => token !== written.tokens[at]).length;
        expect(changed).toBe(answer === 'reject' ? 1 : 0);
      }
      const shape = parts.map(({ answer }) => answer).join();
      shapes.set(shape, (shapes.get(shape) ?? 0) + 1);
    }
    expect([...shapes.keys()].sort()).toEqual(['accept', 'accept,reject', 'reject', 'reject,accept']);
    for (const count of shapes.values()) expect(count).toBeGreaterThan(5);
  });

  test('over a witnessed answer asks after every chunk as a panel does, with the wrong token in the last pass, whichever it is', async () => {
    const planted = new Map<number, number>();
    let genuine = 0;
    for (let audit = 0; audit < 120; audit++) {
      const choice = { text: 'hello', seed: 7n, sampling: sampled({}), audit };
      const { written, parts } = await trialFor(choice, 'witnessed');
      const ends = [4, 12, written.tokens.length];
      expect(parts.map(({ tokens }) => tokens.length)).toEqual(ends.slice(0, parts.length));
      for (const [at, { tokens, answer }] of parts.entries()) {
        const apart = tokens.flatMap((token, place) => (token === written.tokens[place] ? [] : [place]));
        expect(apart).toHaveLength(answer === 'reject' ? 1 : 0);
        // What was said before is what was said: a witness has seen it already.
        if (answer === 'reject') expect([at, apart[0]! >= (ends[at - 1] ?? 0)]).toEqual([parts.length - 1, true]);
      }
      if (parts.at(-1)!.answer === 'reject') planted.set(parts.length, (planted.get(parts.length) ?? 0) + 1);
      else genuine++;
      if (parts.at(-1)!.answer === 'accept') expect(parts).toHaveLength(3);
    }
    // A half each, with a deviation of 5.5, and of the passes a third of the planted ones, with one of 3.7.
    expect(Math.abs(genuine - 60)).toBeLessThan(5 * 5.5);
    expect([...planted.keys()].sort()).toEqual([1, 2, 3]);
    for (const count of planted.values()) expect(count).toBeGreaterThan(2);
  });

  test('edits nothing where the sampler may have dropped a better token', async () => {
    for (const sampling of [sampled({ topP: 0.9 }), sampled({ topK: 5 })]) {
      for (let audit = 0; audit < 8; audit++) {
        const { parts } = await trialFor({ text: 'hello', seed: 7n, sampling, audit });
        expect(parts.map(({ answer }) => answer)).toEqual(['accept']);
      }
    }
  });

  const lazy = (part: TrialPart, { written }: Made): TokenEvidence[] =>
    // Says of every token that it was by far the best, and has computed nothing.
    part.tokens.map((chosen, position) => ({
      ...written.evidence[Math.min(position, written.evidence.length - 1)]!,
      chosen,
      chosenLogit: 40 << 16,
      top: [
        [chosen, 40 << 16] as const,
        ...[90, 91, 92, 93, 94, 95, 96, 97]
          .filter((id) => id !== chosen)
          .slice(0, 7)
          .map((id, at) => [id, -at << 16] as const),
      ],
    }));
  /** Has an accomplice's evidence of the transcript that was served, and puts the claimed token in. */
  const copying = (part: TrialPart, { written }: Made): TokenEvidence[] =>
    part.tokens.map((chosen, position) => {
      const own = written.evidence[position]!;
      const listed = own.top.find(([id]) => id === chosen);
      return { ...own, chosen, chosenLogit: listed?.[1] ?? own.top.at(-1)![1] };
    });

  test.each<[string, number, (part: TrialPart, made: Made) => Promise<TokenEvidence[]> | TokenEvidence[]]>([
    ['scores with another model', 0.95, (part, made) => by(machine('fp32', 'x', 'other'), made)(part)],
    ['accepts everything without computing', 0.95, lazy],
    // What it copies is right up to the edit: it is seen where three tokens follow one.
    ['copies the evidence of who wrote it', 0.3, copying],
  ])('is failed by a scorer that %s, in at least %f of all', async (_, share, answer) => {
    let wrong = 0;
    const trials = 60;
    for (let audit = 0; audit < trials; audit++) {
      const made = await trialFor({ text: `t${audit}`, seed: BigInt(audit), sampling: sampled({}), audit });
      if ((await outcomeFor(made, async (part) => answer(part, made))) === 'wrong') wrong++;
    }
    expect(wrong / trials).toBeGreaterThanOrEqual(share);
  });

  test('teaches nothing about a class that nobody has calibrated', async () => {
    const made = await trialFor({ text: 'hello', seed: 7n, sampling: sampled({}), audit: 1 });
    const judged = made.parts.map((part, at) => ({
      ...part,
      reference: made.reference[at]!,
      scored: made.reference[at]!,
    }));
    expect(judgeTrial(judged, made.written, { ...PAIRS, member: null })).toBe('unsure');
    expect(judgeTrial(judged, made.written, { ...PAIRS, referee: null })).toBe('unsure');
    expect(judgeTrial([], made.written, PAIRS)).toBe('unsure');
  });
});

describe('the record of a scorer', () => {
  const recordOf = (outcomes: readonly boolean[], from: ScorerRecord = SCORER_AT_START) =>
    outcomes.reduce(recordTrial, from);

  test('says nothing after one wrong answer, quarantine after two, a lie after three', () => {
    expect(scorerStanding(recordOf([true]))).toBe('trusted');
    expect(scorerStanding(recordOf([true, true]))).toBe('quarantine');
    expect(scorerStanding(recordOf([true, true, true]))).toBe('lying');
  });

  test('finds a scorer that begins to lie after a thousand honest trials, and one that lies every fifth time', () => {
    const late = recordOf(Array<boolean>(1000).fill(false));
    expect(scorerWealth(late)).toBeLessThan(1);
    const needed = Array.from({ length: 10 }, (_, k) => k + 1).find(
      (lies) => scorerStanding(recordOf(Array<boolean>(lies).fill(true), late)) === 'lying',
    );
    expect(needed).toBeLessThanOrEqual(6);
    const seldom = Array.from({ length: 60 }, (_, at) => at % 5 === 4);
    expect(scorerStanding(recordOf(seldom))).toBe('lying');
  });

  test('is at most 1 on average for an honest scorer, whatever was before: each step, summed by hand', () => {
    fc.assert(
      fc.property(
        fc.array(fc.boolean(), { maxLength: 40 }),
        fc.double({ min: 0, max: HONEST_ERROR, noNaN: true }),
        (past, error) => {
          const before = recordOf(past);
          const mean =
            error * scorerWealth(recordTrial(before, true)) + (1 - error) * scorerWealth(recordTrial(before, false));
          expect(mean).toBeLessThanOrEqual(scorerWealth(before) * (1 + 1e-12));
        },
      ),
    );
  });

  test('convicts honest scorers of one wrong answer in a thousand no more often than it says: 20,000 of 200 trials each', () => {
    let [state, quarantined, lying] = [12345, 0, 0];
    const random = () => {
      // Park and Miller's minimal standard generator.
      state = (state * 48271) % 2147483647;
      return state / 2147483647;
    };
    for (let scorer = 0; scorer < 20_000; scorer++) {
      let record = SCORER_AT_START;
      let worst: ReturnType<typeof scorerStanding> = 'trusted';
      for (let trial = 0; trial < 200; trial++) {
        record = recordTrial(record, random() < HONEST_ERROR);
        const standing = scorerStanding(record);
        if (standing !== 'trusted') worst = standing === 'lying' ? 'lying' : worst === 'lying' ? worst : standing;
      }
      if (worst !== 'trusted') quarantined++;
      if (worst === 'lying') lying++;
    }
    expect(quarantined / 20_000).toBeLessThanOrEqual(1e-3);
    expect(lying).toBe(0);
  });
});

describe('an audit draw', () => {
  const secret = auditSecret(new Uint8Array(32).fill(9), 4);
  const draw = (drawIndex: number, choice = 0, body = '11') =>
    new AuditDraw(secret, { drawIndex, choice, bodyHash: `0x${body.repeat(32)}` as const });

  test('is due as often as the rate says, and depends on index, choice and body', () => {
    const due = Array.from({ length: 4000 }, (_, index) => draw(index).isDue(50_000)).filter(Boolean).length;
    // 200 are expected, with a deviation of 13.8.
    expect(Math.abs(due - 200)).toBeLessThan(5 * 13.8);
    const numbers = [draw(1), draw(2), draw(1, 1), draw(1, 0, '12')].map((each) => each.number('x', 2 ** 32));
    expect(new Set(numbers).size).toBe(4);
    expect(draw(0).isDue(1_000_000)).toBe(true);
    expect(draw(0).isDue(0)).toBe(false);
  });

  test('is bound by the commitment, and says nothing about the secret of the epoch', () => {
    expect(auditCommitment(secret)).not.toBe(auditCommitment(auditSecret(new Uint8Array(32).fill(9), 5)));
    expect(auditCommitment(secret)).toMatch(/^0x[0-9a-f]{64}$/);
  });
});

test('a score order is issued when it is sent and lasts as long as every other, whenever its request began', () => {
  const plan = {
    ...{ requestId: 'r', attempt: 1, model: 'toy', promptIds: [1, 2], sampling: sampled({}), seed: 1n, maxTokens: 9 },
    ...{
      modelDigest: HASH,
      nonce: HASH,
      checkpoint: HASH,
      calibration: null,
      chunkSizes: [9],
      inputNanoPerMtok: 1n,
      outputNanoPerMtok: 1n,
    },
    ...{ issuedAtMs: 1000, jobsEndAtMs: 5000, expiresAtMs: 7000, retainUntilMs: 90_000 },
  };
  const job = { jobId: HASH, roundId: HASH, provider: `0x${'22'.repeat(20)}` } as const;
  for (const nowMs of [1000, 4321, 80_000]) {
    const { ticket } = scoreTicket(plan, LOCAL_DOMAIN, job, [3, 4], nowMs);
    expect([ticket.issuedAtMs, ticket.expiresAtMs, ticket.retainUntilMs]).toEqual([
      nowMs,
      nowMs + 6000,
      nowMs + 89_000,
    ]);
  }
});
