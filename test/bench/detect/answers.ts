/** Judged answers of the laboratory as a record: what the simulation of the economy draws from in place of made-up machines. */
import type { Calibration } from '#protocol/calibration';
import { LAB_NAMES, type LabModels, type LabName, labCheat, mixedShare } from '../../cheats/lab/lab.ts';
import { judgedTexts, pairNamed, type Texts, textName } from './rows.ts';

/** One answer: tokens that were asked for at most, tokens that came, 1 where it convicts by itself, a factor for every bet; numbers between spaces, so that it is a line. */
export type RecordedAnswer = string;

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
export const RECORDED: readonly LabName[] = LAB_NAMES.filter((name) => mixedShare(name) === null);
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
      return [written[at]!.order.maxTokens, judged.tokens, judged.conviction === null ? 0 : 1, ...factors].join(' ');
    });
    return { cheat, title: labCheat(cheat).title, answers };
  });
}

/** What the line of an answer says. */
export function parseAnswer(line: RecordedAnswer) {
  const [maxTokens, tokens, convicts, ...factors] = line.split(' ').map(Number);
  return { maxTokens: maxTokens!, tokens: tokens!, convicts: convicts === 1, factors };
}
