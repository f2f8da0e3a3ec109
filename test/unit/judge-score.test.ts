import { describe, expect, it } from 'vitest';
import { LOGIT_Q16_MIN, LOGIT_SCALE, MASS_Q32_ONE, margin, type TokenEvidence } from '#protocol/evidence';
import { gumbelNoise } from '#protocol/philox';
import { GREEDY } from '#protocol/sampling';
import { tokenMargin } from '../../gateway/judge/border.ts';
import { tolerancesOf } from '../../gateway/judge/classes.ts';
import { convict, selfContradiction } from '../../gateway/judge/convict.ts';
import { judgeScore } from '../../gateway/judge/score.ts';
import {
  type Arithmetic,
  CALIBRATION,
  classOf,
  machine,
  promptOf,
  SAMPLINGS,
  sampled,
  score,
  type Written,
  write,
} from './judge-fixture.ts';

const PROMPT = promptOf('What do honest machines differ by?');
const FP32 = tolerancesOf(CALIBRATION, classOf('fp32'), classOf('fp32'))!;
const FP16 = tolerancesOf(CALIBRATION, classOf('fp16'), classOf('fp16'))!;
const PAIRS: readonly (readonly [Arithmetic, Arithmetic])[] = [
  ['fp32', 'fp32'],
  ['fp16', 'fp32'],
  ['fp32', 'fp16'],
  ['fp16', 'fp16'],
];
/** Answers per pair and sampling, of some 60 tokens each. */
const ANSWERS = 12;

const order = (seed: number, sampling = GREEDY) => ({
  promptIds: PROMPT,
  sampling,
  seed: BigInt(seed),
  maxTokens: 120,
});

describe('judgeScore', () => {
  describe.each(SAMPLINGS)('of honest answers, %s', (_, sampling) => {
    it.each(PAIRS)('never rejects %s by %s, and convicts nobody', async (own, other) => {
      const tolerances = tolerancesOf(CALIBRATION, classOf(own), classOf(other))!;
      const [generator, scorer] = [machine(own, 'a'), machine(other, 'b')];
      let accepted = 0;
      for (let seed = 0; seed < ANSWERS; seed++) {
        const written = await write(generator, order(seed, sampling));
        const evidence = await score(scorer, written);
        const judgement = judgeScore(written, evidence, tolerances);
        expect(judgement?.vote, `seed ${seed}: ${judgement?.largestMargin}`).not.toBe('reject');
        accepted += judgement?.vote === 'accept' ? 1 : 0;
        const opened = written.evidence.map((item, position) => ({ position, own: item }));
        const compared = opened.map((item) => ({ ...item, scored: evidence[item.position]! }));
        const accused = { ...written, vocabSize: generator.info.vocabSize };
        expect(selfContradiction(accused, opened)).toBeNull();
        expect(convict(accused, compared, [judgement!, judgement!], tolerances)).toBeNull();
      }
      expect(accepted).toBe(ANSWERS);
    });
  });

  it('accepts honest answers also where the border of top-p alone would condemn them', async () => {
    const sampling = sampled({ topP: 0.9 });
    const tolerances = tolerancesOf(CALIBRATION, classOf('fp16'), classOf('fp16'))!;
    const [generator, scorer] = [machine('fp16', 'a'), machine('fp16', 'b')];
    let condemned = 0;
    for (let seed = 0; seed < 100; seed++) {
      const written = await write(generator, order(seed, sampling));
      const evidence = await score(scorer, written);
      expect(judgeScore(written, evidence, tolerances)?.vote).toBe('accept');
      const options = { temperature: 1, seed: written.seed, borderTolerance: tolerances.border };
      condemned += evidence.filter((item, position) => margin(item, { ...options, position }).atClip).length;
    }
    expect(condemned).toBeGreaterThan(0);
  });

  const cheats: readonly (readonly [string, (seed: number) => Promise<Written>])[] = [
    ['another model', (seed) => write(machine('fp32', 'a', 'cheap'), order(seed, sampled({})))],
    ['another seed', (seed) => write(machine('fp32', 'a'), order(seed + 1000, sampled({})))],
    ['a colder sampler', (seed) => write(machine('fp32', 'a'), order(seed, sampled({ temperature: 0.5 })))],
    ['argmax', (seed) => write(machine('fp32', 'a'), order(seed))],
    ['the wrong top-p', (seed) => write(machine('fp32', 'a'), order(seed, sampled({ topP: 0.5 })))],
    [
      'a prompt cut short',
      (seed) => write(machine('fp32', 'a'), { ...order(seed, sampled({})), promptIds: PROMPT.slice(9) }),
    ],
  ];
  it.each(cheats)('rejects %s', async (_, cheat) => {
    for (let seed = 1; seed < 10; seed++) {
      const asked = order(seed, sampled({}));
      const { tokens } = await cheat(seed);
      const claimed = { ...asked, tokens };
      expect(judgeScore(claimed, await score(machine('fp32', 'b'), claimed), FP32)?.vote).toBe('reject');
    }
  });

  it('rejects argmax where noise under top-p was asked for', async () => {
    for (let seed = 1; seed < 10; seed++) {
      const { tokens } = await write(machine('fp32', 'a'), order(seed));
      const claimed = { ...order(seed, sampled({ topP: 0.9 })), tokens };
      expect(judgeScore(claimed, await score(machine('fp32', 'b'), claimed), FP32)?.vote).toBe('reject');
    }
  });

  it('rejects a wider support than was asked for', async () => {
    const asked = order(3, sampled({ topP: 0.5 }));
    const { tokens } = await write(machine('fp32', 'a'), order(3, sampled({})));
    const claimed = { ...asked, tokens };
    expect(judgeScore(claimed, await score(machine('fp32', 'b'), claimed), FP32)?.vote).toBe('reject');
  });

  it('rejects an answer that ends where the model did not: the end is a token like any other', async () => {
    const written = await write(machine('fp32', 'a'), order(2, sampled({})));
    const claimed = { ...written, tokens: [...written.tokens.slice(0, 3), 0] };
    expect(judgeScore(claimed, await score(machine('fp32', 'b'), claimed), FP32)).toMatchObject({
      vote: 'reject',
      clippedAt: [3],
    });
  });

  it('concludes nothing from an uncalibrated pair, be the answer right or wrong', async () => {
    for (const salt of ['real', 'cheap']) {
      const written = await write(machine('fp32', 'a', salt), order(1));
      expect(judgeScore(written, await score(machine('fp32', 'b'), written), null)?.vote).toBe('abstain');
    }
  });

  it('takes a first part of a transcript for what it is', async () => {
    const written = await write(machine('fp32', 'a'), order(5, sampled({ topP: 0.9 })));
    const part = { ...written, tokens: written.tokens.slice(0, 7) };
    expect(judgeScore(part, await score(machine('fp32', 'b'), part), FP32)).toMatchObject({
      vote: 'accept',
      tokens: 7,
    });
  });

  it('has no limit of length but memory', () => {
    const tokens = Array.from({ length: 300_000 }, () => 0);
    const item: TokenEvidence = {
      chosen: 0,
      chosenLogit: 0,
      keptCount: 1,
      lastKeptLogit: LOGIT_Q16_MIN,
      massQ32: MASS_Q32_ONE,
      top: [[0, 0]],
    };
    expect(
      judgeScore(
        { tokens, sampling: GREEDY, seed: 0n },
        tokens.map(() => item),
        FP32,
      )?.vote,
    ).toBe('accept');
  });
});

