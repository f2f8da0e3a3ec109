/** What one half of the recorded answers predicts, and what providers do that answer with the other half. */
import { LAB_NAMES, mixedShare } from '../cheats/lab/lab.ts';
import { C_NANO } from './answer-prices.ts';
import { halvesOf, type KnownCheat, type RecordedAnswers } from './answers.ts';
import { measureDetection, type Trials } from './detection.ts';
import { sometimes } from './strategies.ts';
import { foundWithin, type ThresholdRow, threshold, type WithinRow } from './thresholds.ts';
import type { World } from './world.ts';

/** No audit finds these, so that no run of them ends. */
const UNSEEN = ['fp16', 'fp16_kv', 'steer_tie'];
const STAKES = [50, 100, 300, 1_000, 3_000];

/** One way to cheat on every answer, or on so many of them. */
export interface Subject {
  readonly cheat: KnownCheat;
  readonly share: number;
}

/** Every cheat of the laboratory that can be found; mixtures are made of int4's answers, share by share, as the laboratory makes them. */
export function subjectsOf({ cheats }: RecordedAnswers): Subject[] {
  const found = [...cheats.values()].filter(({ name }) => !UNSEEN.includes(name));
  const mixtures = LAB_NAMES.flatMap((name): Subject[] => {
    const share = mixedShare(name);
    return share === null ? [] : [{ cheat: { ...cheats.get('int4')!, name }, share }];
  });
  return [...found.map((cheat) => ({ cheat, share: 1 })), ...mixtures];
}

export interface PredictedRow extends WithinRow {
  /** The half that predicted; providers answered with the other one. */
  readonly predictedBy: number;
}

/** Each half predicts, the other has to show it. @param world at a fixed rate */
export function withinOf(
  world: World,
  recorded: RecordedAnswers,
  trials: Trials,
  runs: number,
  seed: number,
): PredictedRow[] {
  const halves = halvesOf(recorded);
  return halves.flatMap((half, predictedBy) => {
    const other = halves[1 - predictedBy]!;
    const shown = subjectsOf(other);
    return subjectsOf(half).map(({ cheat, share }, at): PredictedRow => {
      const prediction = measureDetection(cheat, half.honest, share, { ...trials, resamples: true });
      const strategy = sometimes(shown[at]!.cheat, share);
      const row = foundWithin({ ...world, honest: other.honest }, strategy, prediction, runs, seed + predictedBy);
      return { ...row, predictedBy };
    });
  });
}

/** The first half predicts at which rate cheating stops to pay. */
export function thresholdsOf(
  world: World,
  recorded: RecordedAnswers,
  trials: Trials,
  { collusions, payDelays }: { readonly collusions: readonly number[]; readonly payDelays: readonly number[] },
  runs: number,
  seed: number,
): ThresholdRow[] {
  const [half, other] = halvesOf(recorded);
  return ['smaller_model', 'replay', 'int4', 'int8'].flatMap((name) => {
    const prediction = measureDetection(half.cheats.get(name)!, half.honest, 1, trials);
    const cheat = other.cheats.get(name)!;
    return STAKES.flatMap((stake) =>
      collusions.flatMap((collusionPpm) =>
        payDelays.flatMap((payDelay) => {
          const at = { ...world, honest: other.honest, stakeNano: BigInt(stake) * C_NANO };
          const row = threshold({ ...at, collusionPpm, payDelay }, cheat, prediction, runs, seed + stake);
          return row === null ? [] : [row];
        }),
      ),
    );
  });
}
