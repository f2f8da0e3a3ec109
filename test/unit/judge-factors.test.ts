/** A response's factors: fair to the honest whatever their errors have in common, and void for scores that do not fit. */
import { describe, expect, test } from 'vitest';
import { LOGIT_Q16_MIN, LOGIT_SCALE, MASS_Q32_ONE } from '#protocol/evidence';
import { BARE_ACCOUNT_RULES, openAccount } from '#protocol/evidence-account';
import { GREEDY } from '#protocol/sampling';
import { BETS } from '#protocol/wealth';
import {
  BARE_FACTOR_RULES,
  FACTOR_RULES,
  type FactorRules,
  responseFactors,
  type ScoredResponse,
} from '../../gateway/judge/factors.ts';
import { factorsOfScores, judgeResponse, needsConfirmation } from '../../gateway/judge/judge-response.ts';
import { SeededRng } from '../simulation/seeded-rng.ts';
import { boundsOf, COARSE, FP16_LIKE, FP32_LIKE, honestResponse, type NoiseLaw } from './honest-noise.ts';
import { machine, promptOf, sampled, score, write } from './judge-fixture.ts';

const SIGMAS = 4;
const NOTHING_CUT = { keptCount: 2, lastKeptLogit: LOGIT_Q16_MIN, massQ32: MASS_Q32_ONE };

function meansOf(law: NoiseLaw, rules: FactorRules, shared: boolean, responses: number, tokens: number) {
  const rng = new SeededRng(`factors ${law.scale} ${rules.blocks} ${shared}`);
  const bounds = boundsOf(law);
  const sums = BETS.map(() => ({ sum: 0, squares: 0 }));
  for (let i = 0; i < responses; i++) {
    const response = honestResponse(rng, law, { sampling: sampled({}), tokens, shared, spread: 1 });
    const factors = responseFactors({ ...response, bounds }, rules)!;
    for (const [at, factor] of factors.entries()) {
      sums[at]!.sum += factor;
      sums[at]!.squares += factor * factor;
    }
  }
  return sums.map(({ sum, squares }) => {
    const mean = sum / responses;
    return { mean, error: Math.sqrt(Math.max(0, squares / responses - mean * mean) / responses) };
  });
}

describe('honest responses', () => {
  test.each([
    ['independent errors', false],
    ['one and the same range for the whole response', true],
  ] as const)('%s: no bet has a mean factor above 1', (_, shared) => {
    for (const law of [COARSE, FP32_LIKE]) {
      for (const { mean, error } of meansOf(law, FACTOR_RULES, shared, 120, 10)) {
        expect(mean).toBeLessThan(1 + SIGMAS * error + 1e-9);
      }
    }
  });

  test('tokens that are multiplied gain from errors in common, tokens that are averaged do not: exactly', () => {
    // Two logits 0.125 apart; the range reaches that for a quarter of all responses, and then at both positions.
    const top = [
      [0, 2 * LOGIT_SCALE],
      [1, 1.875 * LOGIT_SCALE],
    ] as const;
    const item = (at: number) => ({ ...NOTHING_CUT, chosen: top[at]![0], chosenLogit: top[at]![1], top });
    const survival = [{ gap: 0.0625, upper: 0.25 }];
    const bounds = { tie: 0.25, border: 0.25, nearGap: 0, near: { survival }, apart: { survival } };
    const meanOf = (rules: FactorRules) => {
      const [first, second] = [0, 1].map((at) => {
        const claimed = { tokens: [top[at]![0], top[at]![0]], sampling: GREEDY, seed: 0n };
        return responseFactors({ claimed, evidence: [item(at), item(at)], bounds }, rules)!;
      });
      return BETS.map((_, i) => 0.75 * first![i]! + 0.25 * second![i]!);
    };
    for (const mean of meanOf(FACTOR_RULES)) expect(mean).toBeCloseTo(1, 8);
    expect(Math.max(...meanOf({ ...FACTOR_RULES, blocks: 'multiply', blockTokens: 1 }))).toBeGreaterThan(1.5);
  });
});