describe('judgeScore of a scorer that does not do its work', () => {
  const lies: readonly (readonly [string, (evidence: TokenEvidence[], at: TokenEvidence) => TokenEvidence[]])[] = [
    ['one item short', (all) => all.slice(1)],
    ['padded', (all, item) => [...all, item]],
    ['empty', () => []],
    ['about other tokens', (all, item) => all.map(() => item)],
    [
      'a list of the claimed token alone',
      (all) => all.map((item) => ({ ...item, top: [[item.chosen, item.chosenLogit]] })),
    ],
    ['a list out of order', (all) => all.map((item) => ({ ...item, top: [...item.top].reverse() }))],
    ['a token listed twice', (all) => all.map((item) => ({ ...item, top: [item.top[0]!, ...item.top.slice(0, 7)] }))],
    [
      'the claimed token with two logits',
      (all) => all.map((item) => ({ ...item, chosenLogit: item.chosenLogit + LOGIT_SCALE })),
    ],
    ['a mass that was never asked for', (all) => all.map((item) => ({ ...item, massQ32: 7 }))],
  ];
  it.each(lies)('counts %s as no score at all', async (_, lie) => {
    const written = await write(machine('fp32', 'a'), order(4, sampled({})));
    const evidence = await score(machine('fp32', 'b'), written);
    expect(judgeScore(written, lie(evidence, evidence[0]!), FP32)).toBeNull();
  });

  it('counts honest evidence about another answer as no score at all', async () => {
    const written = await write(machine('fp32', 'a'), order(4, sampled({})));
    const others = { ...written, tokens: written.tokens.map((id) => (id === 90 ? 91 : 90)) };
    expect(judgeScore(written, await score(machine('fp32', 'b'), others), FP32)).toBeNull();
  });

  it('does not believe that an unlisted token had a logit that would have listed it', async () => {
    const written = await write(machine('fp32', 'a'), order(4, sampled({})));
    const claimed = { ...written, tokens: written.tokens.map(() => 90) };
    const evidence = await score(machine('fp32', 'b'), claimed);
    const lifted = evidence.map((item) =>
      item.top.some(([id]) => id === 90) ? item : { ...item, chosenLogit: 40 * LOGIT_SCALE },
    );
    expect(judgeScore(claimed, evidence, FP32)).not.toBeNull();
    expect(judgeScore(claimed, lifted, FP32)).toBeNull();
  });
});

