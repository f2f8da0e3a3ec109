import { describe, expect, it } from 'vitest';
import { LOGIT_Q16_MIN, LOGIT_SCALE, MASS_Q32_ONE, type TokenEvidence } from '#protocol/evidence';
import { gumbelNoise } from '#protocol/philox';
import type { Sampling } from '#protocol/sampling';
import { tolerancesOf } from '../../gateway/judge/classes.ts';
import { convict, selfContradiction } from '../../gateway/judge/convict.ts';
import { evidenceDistance, sharedDistance } from '../../gateway/judge/evidence-distance.ts';
import { judgeScore } from '../../gateway/judge/score.ts';
import { CALIBRATION, classOf, machine, promptOf, sampled, score, type Written, write } from './judge-fixture.ts';

const FP32 = tolerancesOf(CALIBRATION, classOf('fp32'), classOf('fp32'))!;
const VOCABULARY = 128;
const PROMPT = promptOf('Who did it?');
const order = (sampling: Sampling, maxTokens = 60) => ({ promptIds: PROMPT, sampling, seed: 77n, maxTokens });

/** Evidence of the accused beside two honest judges' for the same tokens. */
async function trial(accused: Written) {
  const judges = await Promise.all(['b', 'c'].map((name) => score(machine('fp32', name), accused)));
  const opened = accused.evidence.map((own, position) => ({ position, own }));
  const compared = opened.map((item) => ({ ...item, scored: judges[0]![item.position]! }));
  const judgements = judges.map((evidence) => judgeScore(accused, evidence, FP32)!);
  const self = selfContradiction({ ...accused, vocabSize: VOCABULARY }, opened);
  return { self, opened, compared, judgements, found: convict(accused, compared, judgements, FP32) };
}

/** Evidence in which the token wins by one unit, whatever the real logits say. */
function raised(evidence: TokenEvidence, chosen: number, { sampling, seed }: Written, position: number): TokenEvidence {
  const noise = (id: number) => sampling.temperature * gumbelNoise(seed, position, id);
  const others = evidence.top.filter(([id]) => id !== chosen).slice(0, 7);
  const best = Math.max(...others.map(([id, logit]) => logit / LOGIT_SCALE + noise(id)));
  const chosenLogit = Math.ceil((best - noise(chosen)) * LOGIT_SCALE) + 2;
  return { ...evidence, chosen, chosenLogit, top: [[chosen, chosenLogit], ...others] };
}

describe('selfContradiction', () => {
  it('finds prefilled evidence of the real model under cheap tokens, without any judge', async () => {
    const cheap = await write(machine('fp32', 'a', 'cheap'), order(sampled({})));
    const prefilled = { ...cheap, evidence: await score(machine('fp32', 'a'), cheap) };
    expect((await trial(prefilled)).self).toMatchObject({ fault: 'bad_evidence', reason: 'self_contradiction' });
  });

  it('finds honest evidence of an answer that was not given', async () => {
    const written = await write(machine('fp32', 'a'), order(sampled({})));
    const tokens = written.tokens.with(5, written.tokens[5] === 90 ? 91 : 90);
    expect((await trial({ ...written, tokens })).self).toMatchObject({ count: 1 });
  });

  it('finds evidence about other tokens, under another seed, and of another temperature', async () => {
    const written = await write(machine('fp32', 'a'), order(sampled({})));
    const others = written.evidence.map((item, i) => written.evidence[i + 1] ?? item);
    expect((await trial({ ...written, evidence: others })).self).not.toBeNull();
    const otherSeed = await write(machine('fp32', 'a'), { ...order(sampled({})), seed: 78n });
    expect((await trial({ ...otherSeed, seed: 77n })).self).not.toBeNull();
    const greedy = await write(machine('fp32', 'a'), order(sampled({ temperature: 0 })));
    expect((await trial({ ...greedy, sampling: sampled({}) })).self).not.toBeNull();
  });
});

