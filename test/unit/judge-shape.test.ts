import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FINISH_KINDS } from '#protocol/typed';
import { tolerancesOf } from '../../gateway/judge/classes.ts';
import { firstDivergence, judgeDivergence } from '../../gateway/judge/divergence.ts';
import { impliedFinish, shapeProblem } from '../../gateway/judge/shape.ts';
import { createToyEngine, TOY_TEXT } from '../../provider/engine/toy.ts';
import { CALIBRATION, classOf, machine, promptOf, SAMPLINGS, sampled, write } from './judge-fixture.ts';

const EOS = 0;
const rules = (maxTokens: number, stop: readonly string[] = []) => ({ maxTokens, stop, text: TOY_TEXT });

describe('shapeProblem', () => {
  it.each([
    ['too_long', [65, 66, 67, 68], 'length', rules(3)],
    ['token_outside_vocabulary', [65, 128], 'length', rules(2)],
    ['tokens_past_end', [65, EOS, 66], 'length', rules(3)],
    ['tokens_past_end', [65, EOS, EOS], 'stop', rules(5)],
    ['tokens_past_end', promptOf('ab stop c'), 'length', rules(9, ['stop'])],
    ['tokens_past_end', [65, EOS], null, rules(5)],
    ['tokens_past_end', promptOf('stop'), null, rules(9, ['stop'])],
    ['not_ended', [65, 66], null, rules(2)],
    ['empty', [], 'stop', rules(2)],
    ['stop_without_eos', [65, 66], 'stop', rules(9)],
    ['stop_without_eos', [65, 66], 'stop', rules(2)],
    ['stop_string_absent', promptOf('sto'), 'stop_string', rules(9, ['stop'])],
    ['stop_string_absent', promptOf('abc'), 'stop_string', rules(9)],
    ['length_without_length', [65, 66], 'length', rules(3)],
    ['length_without_length', [65, EOS], 'length', rules(2)],
    ['length_without_length', promptOf('stop'), 'length', rules(4, ['stop'])],
    [null, [65, EOS], 'stop', rules(2)],
    [null, [EOS], 'stop', rules(2)],
    [null, [65, 66], 'length', rules(2)],
    [null, promptOf('a stop'), 'stop_string', rules(6, ['stop'])],
    [null, [65], null, rules(2)],
    [null, [65], 'cancelled', rules(2)],
    [null, [], null, rules(2)],
  ] as const)('%s: tokens %j, finish %s', (problem, tokens, finish, rule) => {
    expect(shapeProblem({ tokens, finish }, rule)).toBe(problem);
  });

  it('finds nothing in what engines write, whatever ends it, and the implied end is the one that they say', async () => {
    for (const [, sampling] of SAMPLINGS) {
      for (const stop of [[], ['e'], ['xy', 'a']]) {
        for (const maxTokens of [1, 2, 30, 200]) {
          const order = {
            promptIds: promptOf('Where does it end?'),
            sampling: { ...sampling, stop },
            seed: 9n,
            maxTokens,
          };
          const { tokens, finish } = await write(createToyEngine(), order);
          expect(shapeProblem({ tokens, finish }, rules(maxTokens, stop))).toBeNull();
          expect(impliedFinish(tokens, true, rules(maxTokens, stop))).toBe(finish);
          for (let length = 0; length < tokens.length; length++) {
            expect(shapeProblem({ tokens: tokens.slice(0, length), finish: null }, rules(maxTokens, stop))).toBeNull();
          }
        }
      }
    }
  });

  it('allows one end at most for any tokens', () => {
    const tokens = fc.array(fc.constantFrom(EOS, 97, 98), { maxLength: 5 });
    fc.assert(
      fc.property(
        tokens,
        fc.integer({ min: 1, max: 5 }),
        fc.constantFrom([], ['b'], ['ab']),
        (ids, maxTokens, stop) => {
          const kinds = FINISH_KINDS.filter((kind) => kind !== 'cancelled');
          const fitting = kinds.filter(
            (finish) => shapeProblem({ tokens: ids, finish }, rules(maxTokens, stop)) === null,
          );
          const isOpen = shapeProblem({ tokens: ids, finish: null }, rules(maxTokens, stop)) === null;
          expect(fitting.length + (isOpen ? 1 : 0)).toBeLessThanOrEqual(1);
          if (fitting.length > 0) expect(impliedFinish(ids, true, rules(maxTokens, stop))).toBe(fitting[0]);
        },
      ),
      { numRuns: 2000, seed: 5 },
    );
  });
});

