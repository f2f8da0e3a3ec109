/** The judge that an offline verifier reads witnesses' evidence with: the gateway's own rule and figures (SPEC.md §10.4). Pure. */
import type { Calibration } from '#protocol/calibration';
import type { Hash } from '#protocol/hash';
import type { ScoreJudge } from '#protocol/verify';
import { tolerancesOf } from './classes.ts';
import { judgeScore } from './score.ts';

/** @param calibrationOf the calibration file with this hash; null where the verifier has it not: then it does not judge */
export function witnessJudge(calibrationOf: (hash: Hash) => Calibration | null): ScoreJudge {
  return (claimed, evidence, { scorer, member, calibration: hash }) => {
    const calibration = hash === null ? null : calibrationOf(hash);
    if (hash !== null && calibration === null) return undefined;
    return judgeScore(claimed, evidence, tolerancesOf(calibration, scorer, member))?.vote ?? null;
  };
}
