/**
 * Positions of honest responses as tables: what each is expected to count for, and what it counts for at every range, if the generator
 * takes the worst token that the range lets it take. Made by the judge's own functions, so that a million nulls cost no million judgements.
 */
import { LOGIT_Q16_MIN, LOGIT_SCALE, MASS_Q32_ONE, type TokenEvidence } from '#protocol/evidence';
import { perturbedScore } from '#protocol/sampler';
import { BETS } from '#protocol/wealth';
import {
  type DifferenceBounds,
  expectedMargin,
  type SurvivalSteps,
  tokenTerm,
} from '../../../gateway/judge/compensator.ts';
import { SeededRng } from '../../simulation/seeded-rng.ts';
import { sampled } from '../../unit/judge-fixture.ts';

/** Tokens that a position lists; all that is kept, so that the margins say everything. */
const LISTED = 8;

/** The bets on margins, whose factors the tables hold. */
export const MARGIN_BETS = BETS.filter(({ test }) => test === 'margin');

/** A discrete law of ranges that meets a calibration's bounds exactly: nothing worse is allowed. */
export interface RangeLaw {
  readonly bounds: DifferenceBounds;
  /** Ranges, ascending; the last is beyond every gap. */
  readonly ranges: readonly number[];
  readonly probabilities: readonly number[];
}

/** P(range >= g) is the bound at every gap g: the range sits on gaps, and beyond all of them with the last bound. */
export function lawOf(steps: SurvivalSteps): RangeLaw {
  const ranges = [...steps.map(({ gap }) => gap), Number.POSITIVE_INFINITY];
  const atLeast = [1, ...steps.map(({ upper }) => upper), 0];
  const probabilities = ranges.map((_, i) => atLeast[i]! - atLeast[i + 1]!);
  const survival = { survival: steps };
  return { bounds: { tie: 0.25, border: 0.25, nearGap: 0, near: survival, apart: survival }, ranges, probabilities };
}

export interface Position {
  readonly expected: number;
  /** Distance of the two best scores. */
  readonly nearest: number;
  /** By range. */
  readonly observed: readonly number[];
  readonly evidence: TokenEvidence;
  /** The worst token at each range. */
  readonly tokens: readonly (readonly [id: number, logit: number])[];
}

const order = { sampling: sampled({}), seed: 5n, position: 0 };

/** @param isWanted which positions a client's prompts lead to, by the distance of the two best scores in logits */
export function positionsOf(
  law: RangeLaw,
  count: number,
  name: string,
  isWanted: (nearest: number) => boolean,
): Position[] {
  const rng = new SeededRng(name);
  const positions: Position[] = [];
  while (positions.length < count) {
    const logits = Array.from({ length: LISTED }, (_, id) => [id, Math.round(LOGIT_SCALE * 3 * rng.unit())] as const);
    const score = ([id, logit]: readonly [number, number]) =>
      perturbedScore(logit / LOGIT_SCALE, 1, order.seed, order.position, id);
    const top = logits.sort((a, b) => score(b) - score(a));
    if (!isWanted(score(top[0]!) - score(top[1]!))) continue;
    positions.push(positionOf(law, top));
  }
  return positions;
}

function positionOf({ bounds, ranges }: RangeLaw, top: TokenEvidence['top']): Position {
  const [chosen, chosenLogit] = top[0]!;
  const evidence = { chosen, chosenLogit, keptCount: LISTED, lastKeptLogit: LOGIT_Q16_MIN, massQ32: MASS_Q32_ONE, top };
  const claims = top.map(([id, logit]) => {
    const behind =
      perturbedScore(chosenLogit / LOGIT_SCALE, 1, order.seed, order.position, chosen) -
      perturbedScore(logit / LOGIT_SCALE, 1, order.seed, order.position, id);
    const { observed } = tokenTerm({ ...evidence, chosen: id, chosenLogit: logit }, order, bounds);
    return { behind, observed, token: [id, logit] as const };
  });
  const worst = ranges.map((range) => claims.filter(({ behind }) => behind <= range).at(-1)!);
  return {
    expected: expectedMargin(evidence, order, bounds),
    nearest: tokenTerm(evidence, order, bounds).nearest,
    observed: worst.map(({ observed }) => observed),
    evidence,
    tokens: worst.map(({ token }) => token),
  };
}

/** Gains of every position, bet and range, as `responseFactors` takes them: index (position · bets + bet) · ranges + range. */
export function gainTable(law: RangeLaw, positions: readonly Position[]): Float64Array {
  const width = law.ranges.length;
  const gains = new Float64Array(positions.length * MARGIN_BETS.length * width);
  let at = 0;
  for (const { expected, nearest, observed } of positions) {
    for (const { stake, reach } of MARGIN_BETS) {
      const scaled = nearest > reach ? 0 : Math.min(stake, 1 / expected);
      for (const value of observed) gains[at++] = scaled * (value - expected);
    }
  }
  return gains;
}