describe('firstDivergence', () => {
  it('is the first differing position, or the shorter length, or null for equals', () => {
    expect([firstDivergence([1, 2], [1, 3]), firstDivergence([1], [1, 3]), firstDivergence([1], [1])]).toEqual([
      1,
      1,
      null,
    ]);
  });
});

describe('judgeDivergence', () => {
  const orderOf = (seed: number, sampling = sampled({})) => ({
    promptIds: promptOf('fork'),
    sampling,
    seed: BigInt(seed),
    maxTokens: 200,
  });
  /** Judges the first divergence of two answers; null where there is none between tokens. */
  async function judged(
    a: ReturnType<typeof machine>,
    b: ReturnType<typeof machine>,
    seed: number,
    sampling = sampled({}),
  ) {
    const order = orderOf(seed, sampling);
    const [left, right] = [await write(a, order), await write(b, order)];
    const at = firstDivergence(left.tokens, right.tokens);
    if (at === null || at >= Math.min(left.tokens.length, right.tokens.length)) return null;
    const side = (written: typeof left) => ({ token: written.tokens[at]!, evidence: written.evidence[at]! });
    const place = { position: at, seed: order.seed, sampling };
    const tolerances = tolerancesOf(CALIBRATION, classOf('fp16'), classOf('fp16'));
    return {
      verdict: judgeDivergence(side(left), side(right), place, tolerances),
      left: side(left),
      right: side(right),
      place,
      tolerances,
    };
  }

  it('calls every divergence of two honest machines a tie', async () => {
    let divergences = 0;
    for (let seed = 0; seed < 60; seed++) {
      const found = await judged(machine('fp16', 'a'), machine('fp16', 'b'), seed);
      if (found === null) continue;
      divergences++;
      expect(found.verdict).toBe('tie');
    }
    expect(divergences).toBeGreaterThan(20);
  });

  it('tells another model apart at its first other token, nearly always', async () => {
    let parted = 0;
    for (let seed = 0; seed < 40; seed++) {
      const found = await judged(machine('fp16', 'a'), machine('fp16', 'b', 'cheap'), seed);
      if (found?.verdict === 'parted') parted++;
    }
    expect(parted).toBeGreaterThan(35);
  });

  it('says nothing of an uncalibrated pair, and does not take one side for both', async () => {
    for (let seed = 0; seed < 60; seed++) {
      const found = await judged(machine('fp16', 'a'), machine('fp16', 'b'), seed);
      if (found === null) continue;
      const { left, right, place, tolerances } = found;
      expect(judgeDivergence(left, right, place, null)).toBe('uncalibrated');
      // Whoever pretends to have been near the other's token needs the other's evidence to say so as well.
      const far = { ...right, evidence: { ...right.evidence, chosenLogit: right.evidence.chosenLogit + 65536 } };
      expect(judgeDivergence(left, far, place, tolerances)).toBe('parted');
      expect(judgeDivergence(far, left, place, tolerances)).toBe('parted');
      const unlisted = { ...right, evidence: { ...right.evidence, top: right.evidence.top.slice(0, 1) } };
      expect(judgeDivergence(left, unlisted, place, tolerances)).toBe('parted');
      const other = { ...right, evidence: { ...right.evidence, chosen: 127 } };
      expect(judgeDivergence(left, other, place, tolerances)).toBe('parted');
      return;
    }
    throw new Error('no divergence found');
  });
});
