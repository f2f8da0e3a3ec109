/** Judged answers of the laboratory as a record: what the simulation of the economy draws from in place of made-up machines. */
import type { Calibration } from '#protocol/calibration';
import { LAB_NAMES, type LabModels, type LabName, labCheat } from '../../cheats/lab/lab.ts';
import { judgedTexts, pairNamed, type Texts, textName } from './rows.ts';

/** One answer: tokens that were asked for at most, tokens that came, whether it convicts by itself, and a factor for every bet. */
export type RecordedAnswer = readonly [maxTokens: number, tokens: number, convicts: 0 | 1, ...factors: number[]];

export interface RecordedCheat {
  readonly cheat: LabName;
  readonly title: string;
  /** In the order of the laboratory's orders, so that the same place is the same prompt for every cheat. */
  readonly answers: readonly RecordedAnswer[];
}

export interface AnswersRecord {
  readonly date: string;
  readonly commit: string;
  readonly machine: string;
  readonly command: string;
  readonly calibration: string;
  readonly cheats: readonly RecordedCheat[];
}

/** Mixtures are made of others' answers, share by share, where they are drawn. */
export const RECORDED: readonly LabName[] = LAB_NAMES.filter((name) => name !== 'mixed');
/** Significant digits of a factor: what is dropped is less than a millionth of it. */
const DIGITS = 7;

/** At temperature 1, judged as the class that they claim. */
export function recordedCheats(models: LabModels, texts: Texts, calibration: Calibration): RecordedCheat[] {
  const { numericClass, vocabSize } = models.real.info;
  const pair = pairNamed(calibration, numericClass, numericClass);
  return RECORDED.map((cheat) => {
    const written = texts[textName(cheat, 1)]!;
    const answers = judgedTexts(texts, { cheat, temperature: 1, pair, vocabSize }).map((judged, at): RecordedAnswer => {
      const factors = judged.factors.map((factor) => Number(factor.toPrecision(DIGITS)));
      return [written[at]!.order.maxTokens, judged.tokens, judged.conviction === null ? 0 : 1, ...factors];
    });
    return { cheat, title: labCheat(cheat).title, answers };
  });
}

/** JSON with an answer on a line, so that a change of one is seen as one. */
export function recordText(record: AnswersRecord): string {
  const { cheats, ...about } = record;
  const lines = cheats.map(({ answers, ...cheat }) => {
    const rows = answers.map((answer) => `      ${JSON.stringify(answer)}`).join(',\n');
    return `    {\n      "cheat": "${cheat.cheat}",\n      "title": ${JSON.stringify(cheat.title)},\n      "answers": [\n${rows}\n      ]\n    }`;
  });
  const head = JSON.stringify(about, null, 2).replace(/\n}$/, '');
  return `${head},\n  "cheats": [\n${lines.join(',\n')}\n  ]\n}\n`;
}
