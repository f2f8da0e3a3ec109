/** The cheat laboratory at a size of seconds: each cheat is another thing than honesty, and is stopped as the table of bench:detect says. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type PairCalibration, parseCalibration } from '#protocol/calibration';
import { LOGIT_SCALE } from '#protocol/evidence';
import { perturbedScore } from '#protocol/sampler';
import { generateAll, type Order, scoreAll, tokensOf } from '../../provider/calibrate/corpus.ts';
import { accountPath, barePath, spreadOf } from '../bench/detect/accounts.ts';
import { type JudgedText, judged } from '../bench/detect/judged.ts';
import { liarFactors, liarRows } from '../bench/detect/liars.ts';
import { pairNamed } from '../bench/detect/rows.ts';
import { accepting, captures, computing, copies, earlyStops, trials } from '../bench/detect/structural.ts';
import type { ScoredText } from '../bench/detect/text.ts';
import { isCheated } from '../fixtures/cheats-engine.ts';
import { SeededRng } from '../simulation/seeded-rng.ts';
import { EARLY_TOKENS, type LabName, labCheat, openLab, STEERED } from './lab/lab.ts';
import { labOrders } from './lab/orders.ts';
import { engineOf } from './lab/token-loop.ts';

const FOLDER = fileURLToPath(new URL('../../provider/models/minnow/dist/minnow-5m/calibration/', import.meta.url));
// Five models on a busy machine; nothing here asserts how long anything takes.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 });

/** Answers of each cheat; the first of those that the bench asks for. */
const COUNT = 10;
const TOKENS_MAX = 24;
const PATHS = 20;

let lab: Awaited<ReturnType<typeof openLab>>;
let pair: PairCalibration;
const known = new Map<string, Promise<ScoredText[]>>();

beforeAll(async () => {
  lab = await openLab();
  const file = readdirSync(FOLDER).sort().at(-1)!;
  const calibration = parseCalibration(JSON.parse(readFileSync(`${FOLDER}${file}`, 'utf8')));
  pair = pairNamed(calibration!, lab.real.info.numericClass, lab.real.info.numericClass);
});
afterAll(() => lab.close());

function ordersAt(temperature: 0 | 1): Order[] {
  return labOrders(COUNT, temperature).map((order) => ({ ...order, maxTokens: Math.min(order.maxTokens, TOKENS_MAX) }));
}

function textsBy(cheat: LabName, temperature: 0 | 1 = 1): Promise<ScoredText[]> {
  const key = `${cheat} ${temperature}`;
  const made = known.get(key) ?? makeTexts(cheat, ordersAt(temperature));
  known.set(key, made);
  return made;
}

async function makeTexts(cheat: LabName, orders: readonly Order[]): Promise<ScoredText[]> {
  const texts: ScoredText[] = [];
  const written = generateAll(labCheat(cheat).build(lab), orders, null);
  for await (const { transcripts, scores } of scoreAll(engineOf(lab.real), written, null)) {
    texts.push(...transcripts.map((transcript, at) => ({ ...transcript, scored: scores[at]! })));
  }
  return texts;
}

const judgedAll = (texts: readonly ScoredText[]): JudgedText[] =>
  texts.map((text) => judged(text, pair, lab.real.info.vocabSize));

const rngsOf = (kind: string) => Array.from({ length: PATHS }, (_, i) => new SeededRng(`${kind} ${i}`));

/** Median responses to quarantine and slash under all rules; null where it does not come in so many responses. */
function slashOf(texts: readonly JudgedText[], kind: string, responsesMax = 400) {
  const paths = rngsOf(kind).map((rng) => accountPath(texts, rng, { responsesMax }));
  return {
    quarantine: spreadOf(paths.map(({ quarantine }) => quarantine)).median?.responses ?? null,
    slash: spreadOf(paths.map(({ slash }) => slash)).median?.responses ?? null,
  };
}

/** Median tokens to 10^6 without caps; null where it does not come in 400 responses. */
function millionOf(texts: readonly JudgedText[], kind: string): number | null {
  const paths = rngsOf(kind).map((rng) => barePath(texts, rng, 400));
  return spreadOf(paths.map(({ slash }) => slash)).median?.tokens ?? null;
}

describe('honest text by the same path', () => {
  test.each([0, 1] as const)(
    'T = %i: nothing is rejected, the account of 400 answers is clear',
    async (temperature) => {
      const texts = judgedAll(await textsBy('honest', temperature));
      expect(texts.map(({ vote }) => vote)).toEqual(texts.map(() => 'accept'));
      expect(texts.flatMap(({ conviction }) => conviction ?? [])).toEqual([]);
      expect(slashOf(texts, 'honest')).toEqual({ quarantine: null, slash: null });
      expect(millionOf(texts, 'honest')).toBeNull();
    },
  );
});

