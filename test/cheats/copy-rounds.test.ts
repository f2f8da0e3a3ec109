/** Copies as an account sees them: rounds under another seed over a peer's answers (spec-judge.md §7.15). */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PairCalibration } from '#protocol/calibration';
import { generateAll, scoreAll } from '../../provider/calibrate/corpus.ts';
import { accountPath } from '../bench/detect/accounts.ts';
import { judged } from '../bench/detect/judged.ts';
import { pairNamed } from '../bench/detect/rows.ts';
import { copyRounds, greedyCopies } from '../bench/detect/structural.ts';
import type { ScoredText } from '../bench/detect/text.ts';
import { shippedCalibration } from '../bench/newest.ts';
import { openOnnx } from '../fixtures/engines.ts';
import { SeededRng } from '../simulation/seeded-rng.ts';
import { labOrders } from './lab/orders.ts';

const SIZES = { paths: 10, responsesMax: 40 };
let engine: Awaited<ReturnType<typeof openOnnx>>;
let pair: PairCalibration;
beforeAll(async () => {
  engine = await openOnnx();
  const { numericClass } = engine.info;
  pair = pairNamed(shippedCalibration(), numericClass, numericClass);
});
afterAll(() => engine.close());

async function peersTexts(temperature: 0 | 1, count: number): Promise<ScoredText[]> {
  const texts: ScoredText[] = [];
  for await (const { transcripts, scores } of scoreAll(
    engine,
    generateAll(engine, labOrders(count, temperature), null),
    null,
  )) {
    texts.push(...transcripts.map((transcript, at) => ({ ...transcript, scored: scores[at]! })));
  }
  return texts;
}

test('who sends what a peer wrote under another seed is put into quarantine after a few rounds, and then slashed', async () => {
  const texts = await peersTexts(1, 16);
  const { cases, caught, rounds } = await copyRounds(texts, { engine, pair }, SIZES);
  // Answers that chance may write twice have no round.
  expect(cases).toBe(16);
  expect(caught).toBeGreaterThan(0);
  expect(caught).toBeLessThan(1);
  expect(rounds!.quarantine.reached).toBe(1);
  expect(rounds!.quarantine.p95!.responses).toBeLessThan(12);
  expect(rounds!.slash.median!.responses).toBeGreaterThan(rounds!.quarantine.median!.responses);
  // The same answers under their own seed accuse nobody.
  const honest = texts.map((text) => judged(text, pair, engine.info.vocabSize));
  expect(accountPath(honest, new SeededRng('peer'), { responsesMax: SIZES.responsesMax }).quarantine).toBeNull();
});

test('at temperature 0 a copy is what honesty looks like: none is found', async () => {
  expect(greedyCopies(await peersTexts(0, 4), pair)).toMatchObject({ check: null, cases: 4, caught: 0 });
});
