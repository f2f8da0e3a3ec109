/** Which faults one response proves by itself; all else is left to statistics over many (spec-judge.md §7.6). Pure. */
import type { Tolerances } from '#protocol/calibration';
import { evidenceConsistent, LOGIT_SCALE, MASS_Q32_ONE, type TokenEvidence } from '#protocol/evidence';
import type { Sampling } from '#protocol/sampling';
import type { Fault } from '#protocol/verdict';
import type { ScoreJudgement } from './score.ts';

/** Tokens at the clip, in every one of two scorers' eyes, that convict: one or two may be honest surprise. */
export const CLIPPED_TOKENS_MIN = 3;
/** Positions at which committed logits must be grossly off; all of them in a transcript that is shorter. */
export const OFF_POSITIONS_MIN = 3;

/** A position that the accused has opened: its own committed evidence. */
export interface OpenedPosition {
  readonly position: number;
  readonly own: TokenEvidence;
}

/** The same beside a judge's evidence for the same claimed token. */
export interface ComparedPosition extends OpenedPosition {
  readonly scored: TokenEvidence;
}

/** The order that the accused worked on, and what it answered. */
export interface AccusedTranscript {
  readonly tokens: readonly number[];
  readonly sampling: Sampling;
  readonly seed: bigint;
  readonly vocabSize: number;
}

export interface Conviction {
  readonly fault: Fault;
  readonly reason: 'self_contradiction' | 'evidence_far_off' | 'tokens_at_clip';
  /** Positions or tokens that show it. */
  readonly count: number;
}

/**
 * Evidence that no run of the sampler makes, whatever the model computes: the accused's own signature proves it, so no
 * judge is needed. Prefilled evidence of the real model under cheap tokens ends here: those tokens do not win.
 */
export function selfContradiction(accused: AccusedTranscript, opened: readonly OpenedPosition[]): Conviction | null {
  const { sampling, seed, vocabSize, tokens } = accused;
  const { length } = opened.filter(
    ({ position, own }) =>
      own.chosen !== tokens[position] || !evidenceConsistent(own, { sampling, seed, position, vocabSize }).ok,
  );
  return length > 0 ? { fault: 'bad_evidence', reason: 'self_contradiction', count: length } : null;
}

/**
 * What differences from a judge's evidence prove. Call it only against an accused whom the referee has rejected.
 * @param judgements by judges of distinct operators, the referee included
 * @param tolerances of the pair (accused, judge whose evidence is compared); null convicts of nothing
 */
export function convict(
  accused: Pick<AccusedTranscript, 'tokens' | 'sampling'>,
  compared: readonly ComparedPosition[],
  judgements: readonly ScoreJudgement[],
  tolerances: Tolerances | null,
): Conviction | null {
  if (tolerances === null) return null;
  const off = compared.filter((item) => evidenceDistance(item, accused.sampling) > tolerances.gross).length;
  if (off > 0 && off >= Math.min(OFF_POSITIONS_MIN, accused.tokens.length)) {
    return { fault: 'wrong_output', reason: 'evidence_far_off', count: off };
  }
  const clipped = judgements.filter((judgement) => judgement.atClip >= CLIPPED_TOKENS_MIN);
  if (clipped.length >= 2) {
    return { fault: 'wrong_output', reason: 'tokens_at_clip', count: Math.min(...clipped.map((item) => item.atClip)) };
  }
  return null;
}

/** What a share depends on. */
type Support = Pick<Sampling, 'temperature' | 'topK' | 'topP'>;

/** Distance of two evidences of one position, in logits: the larger one of what they list and of what they leave out. */
export function evidenceDistance(pair: Pick<ComparedPosition, 'own' | 'scored'>, sampling: Support): number {
  return Math.max(listedDistance(pair), shareDistance(pair, sampling));
}

/** Median difference of logits that both list, taken to the claimed token's, so that a constant shift says nothing. */
function listedDistance({ own, scored }: Pick<ComparedPosition, 'own' | 'scored'>): number {
  const theirs = new Map(scored.top);
  const differences = own.top.flatMap(([id, logit]) => {
    const other = theirs.get(id);
    if (other === undefined || id === own.chosen) return [];
    return [Math.abs(logit - own.chosenLogit - (other - scored.chosenLogit)) / LOGIT_SCALE];
  });
  // The claimed token is not counted, and a support of few tokens has few to compare: `shareDistance` reads those.
  const comparable = Math.min(own.top.length, scored.top.length) - 1;
  // Two honest lists of eight nearly coincide; lists that share less than half are as far apart as any.
  if (differences.length < Math.floor(comparable / 2)) return Number.POSITIVE_INFINITY;
  differences.sort((a, b) => a - b);
  return differences[Math.floor(differences.length / 2)] ?? 0;
}

/**
 * How much likelier the accused says its token was than the judge can see, in logits: log odds, or log share, times T. Under top-p
 * evidence may claim that nothing but the token was kept and list nothing that could be compared; its mass then says
 * how likely the token was. 0 where the accused lists too little to know.
 */
function shareDistance(
  { own, scored }: Pick<ComparedPosition, 'own' | 'scored'>,
  { temperature, topK, topP }: Support,
): number {
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
