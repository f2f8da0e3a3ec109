/** Honest answers position by position, and what the judge makes of one alone (spec-judge.md §7.6). */
import type { PairCalibration, Tolerances } from '#protocol/calibration';
import { LOGIT_SCALE, MARGIN_CLIP, type TokenEvidence } from '#protocol/evidence';
import { type ComparedPosition, type Conviction, convict } from '../../gateway/judge/convict.ts';
import { shippedCalibration } from '../bench/newest.ts';
import { type ClientKind, type Kind, MarginMaker, type MarginScenario, type Pool } from '../bench/nulls/margins.ts';
import type { Dependence } from '../bench/nulls/nulls.ts';
import type { RangeLaw } from '../bench/nulls/pool.ts';
import { sampled } from '../unit/judge-fixture.ts';

/** What decides of a pair's tolerances whether one answer convicts. */
export type SingleRules = Pick<Tolerances, 'reject' | 'gross'>;

/** A maker of answers that says which range each of its tokens had. */
export class WatchedMaker extends MarginMaker {
  readonly law: RangeLaw;
  kind: Kind | null = null;
  picked: readonly number[] = [];
  /** Indices in the law's ranges. */
  ranges: readonly number[] = [];

  constructor(scenario: MarginScenario, pool: Pool, seed: number) {
    super(scenario, pool, seed);
    this.law = scenario.law;
  }

  override take(kind: Kind, picked: readonly number[], rangeOf: (token: number) => number): void {
    const ranges = picked.map((_, token) => rangeOf(token));
    this.kind = kind;
    this.picked = picked;
    this.ranges = ranges;
    super.take(kind, picked, (token) => ranges[token]!);
  }
}

/** Ranges as they were measured, each the largest of its quantile; `stretch` makes all of them wider. */
export function measuredLaw(pair: PairCalibration, stretch = 1): RangeLaw {
  const { quantiles } = pair;
  return {
    bounds: pair,
    ranges: quantiles.map(({ range }) => stretch * range),
    probabilities: quantiles.map(({ share }, i) => share - (quantiles[i - 1]?.share ?? 0)),
  };
}

/** What clients do and how far ranges of one answer depend on each other, by turns. */
const TURNS: readonly (readonly [ClientKind, Dependence])[] = [
  ['near_ties', 'shared'],
  ['adaptive', 'half'],
  ['mixed', 'independent'],
];

/** Of every pair of classes of the shipped calibration. */
export function measuredScenarios(stretch = 1): { readonly law: MarginScenario; readonly rules: SingleRules }[] {
  return shippedCalibration().pairs.map((pair, at) => {
    const [client, dependence] = TURNS[at % TURNS.length]!;
    const { generator, scorer, reject, gross } = pair;
    const name = `${generator} by ${scorer}, ${dependence} ranges, client ${client}`;
    const law = { name, law: measuredLaw(pair, stretch), dependence, client, bought: 0, responses: 0, seed: 1 + at };
    return { law, rules: { reject, gross } };
  });
}

/** Least factor, over all pairs, by which the largest range ever measured is below what three tokens at the clip take. */
export function leastHeadroom(): number {
  const largest = shippedCalibration().pairs.map(({ quantiles }) => quantiles.at(-1)!.range);
  return MARGIN_CLIP / Math.max(...largest);
}

/** Farther apart than any logits: what infinite ranges are taken for. */
const RANGE_MAX = 32;
const SAMPLING = sampled({});

export interface SingleFinding {
  readonly isRejected: boolean;
  readonly conviction: Conviction | null;
}

/**
 * As a dispute rules (§7.7): where the referee rejects, by evidence that is far off or tokens at the clip in two scorers' eyes, who see the same. All positions are opened, where
 * sixteen are at most; each token's evidence is off by all of its range, and margins are the largest that the range allows.
 */
export function singleFinding(
  { kind, picked, ranges, law }: Pick<WatchedMaker, 'kind' | 'picked' | 'ranges' | 'law'>,
  rules: SingleRules,
): SingleFinding {
  const observed = picked.map((at, token) => kind!.positions[at]!.observed[ranges[token]!]!);
  const largest = Math.max(...observed);
  if (largest * MARGIN_CLIP < Math.min(rules.reject, MARGIN_CLIP)) return { isRejected: false, conviction: null };
  const clippedAt = observed.flatMap((margin, token) => (margin >= 1 ? [token] : []));
  const judgement = {
    vote: 'reject' as const,
    tokens: picked.length,
    atClip: clippedAt.length,
    clippedAt,
    meanMargin: observed.reduce((sum, margin) => sum + margin, 0) / picked.length,
    largestMargin: largest * MARGIN_CLIP,
  };
  const compared = picked.map((at, token): ComparedPosition => {
    const { evidence, tokens } = kind!.positions[at]!;
    const [chosen, chosenLogit] = tokens[ranges[token]!]!;
    const scored: TokenEvidence = { ...evidence, chosen, chosenLogit };
    return { position: token, own: movedBy(scored, Math.min(RANGE_MAX, law.ranges[ranges[token]!]!)), scored };
  });
  const tokens = compared.map(({ scored }) => scored.chosen);
  const accused = { tokens, sampling: SAMPLING, seed: 0n };
  const conviction = convict(accused, compared, [judgement, judgement], { tie: 0, border: 0, ...rules });
  return { isRejected: true, conviction };
}

/** The generator's: every other token is behind the claimed one by so much more. */
function movedBy(scored: TokenEvidence, range: number): TokenEvidence {
  const top = scored.top.map(([id, logit]) => {
    return [id, id === scored.chosen ? logit : logit - Math.round(range * LOGIT_SCALE)] as const;
  });
  return { ...scored, top };
}