describe('a scored response', () => {
  const bounds = boundsOf(FP32_LIKE);

  async function scoredBy(salt: string): Promise<ScoredResponse> {
    const order = { promptIds: promptOf('what is it'), sampling: sampled({}), seed: 11n, maxTokens: 60 };
    const written = await write(machine('fp32', 'a', salt), order);
    return { claimed: written, evidence: await score(machine('fp32', 'b'), written), bounds };
  }

  test('of another model raises the wealth nearly as much as a response may', async () => {
    const factors = responseFactors(await scoredBy('another'))!;
    expect(Math.max(...factors)).toBeGreaterThan(64);
  });

  test('of the same model raises nothing', async () => {
    const factors = responseFactors({ ...(await scoredBy('real')), bounds: boundsOf(FP16_LIKE) })!;
    expect(Math.max(...factors)).toBeLessThanOrEqual(1);
  });

  test('with another number of items than tokens is void, and never a pass', async () => {
    const response = await scoredBy('another');
    const { evidence } = response;
    for (const wrong of [evidence.slice(1), evidence.slice(0, -1), [...evidence, evidence[0]!], []]) {
      expect(responseFactors({ ...response, evidence: wrong })).toBeNull();
    }
  });

  test('factors are multiples of 2^-30 that JSON keeps', async () => {
    for (const factor of responseFactors(await scoredBy('real'))!) {
      expect(Number.isInteger(factor * 2 ** 30)).toBe(true);
      expect(JSON.parse(JSON.stringify(factor))).toBe(factor);
    }
  });

  test('at temperature 0 surprise is no evidence', async () => {
    const response = await scoredBy('real');
    const greedy = { ...response, seedless: true, claimed: { ...response.claimed, sampling: GREEDY } };
    const evidence = await score(machine('fp32', 'b'), {
      promptIds: promptOf('what is it'),
      sampling: GREEDY,
      seed: 11n,
      tokens: [...response.claimed.tokens],
    });
    const factors = responseFactors({ ...greedy, evidence })!;
    expect(factors).toEqual(BETS.map(() => 1));
  });
});

test('bets on near positions do not see what was claimed at others, and see a deviation near a tie as bets everywhere do', () => {
  const factorsOf = (gap: number, claimed: 0 | 1) => {
    const top = [
      [0, gap * LOGIT_SCALE],
      [1, 0],
    ] as const;
    const [chosen, chosenLogit] = top[claimed];
    const evidence = [{ ...NOTHING_CUT, chosen, chosenLogit, top }];
    return responseFactors({
      claimed: { tokens: [chosen], sampling: GREEDY, seed: 1n },
      evidence,
      bounds: boundsOf(FP32_LIKE, 0.001),
    })!;
  };
  const near = BETS.flatMap(({ test: kind, reach }, at) => (kind === 'margin' && reach === 1 ? [at] : []));
  expect(near).toHaveLength(4);
  for (const at of near) {
    expect([0, 1].map((claimed) => factorsOf(1.5, claimed as 0 | 1)[at])).toEqual([1, 1]);
    const everywhere = BETS.findIndex(
      ({ test: kind, reach, stake }) => kind === 'margin' && reach > 1 && stake === BETS[at]!.stake,
    );
    for (const claimed of [0, 1] as const) {
      expect(factorsOf(0.75, claimed)[at]).toBe(factorsOf(0.75, claimed)[everywhere]);
      expect(factorsOf(1.5, claimed)[everywhere]).not.toBe(1);
    }
  }
});

describe('in one call', () => {
  const bounds = boundsOf(FP32_LIKE);

  async function asked(i: number, salt: string, operators: readonly string[]) {
    const order = { promptIds: promptOf(`question ${i}`), sampling: sampled({}), seed: BigInt(i), maxTokens: 20 };
    const claimed = await write(machine('fp32', 'a', salt), order);
    const scores = await Promise.all(
      operators.map(async (operator) => ({
        operator,
        claimed,
        evidence: await score(machine('fp32', operator), claimed),
        bounds,
      })),
    );
    return { responseId: `${i}`, promptId: `${i}`, client: `client ${i % 20}`, own: i % 2 === 0, scores };
  }

  test('another model is put into quarantine and then slashed, without the conditions sooner', async () => {
    const [account, bare] = [openAccount(), openAccount(BARE_ACCOUNT_RULES)];
    const stages: string[] = [];
    let bareSlashed = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 20; i++) {
      const operators = i % 2 === 0 ? ['x', 'y'] : ['y', 'x'];
      const response = await asked(i, 'another', operators);
      stages.push(judgeResponse(account, response).stage);
      const { stage } = judgeResponse(bare, response, { rules: BARE_FACTOR_RULES });
      if (stage === 'slash') bareSlashed = Math.min(bareSlashed, i);
    }
    expect(stages.indexOf('quarantine')).toBeGreaterThan(0);
    expect(stages.indexOf('slash')).toBeGreaterThan(stages.indexOf('quarantine'));
    expect(bareSlashed).toBeLessThan(3);
  });

  test('what one operator alone has seen is to be confirmed, and raises nothing until it is', async () => {
    const account = openAccount();
    const response = await asked(1, 'another', ['x']);
    expect(needsConfirmation(factorsOfScores(response.scores))).toBe(true);
    const judged = judgeResponse(account, response);
    expect(judged.outcome).toBe('unconfirmed');
    expect(judged.wealth).toBeLessThanOrEqual(1);
    expect(needsConfirmation(factorsOfScores((await asked(1, 'another', ['x', 'y'])).scores))).toBe(false);
  });

  test('a void score is no response', async () => {
    const response = await asked(2, 'another', ['x']);
    const scores = response.scores.map((one) => ({ ...one, evidence: one.evidence.slice(1) }));
    const account = openAccount();
    expect(judgeResponse(account, { ...response, scores }).outcome).toBe('void');
    expect(account.all.responses).toBe(0);
  });
});
