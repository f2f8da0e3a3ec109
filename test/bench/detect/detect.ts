/** All parts of the record that a run makes of its texts. */
import type { Calibration, PairCalibration } from '#protocol/calibration';
import { tokenTerm } from '../../../gateway/judge/compensator.ts';
import type { LabModels } from '../../cheats/lab/lab.ts';
import { engineOf } from '../../cheats/lab/token-loop.ts';
import { liarFactors, liarRows } from './liars.ts';
import { judgedTexts, pairNamed, rowsOf, type Sizes, type Texts, textName } from './rows.ts';
import { accepting, captures, computing, copyRounds, earlyStops, greedyCopies, trials } from './structural.ts';
import type { DetectRecord, Floor } from './table.ts';
import type { ScoredText } from './text.ts';

export interface DetectInput {
  readonly models: LabModels;
  readonly texts: Texts;
  readonly calibration: Calibration;
  readonly sizes: Sizes;
  readonly say: (line: string) => void;
}

/** Honest answers that scorers are tried with, and that liars slander. */
const TRIED = 96;

type Found = Omit<DetectRecord, 'date' | 'commit' | 'machine' | 'command' | 'calibration'>;

export async function detect({ models, texts, calibration, sizes, say }: DetectInput): Promise<Found> {
  const { vocabSize, numericClass } = models.real.info;
  const classes = { real: numericClass, fp16: models.fp16.info.numericClass };
  const same = pairNamed(calibration, classes.real, classes.real);
  const wider = pairNamed(calibration, classes.fp16, classes.real);
  const rows = rowsOf(texts, calibration, classes, { sizes, vocabSize, say });
  const honestText = [...texts[textName('honest', 0)]!, ...texts[textName('honest', 1)]!];
  const fp16Text = [...texts[textName('fp16', 0)]!, ...texts[textName('fp16', 1)]!];
  const sampled = texts[textName('honest', 1)]!;
  const tried = sampled.slice(0, TRIED);
  const referee = { engine: engineOf(models.real), pair: same, paths: sizes.paths };
  const structural = [
    ...earlyStops(sampled, models.real.text),
    await copyRounds(sampled, referee, sizes),
    greedyCopies(texts[textName('honest', 0)]!, same),
    await trials(
      tried,
      { attack: 'a scorer that computes minnow-1m', answer: computing(engineOf(models.small)) },
      referee,
    ),
    await trials(tried, { attack: 'a scorer that computes int4', answer: computing(engineOf(models.int4)) }, referee),
    await trials(tried, { attack: 'a scorer that accepts and computes nothing', answer: accepting }, referee),
    await trials(tried, { attack: 'an honest scorer', answer: computing(engineOf(models.real)) }, referee),
  ];
  const judgedOf = (cheat: 'honest' | 'int4') => judgedTexts(texts, { cheat, temperature: 1, pair: same, vocabSize });
  const liars = liarRows({
    honest: judgedOf('honest').slice(0, TRIED),
    slandered: await liarFactors(tried, engineOf(models.small), same),
    cheat: judgedOf('int4'),
    ...sizes,
  });
  return {
    floors: [floorOf(honestText, same), floorOf(fp16Text, wider)],
    lengths: lengthsOf(honestText),
    sizes,
    rows,
    structural,
    liars,
    captures: captures(),
  };
}

function floorOf(texts: readonly ScoredText[], pair: PairCalibration): Floor {
  const terms = texts.flatMap(({ scored, order: { sampling, seed } }) =>
    scored.map((item, position) => tokenTerm(item, { sampling, seed, position }, pair)),
  );
  const mean = (of: (term: (typeof terms)[number]) => number) =>
    terms.reduce((sum, term) => sum + of(term), 0) / terms.length;
  return {
    pair: `${pair.generator}, ${pair.scorer}`,
    responses: pair.apart.units,
    near: pair.near.survival.at(-1)!.upper,
    apart: pair.apart.survival.at(-1)!.upper,
    expected: mean(({ expected }) => expected),
    observed: mean(({ observed }) => observed),
  };
}

function lengthsOf(texts: readonly ScoredText[]) {
  const lengths = texts.map(({ evidence }) => evidence.length).sort((a, b) => a - b);
  return {
    tokensMean: lengths.reduce((sum, length) => sum + length, 0) / lengths.length,
    tokensMedian: lengths[Math.floor(lengths.length / 2)]!,
    tokensMax: lengths.at(-1)!,
  };
}
