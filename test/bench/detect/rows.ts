/** The statistical rows of the table: which texts, claimed as which class, and what came of them. */
import { type Calibration, type PairCalibration, pairOf } from '#protocol/calibration';
import { LAB_NAMES, type LabModels, type LabName, labCheat, mixedShare } from '../../cheats/lab/lab.ts';
import { labOrders } from '../../cheats/lab/orders.ts';
import { engineOf } from '../../cheats/lab/token-loop.ts';
import { SeededRng } from '../../simulation/seeded-rng.ts';
import { accountPath, barePath, type Spread, spreadOf, uncappedPath } from './accounts.ts';
import { type JudgedText, judged } from './judged.ts';
import { type ScoredText, scoredTexts } from './text.ts';

export interface Sizes {
  /** Responses of cheats that one response nearly shows, and of those that it does not, at T = 1; half as many at T = 0. */
  readonly crude: number;
  readonly weak: number;
  /** Orders of the same responses. */
  readonly paths: number;
  /** Responses after which an account is left. */
  readonly responsesMax: number;
}

export interface Row {
  readonly cheat: string;
  readonly title: string;
  readonly temperature: 0 | 1;
  readonly responses: number;
  readonly tokens: number;
  /** Tokens that the reference would not have taken, and the mean of clipped margins over the clip. */
  readonly otherChoice: number;
  readonly meanMargin: number;
  /** Shares of responses by themselves. */
  readonly rejected: number;
  readonly convicted: number;
  /** Convictions by their reasons. */
  readonly reasons: Readonly<Record<string, number>>;
  /** Under all rules. */
  readonly quarantine: Spread;
  readonly slash: Spread;
  /** Wealth 10^6 without caps and conditions: responses as means of blocks, and token after token. */
  readonly uncapped: Spread;
  readonly bare: Spread;
}

const CRUDE: readonly LabName[] = [
  'smaller_model',
  'int4',
  'wrong_seed',
  'replay',
  'cut_prompt',
  'early_end',
  'forged',
  'raised',
];

/** Twice as many: of 1% of tokens one in six shows, and of int8's answers one in sixty convicts. */
const RARE: readonly LabName[] = ['some_seeds', 'int8'];
const RARE_TIMES = 2;

function countOf(cheat: LabName, temperature: 0 | 1, { crude, weak }: Sizes): number {
  const sampled = (CRUDE.includes(cheat) ? crude : weak) * (RARE.includes(cheat) ? RARE_TIMES : 1);
  return temperature === 0 ? sampled / 2 : sampled;
}

export type Texts = Readonly<Record<string, readonly ScoredText[]>>;

export function textName(name: LabName, temperature: number): string {
  return `${name}_T${temperature}`;
}

/** One text of a cheat at a temperature: written, scored and kept. */
export async function textsOf(
  models: LabModels,
  { cheat, temperature }: { readonly cheat: LabName; readonly temperature: 0 | 1 },
  sizes: Sizes,
  workFolder: string,
): Promise<ScoredText[]> {
  const count = countOf(cheat, temperature, sizes);
  const engines = { writer: labCheat(cheat).build(models), scorer: engineOf(models.real) };
  return scoredTexts(engines, labOrders(count, temperature), { workFolder, name: textName(cheat, temperature) });
}

/** All of them, or those of some cheats. Mixtures are made of others' texts. @param say one line of progress */
export async function allTexts(
  models: LabModels,
  sizes: Sizes,
  {
    workFolder,
    say,
    names = LAB_NAMES,
  }: { workFolder: string; say: (line: string) => void; names?: readonly LabName[] },
): Promise<Texts> {
  const texts: Record<string, readonly ScoredText[]> = {};
  for (const cheat of names.filter((name) => mixedShare(name) === null)) {
    for (const temperature of labCheat(cheat).temperatures) {
      const name = textName(cheat, temperature);
      texts[name] = await textsOf(models, { cheat, temperature }, sizes, workFolder);
      say(`${name}: ${texts[name].reduce((sum, { evidence }) => sum + evidence.length, 0)} tokens`);
    }
  }
  return texts;
}

/** Cheats that claim another class than the reference's: the wider its calibration, the more it lets pass. */
const CLAIMED_WIDER: readonly LabName[] = ['smaller_model', 'int4', 'int8'];

export interface Classes {
  readonly real: string;
  readonly fp16: string;
}