describe('cheats that the account finds', () => {
  const cheats: readonly (readonly [LabName, 0 | 1, number])[] = [
    ['smaller_model', 0, 60],
    ['smaller_model', 1, 60],
    ['int4', 1, 150],
    ['wrong_seed', 1, 60],
    ['replay', 1, 60],
    ['cut_prompt', 1, 120],
    ['early_end', 1, 60],
  ];
  test.each(cheats)('%s, T = %i: quarantined, then slashed within %i answers', async (cheat, temperature, most) => {
    const texts = judgedAll(await textsBy(cheat, temperature));
    expect(texts.some(({ vote }) => vote === 'reject')).toBe(true);
    const { quarantine, slash } = slashOf(texts, cheat);
    expect(quarantine).not.toBeNull();
    expect(slash).toBeLessThanOrEqual(most);
    // The three-response and growth caps only delay.
    expect(slash).toBeGreaterThanOrEqual(3);
    expect(millionOf(texts, cheat)).toBeLessThan(slash! * TOKENS_MAX);
  });
});

describe('cheats that one answer convicts', () => {
  test('forged evidence: cheap tokens under the prefill of the real model contradict their own evidence', async () => {
    const texts = judgedAll(await textsBy('forged'));
    const differ = texts.filter(({ otherChoice }) => otherChoice > 0);
    expect(differ.length).toBeGreaterThan(COUNT / 2);
    // All that the judge rejects at all; a token within `reject` of the best is no rejection.
    for (const { vote, conviction } of differ) if (vote === 'reject') expect(conviction).toBe('self_contradiction');
    expect(differ.filter(({ conviction }) => conviction !== null).length / differ.length).toBeGreaterThan(0.8);
  });

  test('raised evidence: claimed tokens that are lifted to win are far from what the referee sees', async () => {
    const texts = judgedAll(await textsBy('raised'));
    expect(texts.filter(({ conviction }) => conviction !== null).length).toBeGreaterThan(COUNT / 2);
    // The evidence was made to fit the claim, so it contradicts nothing in itself: it is what the referee sees that convicts.
    for (const { vote, conviction } of texts) expect(conviction).toBe(vote === 'reject' ? 'evidence_far_off' : null);
  });

  test('wrong seeds and replays: tokens that do not win by the noise that was ordered', async () => {
    for (const cheat of ['wrong_seed', 'replay'] as const) {
      const texts = judgedAll(await textsBy(cheat));
      expect(texts.map(({ conviction }) => conviction)).toContain('self_contradiction');
    }
  });
});

describe('cheats that change little', () => {
  test('some wrong seeds: the tokens of the other noise at the picked positions, and honest ones elsewhere', async () => {
    const texts = await makeTexts('some_seeds', labOrders(24, 1));
    const off = texts.flatMap(({ scored }) => scored.filter(({ chosen, top }) => top[0]![0] !== chosen));
    const tokens = texts.reduce((sum, { scored }) => sum + scored.length, 0);
    // One in six of 1%, and never more than the tokens that were picked.
    expect(off.length).toBeLessThan(0.03 * tokens);
  });

  test('steering within a tie passes every test, and never leaves the tie', async () => {
    for (const [cheat, reach] of [
      ['steer_tie', STEERED.tie],
      ['steer_far', STEERED.far],
    ] as const) {
      const texts = await textsBy(cheat);
      for (const { scored, order } of texts) {
        for (const [position, { chosen, chosenLogit, top }] of scored.entries()) {
          const scoreOf = (id: number, logit: number) =>
            perturbedScore(logit / LOGIT_SCALE, order.sampling.temperature, order.seed, position, id);
          const margin = scoreOf(top[0]![0], top[0]![1]) - scoreOf(chosen, chosenLogit);
          expect(margin).toBeLessThanOrEqual(reach + 0.001);
        }
      }
    }
    const tied = judgedAll(await textsBy('steer_tie'));
    expect(tied.every(({ vote }) => vote === 'accept')).toBe(true);
  });

  test('lossy drafts: the small model writes where the real one nearly would have', async () => {
    const [drafts, honest] = [await textsBy('drafts'), await textsBy('honest')];
    expect(drafts.map(tokensOf)).not.toEqual(honest.map(tokensOf));
    const margins = judgedAll(drafts);
    expect(margins.reduce((sum, { otherChoice }) => sum + otherChoice, 0)).toBeGreaterThan(0);
    expect(margins.every(({ conviction }) => conviction === null || conviction === 'self_contradiction')).toBe(true);
  });

  test('a provider that mixes serves a quarter of its requests with int4, the others honestly', async () => {
    const [mixed, honest, int4] = [await textsBy('mixed'), await textsBy('honest'), await textsBy('int4')];
    const cheated = mixed.map(({ order }) => isCheated(order, 1 / 4));
    expect(mixed.map(tokensOf)).toEqual(mixed.map((_, at) => tokensOf((cheated[at] ? int4 : honest)[at]!)));
    const many = labOrders(600, 1).filter((order) => isCheated(order, 1 / 4)).length;
    expect(many).toBeGreaterThan(100);
    expect(many).toBeLessThan(200);
  });
});

