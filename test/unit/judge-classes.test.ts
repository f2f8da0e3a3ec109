/** How far two numeric classes may be apart, and that nothing counts as passed where nobody has measured it (spec-judge.md §7.2). */
import { describe, expect, it } from 'vitest';
import { GREEDY } from '#protocol/sampling';
import { tolerancesOf } from '../../gateway/judge/classes.ts';
import { judgeScore } from '../../gateway/judge/score.ts';
import { boundedPair } from '../fixtures/calibrations.ts';
import { CALIBRATION, classOf, machine, promptOf, score, write } from './judge-fixture.ts';

const ORDER = {
  promptIds: promptOf('What do honest machines differ by?'),
  sampling: GREEDY,
  seed: 1n,
  maxTokens: 120,
};

describe('tolerancesOf', () => {
  const DIGEST = `0x${'44'.repeat(32)}` as const;
  const FILE = {
    ...CALIBRATION,
    modelDigest: DIGEST,
    pairs: [boundedPair('a', 'b', 0.01), boundedPair('b', 'a', 0.02)],
  };

  it('takes the wider figures of both directions, and one direction where only one was measured', () => {
    expect(tolerancesOf(FILE, 'a', 'b')).toEqual({ tie: 0.03, border: 0.03, reject: 0.15, gross: 1 });
    expect(tolerancesOf(FILE, 'b', 'a')).toEqual(tolerancesOf(FILE, 'a', 'b'));
    expect(tolerancesOf({ ...FILE, pairs: [boundedPair('a', 'b', 0.01)] }, 'b', 'a')?.tie).toBe(0.015);
  });

  it('needs no measurement of classes that owe one another every bit', () => {
    const exact = 'toy-1/cpu/exact/kv-none/a';
    expect(tolerancesOf(null, exact, exact)?.tie).toBe(0);
    expect(tolerancesOf(FILE, exact, 'toy-1/cpu/exact/kv-none/b')).toBeNull();
    expect(tolerancesOf({ ...FILE, pairs: [boundedPair(exact, 'a', 0.01)] }, exact, 'a')).toBeNull();
  });

  it.each([
    ['a', 'a'],
    ['a', 'c'],
    ['', ''],
    ['ort-1/cpu/fp32/kv-fp32/a', 'ort-1/cpu/fp32/kv-fp32/a'],
  ])('gives none for "%s" and "%s", which nobody has measured', (a, b) => {
    expect(tolerancesOf(FILE, a, b)).toBeNull();
    expect(tolerancesOf(null, a, b)).toBeNull();
  });

  it('so that their scores abstain, whatever the tokens are: nothing uncalibrated counts as passed', async () => {
    const generator = machine('fp32', 'a');
    const written = await write(generator, ORDER);
    for (const scorer of [generator, machine('fp32', 'b', 'another model')]) {
      const judgement = judgeScore(
        written,
        await score(scorer, written),
        tolerancesOf(null, classOf('fp32'), classOf('fp32')),
      );
      expect(judgement?.vote).toBe('abstain');
    }
  });
});
