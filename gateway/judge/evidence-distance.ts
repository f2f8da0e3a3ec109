/** How far two evidences of one position are from one another (spec-judge.md §7.6). Pure. */
import { LOGIT_Q16_MIN, LOGIT_SCALE, MASS_Q32_ONE, type TokenEvidence } from '#protocol/evidence';
import { gumbelNoise } from '#protocol/philox';
import type { Sampling } from '#protocol/sampling';

/** Two machines' evidence of one position, about one claimed token. */
export interface EvidencePair {
  readonly position: number;
  readonly own: TokenEvidence;
  readonly scored: TokenEvidence;
}

/** How the position was sampled. */
export interface DistanceOrder {
  readonly sampling: Sampling;
  readonly seed: bigint;
}

/**
 * Distance in logits: the larger one of what they list and of what they leave out. For honest machines what they list is at most the
 * position's range (§7.2) apart, whatever they list.
 */
export function evidenceDistance(pair: EvidencePair, order: DistanceOrder): number {
  return Math.max(sharedDistance(pair) ?? provenDistance(pair, order), shareDistance(pair, order.sampling));
}

/**
 * Median difference of logits that both list, taken to the claimed token's, so that a constant shift says nothing.
 * @returns null where they share less than half of what they list: two honest lists of eight nearly coincide, but for equal tokens
 */
export function sharedDistance({ own, scored }: Pick<EvidencePair, 'own' | 'scored'>): number | null {
  const theirs = new Map(scored.top);
  const differences = own.top.flatMap(([id, logit]) => {
    const other = theirs.get(id);
    if (other === undefined || id === own.chosen) return [];
    return [Math.abs(logit - own.chosenLogit - (other - scored.chosenLogit)) / LOGIT_SCALE];
  });
  // The claimed token is not counted, and a support of few tokens has few to compare: `shareDistance` reads those.
  const comparable = Math.min(own.top.length, scored.top.length) - 1;
  if (differences.length < Math.floor(comparable / 2)) return null;
  differences.sort((a, b) => a - b);
  return differences[Math.floor(differences.length / 2)] ?? 0;
}

/**
 * Least that some token's logit, taken to the claimed one's, differs by: of a token that one side alone lists its place on the other
 * side bounds it. Any number of tokens that are equal, at the border of a support or of a list, proves nothing by that.
 *
 * Nothing is gained by lists that share little: where neither is restricted, the token that the judge would have taken stands on its list
 * and scores no more than the claimed one on the accused's, listed or not, so that the distance is the margin at least.
 */
function provenDistance({ own, scored, position }: EvidencePair, { sampling, seed }: DistanceOrder): number {
  const noise = (id: number) =>
    sampling.temperature === 0 ? 0 : sampling.temperature * gumbelNoise(seed, position, id) * LOGIT_SCALE;
  const least = (one: TokenEvidence, other: TokenEvidence): number => {
    const known = new Map(other.top);
    const shift = other.chosenLogit - one.chosenLogit;
    const differences = one.top.map(([id, logit]) => {
      if (id === one.chosen) return 0;
      const listed = known.get(id);
      return listed === undefined ? logit + shift - mostUnlisted(other, noise, id) : Math.abs(logit + shift - listed);
    });
    // Who kept as many tokens or more has none lower as its last, but by as much as logits differ.
    const areRestricted = one.lastKeptLogit !== LOGIT_Q16_MIN && other.lastKeptLogit !== LOGIT_Q16_MIN;
    const border =
      areRestricted && one.keptCount >= other.keptCount ? one.lastKeptLogit + shift - other.lastKeptLogit : 0;
    return Math.max(border, ...differences);
  };
  return Math.max(0, least(own, scored), least(scored, own)) / LOGIT_SCALE;
}

/** Highest logit that a token may have which is not listed, in 2^-16: it was cut off, or scored at most as much as the last listed one. */
function mostUnlisted({ top, keptCount, lastKeptLogit }: TokenEvidence, noise: (id: number) => number, id: number) {
  if (top.length === keptCount) return lastKeptLogit;
  const [last, logit] = top[top.length - 1]!;
  return Math.max(lastKeptLogit, logit + noise(last) - noise(id));
}

/**
 * How much likelier the accused says its token was than the judge can see, in logits: log odds, or log share, times T. Under top-p
 * evidence may claim that nothing but the token was kept and list nothing that could be compared; its mass then says
 * how likely the token was. 0 where the accused lists too little to know.
 */
function shareDistance({ own, scored }: EvidencePair, { temperature, topK, topP }: Sampling): number {
  if (temperature === 0 || own.keptCount !== own.top.length || own.massQ32 === 0) return 0;
  const mine = shareOf(own, own.top.length, temperature);
  // At least the lightest kept logit for every token that the judge kept and did not list: an upper bound of the share.
  const theirs = shareOf(scored, scored.keptCount, temperature);
  // Of what top-k kept the token may have been the accused's last and just not the judge's: sums of the k largest weights are
  // within a tie of each other, and so are shares, but not odds.
  if (topK > 0 && topP < 1) return temperature * (logShare(mine) - logShare(theirs));
  return temperature * (logOdds(mine) - logOdds(theirs));
}

/** Share of `chosen` in what `massQ32` is a share of, if those that are kept and not listed weigh as little as they can. */
function shareOf(evidence: TokenEvidence, keptCount: number, temperature: number): number {
  const weightOf = (logit: number) => Math.exp((logit - evidence.chosenLogit) / LOGIT_SCALE / temperature);
  const listed = evidence.top.reduce((sum, [, logit]) => sum + weightOf(logit), 0);
  const rest = (keptCount - evidence.top.length) * weightOf(evidence.lastKeptLogit);
  return evidence.massQ32 / MASS_Q32_ONE / (listed + rest);
}

/** Closest that a share is read to 0 or 1: masses carry 2^-32, of which this is 430, so that rounding says nothing. */
const SHARE_EDGE = 1e-7;

function logShare(share: number): number {
  return Math.log(Math.max(SHARE_EDGE, share));
}

function logOdds(share: number): number {
  const inside = Math.min(1 - SHARE_EDGE, Math.max(SHARE_EDGE, share));
  return Math.log(inside / (1 - inside));
}