describe('convict', () => {
  it('convicts another model by its own consistent evidence', async () => {
    const { self, found } = await trial(await write(machine('fp32', 'a', 'cheap'), order(sampled({}))));
    expect(self).toBeNull();
    expect(found).toMatchObject({ fault: 'wrong_output', reason: 'evidence_far_off' });
  });

  it.each([1, 2, 3])('convicts another model by %i tokens: short answers are no hiding place', async (maxTokens) => {
    const cheap = await write(machine('fp32', 'a', 'cheap'), order(sampled({}), maxTokens));
    expect(cheap.tokens).toHaveLength(maxTokens);
    expect((await trial(cheap)).found).toMatchObject({ reason: 'evidence_far_off', count: maxTokens });
  });

  it('convicts real logits with the cheap token raised above them', async () => {
    const cheap = await write(machine('fp32', 'a', 'cheap'), order(sampled({})));
    const real = await score(machine('fp32', 'a'), cheap);
    const evidence = real.map((item, position) => raised(item, cheap.tokens[position]!, cheap, position));
    const { self, found } = await trial({ ...cheap, evidence });
    expect(self).toBeNull();
    expect(found).toMatchObject({ reason: 'evidence_far_off' });
  });

  it('does not let a constant hide anything, nor convict by one', async () => {
    const shift = (written: Written): Written => ({
      ...written,
      evidence: written.evidence.map((item) => ({
        ...item,
        chosenLogit: item.chosenLogit + 3 * LOGIT_SCALE,
        top: item.top.map(([id, logit]) => [id, logit + 3 * LOGIT_SCALE] as const),
      })),
    });
    expect((await trial(shift(await write(machine('fp32', 'a'), order(sampled({})))))).found).toBeNull();
    expect((await trial(shift(await write(machine('fp32', 'a', 'cheap'), order(sampled({})))))).found).not.toBeNull();
  });

  it.each([
    ['top-p', 0],
    ['top-p within top-k', 40],
  ])('convicts evidence under %s that lists nothing but the token', async (_, topK) => {
    const sampling = sampled({ topP: 0.9, topK });
    const cheap = await write(machine('fp32', 'a', 'cheap'), order(sampling));
    const alone = (chosen: number): TokenEvidence => ({
      chosen,
      chosenLogit: 0,
      keptCount: 1,
      lastKeptLogit: 0,
      massQ32: Math.floor(0.95 * MASS_Q32_ONE),
      top: [[chosen, 0]],
    });
    const { self, found } = await trial({ ...cheap, evidence: cheap.tokens.map(alone) });
    expect(self).toBeNull();
    expect(found).toMatchObject({ reason: 'evidence_far_off' });
  });

  it('never convicts on one token or two, however far off they are', async () => {
    const written = await write(machine('fp32', 'a'), order(sampled({})));
    for (const lies of [1, 2, 3]) {
      const evidence = written.evidence.map((item, i) =>
        i < lies ? { ...item, chosenLogit: item.chosenLogit + 5 * LOGIT_SCALE } : item,
      );
      const { compared } = await trial(written);
      const charged = compared.map((item) => ({ ...item, own: evidence[item.position]! }));
      const found = convict(written, charged, [], FP32);
      if (lies < 3) expect(found).toBeNull();
      else expect(found).toMatchObject({ reason: 'evidence_far_off', count: 3 });
    }
  });

  it('needs three tokens at the clip in the eyes of two judges', async () => {
    const cheap = await write(machine('fp32', 'a', 'cheap'), order(sampled({})));
    const { judgements } = await trial(cheap);
    expect(convict(cheap, [], judgements, FP32)).toMatchObject({ reason: 'tokens_at_clip' });
    expect(convict(cheap, [], judgements.slice(1), FP32)).toBeNull();
    const rare = judgements.map((judgement) => ({ ...judgement, atClip: 2 }));
    expect(convict(cheap, [], rare, FP32)).toBeNull();
  });

  it('convicts nobody of an uncalibrated class', async () => {
    const cheap = await write(machine('fp32', 'a', 'cheap'), order(sampled({})));
    const { compared, judgements } = await trial(cheap);
    expect(convict(cheap, compared, judgements, null)).toBeNull();
  });
});