describe('tokenMargin', () => {
  const Q = LOGIT_SCALE;
  const place = (topP: number, topK = 0) => ({ sampling: sampled({ topP, topK }), seed: 1n, position: 0 });
  /** Two tokens: 0 with share `first`, 1 three logits below, the rest far below. */
  const kept = (count: 1 | 2, mass: number, chosen: 0 | 1): TokenEvidence => ({
    chosen,
    chosenLogit: chosen === 0 ? 10 * Q : 7 * Q,
    keptCount: count,
    lastKeptLogit: count === 1 ? 10 * Q : 7 * Q,
    massQ32: Math.floor(mass * MASS_Q32_ONE),
    top:
      count === 1
        ? [[0, 10 * Q]]
        : [
            [0, 10 * Q],
            [1, 7 * Q],
          ],
  });

  it('clips a token below the border where the sum is clear of top-p', () => {
    expect(tokenMargin(kept(1, 0.95, 1), place(0.9), FP32).atClip).toBe(true);
  });

  it('lets the same token compete where the member may have fallen short of top-p', () => {
    const { margin: distance, atClip } = tokenMargin(kept(1, 0.9003, 1), place(0.9), FP32);
    expect(atClip).toBe(distance >= 0.5);
    // The noise of seed 1 decides: whichever of the two wins without restriction has margin 0.
    const other = tokenMargin(kept(1, 0.9003, 0), place(0.9), FP32);
    expect(Math.min(distance, other.margin)).toBe(0);
  });

  /** Three kept tokens, of which token 1 wins by noise although token 0 was claimed. */
  function noisyWin(logits: readonly number[], mass: number, temperature: number, topP: number) {
    const sampling = sampled({ topP, temperature });
    for (let seed = 0n; ; seed++) {
      const scores = logits.map((logit, id) => logit + temperature * gumbelNoise(seed, 0, id));
      if (scores[1]! < scores[0]! + 0.5 || scores[1]! < scores[2]!) continue;
      const top = logits.map((logit, id) => [id, Math.round(logit * Q)] as const);
      top.sort((a, b) => scores[b[0]]! - scores[a[0]]!);
      const item: TokenEvidence = {
        chosen: 0,
        chosenLogit: Math.round(logits[0]! * Q),
        keptCount: 3,
        lastKeptLogit: Math.round(logits[2]! * Q),
        massQ32: Math.floor(mass * MASS_Q32_ONE),
        top,
      };
      return { item, place: { sampling, seed, position: 0 } };
    }
  }

  it('does not hold against a token what the member may have cut off, though it lies far above the border', () => {
    // Shares 0.897, 0.002 and 0.0015 under top-p 0.9: another machine may reach 0.9 with the first token alone.
    const { item, place } = noisyWin([10, 10 - 6.106, 10 - 6.394], 0.9005, 1, 0.9);
    expect(tokenMargin(item, place, FP16)).toEqual({ margin: 0, atClip: false });
    expect(tokenMargin(item, place, FP32).atClip).toBe(true);
  });

  it('holds against a token what no machine would have cut off', () => {
    // Shares 0.5, 0.3 and 0.15.
    const { item, place } = noisyWin([10, 10 + Math.log(0.6), 10 + Math.log(0.3)], 0.95, 1, 0.9);
    for (const tolerances of [FP32, FP16]) expect(tokenMargin(item, place, tolerances).atClip).toBe(true);
  });

  it('never drops a token in favour of a less likely one, however much the temperature lets masses move', () => {
    const cold = { sampling: sampled({ topP: 0.5, temperature: 0.05 }), seed: 1n, position: 0 };
    expect(tokenMargin(kept(2, 0.55, 1), cold, FP16).atClip).toBe(true);
    const far: TokenEvidence = { ...kept(2, 0.95, 1), chosen: 2, chosenLogit: 0 };
    expect(tokenMargin(far, place(0.9), FP32)).toEqual({ margin: 0.5, atClip: true });
  });
});
