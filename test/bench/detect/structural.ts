/** What no statistics is needed for: which rule stops it, and how many responses or trials that takes. */
import type { PairCalibration } from '#protocol/calibration';
import { shortEvidence } from '#protocol/evidence';
import { recordTrial, SCORER_AT_START, scorerStanding } from '#protocol/scorer-record';
import type { FinishKind } from '#protocol/typed';
import { captureProbability, witnessedCaptureProbability } from '../../../gateway/audit/collusion.ts';
import { COPY_PROBABILITY_MAX, copyProbability } from '../../../gateway/judge/copying.ts';
import { responseFactors } from '../../../gateway/judge/factors.ts';
import { shapeProblem } from '../../../gateway/judge/shape.ts';
import { type JudgedPart, judgeTrial, type TrialPart, trialOf } from '../../../gateway/judge/trial.ts';
import { tokensOf } from '../../../provider/calibrate/corpus.ts';
import type { Engine } from '../../../provider/engine/engine.ts';
import { SeededRng } from '../../simulation/seeded-rng.ts';
import { accountPath, type Delay, type Spread, spreadOf } from './accounts.ts';
import type { ScoredText } from './text.ts';

export interface Structural {
  readonly attack: string;
  /** The rule that stops it; null where none does. */
  readonly check: string | null;
  /** Responses or trials that were looked at, and the share of them that shows it. */
  readonly cases: number;
  readonly caught: number;
  /** Rounds under another seed, where those that show it make an account. */
  readonly rounds?: { readonly quarantine: Spread; readonly slash: Spread };
  /** Trials, where it takes several. */
  readonly trials?: { readonly quarantine: Spread; readonly lying: Spread };
}

/** A shorter answer under each thing that its provider may say about its end. */
export function earlyStops(texts: readonly ScoredText[], text: Engine['text']): Structural[] {
  const finishes: readonly FinishKind[] = ['stop', 'length', 'stop_string'];
  return finishes.map((finish) => {
    const halves = texts.filter(({ evidence }) => evidence.length > 1);
    const caught = halves.filter((item) => {
      const tokens = tokensOf(item).slice(0, Math.ceil(item.evidence.length / 2));
      return shapeProblem({ tokens, finish }, { maxTokens: item.order.maxTokens, stop: [], text }) !== null;
    });
    const attack = `stops half way and says \`${finish}\``;
    return { attack, check: 'shape (7.1)', cases: halves.length, caught: caught.length / halves.length };
  });
}

/** A peer's answer under one's own name, where every member of the round has noise of its own. */
export function copies(texts: readonly ScoredText[], pair: PairCalibration): Structural {
  const caught = texts.filter((text) => peersChance(text, pair) <= COPY_PROBABILITY_MAX);
  const attack = 'copies a peer, in a round under another seed';
  return { attack, check: 'copies (7.15)', cases: texts.length, caught: caught.length / texts.length };
}

/** The same as an account sees it: rounds are made only over answers that chance does not write twice (7.15). */
export async function copyRounds(
  texts: readonly ScoredText[],
  scorer: { readonly engine: Engine; readonly pair: PairCalibration },
  { paths, responsesMax }: { readonly paths: number; readonly responsesMax: number },
): Promise<Structural> {
  const { engine, pair } = scorer;
  const counted = await Promise.all(
    texts
      .filter((text) => peersChance(text, pair) <= COPY_PROBABILITY_MAX)
      .map(async (text) => {
        const { sampling, seed: peers } = text.order;
        const claimed = { tokens: tokensOf(text), sampling, seed: peers + 1n };
        const evidence = await engine.score({ ...text.order, seed: claimed.seed, outputIds: claimed.tokens });
        const copy = { probability: peersChance(text, pair), isSame: true };
        return { tokens: claimed.tokens.length, factors: responseFactors({ claimed, evidence, bounds: pair, copy })! };
      }),
  );
  const found = copies(texts, pair);
  const all = Array.from({ length: paths }, (_, i) =>
    accountPath(counted, new SeededRng(`${found.attack} ${i}`), { responsesMax }),
  );
  const rounds = {
    quarantine: spreadOf(all.map(({ quarantine }) => quarantine)),
    slash: spreadOf(all.map(({ slash }) => slash)),
  };
  return { ...found, rounds };
}

