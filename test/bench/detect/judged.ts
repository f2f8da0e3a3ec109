/** What the judge makes of one response: by itself, and as factors of its provider's account. Pure. */
import type { PairCalibration } from '#protocol/calibration';
import { openedPositions } from '../../../gateway/dispute/finding.ts';
import { convict, selfContradiction } from '../../../gateway/judge/convict.ts';
import { BARE_FACTOR_RULES, FACTOR_RULES, responseFactors } from '../../../gateway/judge/factors.ts';
import { judgeScore } from '../../../gateway/judge/score.ts';
import { tokensOf } from '../../../provider/calibrate/corpus.ts';
import type { ScoredText } from './text.ts';

/** Blocks of a response are still averaged, which holds whatever they have in common; no factor is capped. */
const UNCAPPED_RULES = { ...FACTOR_RULES, blockMax: Number.POSITIVE_INFINITY, responseMax: Number.POSITIVE_INFINITY };

export interface JudgedText {
  readonly tokens: number;
  /** Tokens that the scorer would not have taken. */
  readonly otherChoice: number;
  readonly meanMargin: number;
  readonly vote: 'accept' | 'abstain' | 'reject';
  /** Why a dispute about this response alone convicts; null where it does not. */
  readonly conviction: string | null;
  readonly factors: readonly number[];
  readonly uncapped: readonly number[];
  readonly bare: readonly number[];
  /** Of the first tokens alone, without caps, token by token. */
  bareOf(tokens: number): readonly number[];
}

/** @param pair the claimed class as the scorer sees it @throws {Error} where the score is void: then it was no honest scorer's */
export function judged(text: ScoredText, pair: PairCalibration, vocabSize: number): JudgedText {
  const { sampling, seed } = text.order;
  const tokens = tokensOf(text);
  const claimed = { tokens, sampling, seed };
  const judgement = judgeScore(claimed, text.scored, pair);
  if (judgement === null) throw new Error('the evidence of an honest scorer is void');
  const whole = { claimed, evidence: text.scored, bounds: pair };
  const factorsBy = (rules: typeof FACTOR_RULES) => responseFactors(whole, rules)!;
  const prefixes = new Map<number, readonly number[]>();
  const bareOf = (count: number): readonly number[] => {
    const known = prefixes.get(count);
    if (known) return known;
    const first = { claimed: { ...claimed, tokens: tokens.slice(0, count) }, evidence: text.scored.slice(0, count) };
    const factors = responseFactors({ ...first, bounds: pair }, BARE_FACTOR_RULES)!;
    prefixes.set(count, factors);
    return factors;
  };
  return {
    tokens: tokens.length,
    otherChoice: text.scored.filter(({ chosen, top }) => top[0]![0] !== chosen).length,
    meanMargin: judgement.meanMargin,
    vote: judgement.vote,
    conviction: judgement.vote === 'reject' ? convictionOf(text, pair, vocabSize) : null,
    factors: factorsBy(FACTOR_RULES),
    uncapped: factorsBy(UNCAPPED_RULES),
    bare: bareOf(tokens.length),
    bareOf,
  };
}

/** As a dispute rules that a rejection has opened: a referee and a scorer of another operator have seen the same (§7.6, §7.7). */
function convictionOf(text: ScoredText, pair: PairCalibration, vocabSize: number): string | null {
  const { sampling, seed } = text.order;
  const tokens = tokensOf(text);
  const judgement = judgeScore({ tokens, sampling, seed }, text.scored, pair)!;
  const opened = openedPositions(tokens.length, tokens.length, judgement.clippedAt).map((position) => {
    return { position, own: text.evidence[position]!, scored: text.scored[position]! };
  });
  const contradiction = selfContradiction({ tokens, sampling, seed, vocabSize }, opened);
  const conviction = contradiction ?? convict({ tokens, sampling, seed }, opened, [judgement, judgement], pair);
  return conviction?.reason ?? null;
}