/** @throws {Error} where the calibration lacks a pair */
export function rowsOf(
  texts: Texts,
  calibration: Calibration,
  classes: Classes,
  {
    sizes,
    vocabSize,
    say,
  }: { readonly sizes: Sizes; readonly vocabSize: number; readonly say: (line: string) => void },
): Row[] {
  const rows: Row[] = [];
  const add = (row: Row) => {
    rows.push(row);
    say(lineOf(row));
  };
  const same = pairNamed(calibration, classes.real, classes.real);
  const wider = pairNamed(calibration, classes.fp16, classes.real);
  for (const cheat of LAB_NAMES) {
    const { title, temperatures } = labCheat(cheat);
    for (const temperature of temperatures) {
      const all = judgedTexts(texts, { cheat, temperature, pair: same, vocabSize });
      add(rowOf({ cheat, title, temperature }, all, sizes));
    }
  }
  for (const temperature of [0, 1] as const) {
    const honest = judgedTexts(texts, { cheat: 'fp16', temperature, pair: wider, vocabSize });
    add(rowOf({ cheat: 'honest_fp16', title: 'honest fp16', temperature }, honest, sizes));
    for (const cheat of CLAIMED_WIDER) {
      const all = judgedTexts(texts, { cheat, temperature, pair: wider, vocabSize });
      const title = `${labCheat(cheat).title}, claimed as fp16`;
      add(rowOf({ cheat: `${cheat}_as_fp16`, title, temperature }, all, sizes));
    }
  }
  return rows;
}

export function pairNamed(calibration: Calibration, generator: string, scorer: string): PairCalibration {
  const pair = pairOf(calibration, generator, scorer);
  if (pair === null) throw new Error(`the calibration has no pair ${generator} by ${scorer}`);
  return pair;
}

interface Wanted {
  readonly cheat: LabName;
  readonly temperature: 0 | 1;
  readonly pair: PairCalibration;
  readonly vocabSize: number;
}

/** A provider that mixes is as many of its honest responses to each of the others as its share says. */
export function judgedTexts(texts: Texts, { cheat, temperature, pair, vocabSize }: Wanted): JudgedText[] {
  const judgedOf = (name: LabName) => texts[textName(name, temperature)]!.map((text) => judged(text, pair, vocabSize));
  const share = mixedShare(cheat);
  if (share === null) return judgedOf(cheat);
  const bad = judgedOf('int4');
  const wanted = Math.round((bad.length * (1 - share)) / share);
  const honest = judgedOf('honest');
  return [...bad, ...Array.from({ length: wanted }, (_, i) => honest[i % honest.length]!)];
}

function rowOf(
  about: Pick<Row, 'cheat' | 'title' | 'temperature'>,
  texts: readonly JudgedText[],
  { paths, responsesMax }: Sizes,
): Row {
  const rngOf = (kind: string, i: number) => new SeededRng(`${about.cheat} T${about.temperature} ${kind} ${i}`);
  const many = <T>(kind: string, one: (rng: SeededRng) => T) =>
    Array.from({ length: paths }, (_, i) => one(rngOf(kind, i)));
  const full = many('full', (rng) => accountPath(texts, rng, { responsesMax }));
  const uncapped = many('uncapped', (rng) => uncappedPath(texts, rng, responsesMax));
  const bare = many('bare', (rng) => barePath(texts, rng, responsesMax));
  const tokens = texts.reduce((sum, text) => sum + text.tokens, 0);
  const share = (isSo: (text: JudgedText) => boolean) => texts.filter(isSo).length / texts.length;
  const reasons: Record<string, number> = {};
  for (const { conviction } of texts) if (conviction !== null) reasons[conviction] = (reasons[conviction] ?? 0) + 1;
  return {
    ...about,
    responses: texts.length,
    tokens,
    otherChoice: texts.reduce((sum, text) => sum + text.otherChoice, 0) / tokens,
    meanMargin: texts.reduce((sum, text) => sum + text.meanMargin * text.tokens, 0) / tokens,
    rejected: share(({ vote }) => vote === 'reject'),
    convicted: share(({ conviction }) => conviction !== null),
    reasons,
    quarantine: spreadOf(full.map(({ quarantine }) => quarantine)),
    slash: spreadOf(full.map(({ slash }) => slash)),
    uncapped: spreadOf(uncapped.map(({ slash }) => slash)),
    bare: spreadOf(bare.map(({ slash }) => slash)),
  };
}

function lineOf({ title, temperature, tokens, meanMargin, quarantine, slash, bare }: Row): string {
  const at = ({ median }: Spread) => (median === null ? 'never' : `${median.tokens} (${median.responses})`);
  const figures = `mean ${meanMargin.toFixed(5)}, quarantine ${at(quarantine)}, slash ${at(slash)}, bare ${at(bare)}`;
  return `${title}, T = ${temperature}: ${tokens} tokens, ${figures}`;
}