describe('evidenceDistance', () => {
  /** A list of eight from `from` on, each a logit behind the one before. */
  const list = (from: number, change: Partial<TokenEvidence> = {}): TokenEvidence => ({
    chosen: from,
    chosenLogit: 0,
    keptCount: VOCABULARY,
    lastKeptLogit: LOGIT_Q16_MIN,
    massQ32: MASS_Q32_ONE,
    top: Array.from({ length: 8 }, (_, i) => [from + i, -i * LOGIT_SCALE] as const),
    ...change,
  });
  const GREEDY_ORDER = { sampling: sampled({ temperature: 0 }), seed: 5n };
  const between = (own: TokenEvidence, scored: TokenEvidence, sampling = GREEDY_ORDER.sampling) =>
    evidenceDistance({ position: 0, own, scored }, { ...GREEDY_ORDER, sampling });

  it('is what ranks prove where two lists share nothing', () => {
    // The accused has what it does not list at -7 or below, the judge the best of that 7 or 20 above the claimed token.
    expect(between(list(0), list(50, { chosen: 0, chosenLogit: -7 * LOGIT_SCALE }))).toBe(14);
    expect(between(list(0), list(50, { chosen: 0, chosenLogit: -20 * LOGIT_SCALE }))).toBe(27);
    expect(between(list(0), list(0))).toBe(0);
  });

  it('is the margin of the claimed token at least: a list that shares nothing hides no cheap token', async () => {
    const cheap = await write(machine('fp32', 'a', 'cheap'), order(sampled({})));
    const judge = await score(machine('fp32', 'b'), cheap);
    const { sampling, seed, tokens } = cheap;
    let hidden = 0;
    for (const [position, scored] of judge.entries()) {
      const own = elsewhere(scored, { sampling, seed, position });
      const pair = { position, own, scored };
      expect(selfContradiction({ tokens, sampling, seed, vocabSize: VOCABULARY }, [pair])).toBeNull();
      expect(sharedDistance(pair)).toBeNull();
      const [id, logit] = scored.top[0]!;
      const scoreOf = (token: number, value: number) => value / LOGIT_SCALE + gumbelNoise(seed, position, token);
      const behind = scoreOf(id, logit) - scoreOf(scored.chosen, scored.chosenLogit);
      expect(evidenceDistance(pair, cheap)).toBeGreaterThanOrEqual(behind - 1e-4);
      if (behind > FP32.gross) hidden++;
    }
    expect(hidden).toBeGreaterThan(3);
    const compared = judge.map((scored, position) => ({
      position,
      own: elsewhere(scored, { sampling, seed, position }),
      scored,
    }));
    expect(convict(cheap, compared, [], FP32)).toMatchObject({ reason: 'evidence_far_off' });
  });

  it('compares what was kept last: a border at the claimed token does not excuse that better ones are not listed', () => {
    const sampling = sampled({ topK: 40 });
    const ranked = Array.from({ length: VOCABULARY - 1 }, (_, i) => i + 1).sort(
      (a, b) => gumbelNoise(5n, 0, b) - gumbelNoise(5n, 0, a),
    );
    const at = (ids: readonly number[], logit: number) => ids.map((id) => [id, logit * LOGIT_SCALE] as const);
    // The worst noise in a list that claims that forty tokens are hardly behind; the judge has the best noise there, and lower logits.
    const own = list(0, {
      keptCount: 40,
      lastKeptLogit: -LOGIT_SCALE / 2,
      top: [[0, 0], ...at(ranked.slice(-7), -1 / 4)],
    });
    const scored = { ...own, lastKeptLogit: -9 * LOGIT_SCALE, top: at(ranked.slice(0, 8), -3) };
    expect(sharedDistance({ own, scored })).toBeNull();
    expect(between(own, scored, sampling)).toBe(8.5);
    // Who has kept more of them may have a lower last one.
    expect(between(own, { ...scored, keptCount: 41 }, sampling)).toBe(0);
    expect(between(own, { ...scored, keptCount: 39 }, sampling)).toBe(8.5);
  });
});

/** Evidence for the same token that names seven others, which the judge does not list, as close behind as it can without a contradiction. */
function elsewhere(
  scored: TokenEvidence,
  { sampling, seed, position }: { sampling: Sampling; seed: bigint; position: number },
) {
  const noise = (id: number) => sampling.temperature * gumbelNoise(seed, position, id);
  const named = new Set(scored.top.map(([id]) => id)).add(scored.chosen);
  const others = Array.from({ length: VOCABULARY }, (_, id) => id).filter((id) => !named.has(id));
  const best = scored.chosenLogit / LOGIT_SCALE + noise(scored.chosen);
  const top = others.slice(0, 7).map((id, at): [number, number] => {
    return [id, Math.floor((best - noise(id)) * LOGIT_SCALE) - 8 * (at + 1)];
  });
  return { ...scored, top: [[scored.chosen, scored.chosenLogit] as const, ...top] };
}