/** Without noise everybody honest writes the same: no round is made. */
export function greedyCopies(texts: readonly ScoredText[], pair: PairCalibration): Structural {
  return { ...copies(texts, pair), attack: 'copies a peer at temperature 0', check: null };
}

function peersChance({ scored, order }: ScoredText, pair: PairCalibration): number {
  return copyProbability(scored, order.sampling, pair);
}

/** One scorer's way to answer an order. */
export type Answerer = (text: ScoredText, part: TrialPart) => Promise<JudgedPart['scored']>;

export function computing(engine: Engine): Answerer {
  return ({ order }, { tokens }) => engine.score({ ...order, outputIds: tokens });
}

/** Computes nothing: an accomplice's evidence, the claimed token put before all others where it is not the first. */
export const accepting: Answerer = async ({ scored }, { tokens }) =>
  tokens.map((id, at) => {
    const { top, ...rest } = scored[at]!;
    const others = top.filter(([other]) => other !== id);
    if (top[0]![0] === id) return { ...scored[at]!, chosen: id, chosenLogit: top[0]![1] };
    const raised = top[0]![1] + 20 * 2 ** 16;
    return { ...rest, chosen: id, chosenLogit: raised, top: [[id, raised] as const, ...others].slice(0, top.length) };
  });

const TRIALS_MAX = 2_000;

/** Trials of a scorer by answers that held, as audits try it. */
export async function trials(
  texts: readonly ScoredText[],
  scorer: { readonly attack: string; readonly answer: Answerer },
  referee: { readonly engine: Engine; readonly pair: PairCalibration; readonly paths: number },
): Promise<Structural> {
  const { engine, pair, paths } = referee;
  const outcomes: ('right' | 'wrong' | 'unsure')[] = [];
  for (const [index, text] of texts.entries()) {
    const { sampling, seed } = text.order;
    const rng = new SeededRng(`trial ${index}`);
    const short = text.evidence.map((item, position) =>
      shortEvidence(item, { temperature: sampling.temperature, seed, position }),
    );
    const held = {
      tokens: tokensOf(text),
      shortEvidence: [short],
      sampling,
      eosIds: engine.info.eosIds,
      chunkEnds: [4, 20],
      mode: 'quorum',
    };
    const parts: JudgedPart[] = [];
    for (const part of trialOf(held, (word, below) => rng.branch(word).between(0, below - 1))) {
      const reference = await engine.score({ ...text.order, outputIds: part.tokens });
      parts.push({ ...part, reference, scored: await scorer.answer(text, part) });
    }
    outcomes.push(judgeTrial(parts, { sampling, seed }, { member: pair, referee: pair }));
  }
  const delays = Array.from({ length: paths }, (_, i) => trialPath(outcomes, new SeededRng(`${scorer.attack} ${i}`)));
  return {
    attack: scorer.attack,
    check: 'trials (7.13)',
    cases: outcomes.length,
    caught: outcomes.filter((outcome) => outcome === 'wrong').length / outcomes.length,
    trials: {
      quarantine: spreadOf(delays.map(({ quarantine }) => quarantine)),
      lying: spreadOf(delays.map(({ lying }) => lying)),
    },
  };
}

function trialPath(outcomes: readonly string[], rng: SeededRng): { quarantine: Delay; lying: Delay } {
  let record = SCORER_AT_START;
  let quarantine: Delay = null;
  for (let count = 1; count <= TRIALS_MAX; count++) {
    const outcome = rng.pick(outcomes);
    if (outcome !== 'unsure') record = recordTrial(record, outcome === 'wrong');
    const standing = scorerStanding(record);
    const now = { tokens: 0, responses: count };
    if (standing !== 'trusted') quarantine ??= now;
    if (standing === 'lying') return { quarantine, lying: now };
  }
  return { quarantine, lying: null };
}

export interface Capture {
  readonly policy: string;
  readonly share: number;
  /** Probability that a wrong answer is served: that share of requests is not caught, however many there are. */
  readonly probability: number;
}

/** Colluders that hold a committee: nothing within the request stops them. */
export function captures(): Capture[] {
  return [0.1, 0.2, 1 / 3, 0.5].flatMap((share) => [
    { policy: 'quorum, n = 3, agree = 3', share, probability: captureProbability(3, 3, share) },
    { policy: 'quorum, n = 5, agree = 4', share, probability: captureProbability(5, 4, share) },
    { policy: 'witnessed, n = 3', share, probability: witnessedCaptureProbability(3, 3, share) },
  ]);
}