describe('what no statistics is needed for', () => {
  test('an answer that stops half way is malformed, whatever it says about its end', async () => {
    const rows = earlyStops(await textsBy('honest'), lab.real.text);
    expect(rows.map(({ caught }) => caught)).toEqual([1, 1, 1]);
    const ended = judgedAll(await textsBy('early_end'));
    expect(ended.every(({ tokens }) => tokens <= EARLY_TOKENS + 1)).toBe(true);
  });

  test('equal answers under seeds of their own are copies where the text has enough entropy', async () => {
    const long = await makeTexts('honest', labOrders(12, 1));
    const { caught } = copies(long, pair);
    expect(caught).toBeGreaterThan(0);
    expect(copies(await textsBy('honest', 0), pair).caught).toBe(0);
  });

  test('scorers that compute another model or nothing are wrong in trials, an honest one never', async () => {
    const texts = await textsBy('honest');
    const referee = { engine: engineOf(lab.real), pair, paths: PATHS };
    const tried = (attack: string, answer: Parameters<typeof trials>[1]['answer']) =>
      trials(texts, { attack, answer }, referee);
    const small = await tried('small', computing(engineOf(lab.small)));
    const nothing = await tried('nothing', accepting);
    const honest = await tried('honest', computing(engineOf(lab.real)));
    for (const liar of [small, nothing]) {
      expect(liar.trials!.quarantine.median!.responses).toBeLessThan(12);
      expect(liar.trials!.lying.median!.responses).toBeLessThan(20);
    }
    expect(honest).toMatchObject({ caught: 0, trials: { quarantine: { reached: 0 }, lying: { reached: 0 } } });
  });

  test('one lying operator of five convicts nobody and hides nobody; five that lie together do both', async () => {
    const [honest, cheat] = [await textsBy('honest'), await textsBy('int4')];
    const rows = liarRows({
      honest: judgedAll(honest),
      slandered: await liarFactors(honest, engineOf(lab.small), pair),
      cheat: judgedAll(cheat),
      paths: PATHS,
      responsesMax: 400,
    });
    const [slander, , slanderAll, praise, , praiseAll] = rows;
    expect(slander).toMatchObject({ quarantine: { reached: 0 }, slash: { reached: 0 } });
    expect(slanderAll!.slash.reached).toBe(1);
    expect(praise!.slash.reached).toBe(1);
    expect(praiseAll).toMatchObject({ quarantine: { reached: 0 }, slash: { reached: 0 } });
  });

  test('a majority that colludes is not caught: how often it is drawn is what a policy buys', () => {
    const at = (policy: string, share: number) =>
      captures().find((one) => one.policy.startsWith(policy) && Math.abs(one.share - share) < 1e-9)!.probability;
    expect(at('quorum, n = 3', 0.2)).toBeLessThan(0.03);
    expect(at('quorum, n = 5', 0.2)).toBeLessThan(at('quorum, n = 3', 0.2));
    expect(at('witnessed', 0.5)).toBeGreaterThan(at('witnessed', 0.1));
  });
});

describe('recorded answers of cheats that change little, scored afresh', () => {
  const recorded = JSON.parse(
    readFileSync(new URL('../fixtures/weak-cheats.json', import.meta.url), 'utf8'),
  ) as Readonly<Record<string, number[][]>>;

  async function scored(answers: readonly number[][]): Promise<ScoredText[]> {
    const engine = engineOf(lab.real);
    const orders = labOrders(answers.length, 1);
    const evidence = await Promise.all(orders.map((order, at) => engine.score({ ...order, outputIds: answers[at]! })));
    // What was sealed does not matter here: the account reads the scorer's evidence alone.
    return orders.map((order, at) => ({ order, evidence: evidence[at]!, scored: evidence[at]! }));
  }

  /**
   * Most tokens that are not what the scorer would take, as a share, and answers within which the median account is put into quarantine
   * and slashed: about twice what was seen. Five tokens of the 2,087 under some wrong seeds differ.
   */
  const WEAK: readonly (readonly [LabName, number, number, number])[] = [
    ['int8', 0.08, 20, 60],
    ['warmer', 0.05, 40, 100],
    ['drafts', 0.04, 40, 100],
    ['hidden_prompt', 0.08, 40, 100],
    ['cooler', 0.16, 20, 50],
    ['some_seeds', 0.005, 1_000, 3_000],
    ['mixed', 0.08, 40, 120],
  ];

  test('are of every cheat that is asked about', () => {
    expect(WEAK.map(([cheat]) => cheat).sort()).toEqual(Object.keys(recorded).sort());
  });

  test.each(WEAK)(
    '%s: a share of less than %f of its tokens is not what the scorer would take, and the account is slashed all the same',
    async (cheat, share, quarantined, slashed) => {
      const texts = judgedAll(await scored(recorded[cheat]!));
      const tokens = texts.reduce((sum, text) => sum + text.tokens, 0);
      const others = texts.reduce((sum, text) => sum + text.otherChoice, 0);
      expect(others).toBeGreaterThan(0);
      expect(others).toBeLessThan(share * tokens);
      const { quarantine, slash } = slashOf(texts, cheat, slashed);
      expect(quarantine).toBeLessThan(quarantined);
      expect(slash).toBeLessThan(slashed);
    },
  );
});
