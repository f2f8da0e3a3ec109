/** From scores of one response to the account of its provider, in one call (spec-judge.md §7.10). Pure. */
import {
  type AccountStanding,
  confirmedFactors,
  type EvidenceAccount,
  type FeedOutcome,
  feed,
  isSurprising,
  type ScoreFactors,
  standingOf,
} from '#protocol/evidence-account';
import { FACTOR_RULES, type FactorRules, responseFactors, type ScoredResponse } from './factors.ts';

/** One response and all scores of it; the drawn scorer's first. */
export interface JudgedResponse {
  readonly responseId: string;
  readonly promptId: string;
  readonly client: string;
  /** Whether the gateway chose the prompt. */
  readonly own: boolean;
  readonly scores: readonly (ScoredResponse & { readonly operator: string })[];
}

export interface ResponseOutcome extends AccountStanding {
  /** `void`: no score that fits; `unconfirmed`: counted, but what only one operator has seen raises nothing. */
  readonly outcome: FeedOutcome | 'void' | 'unconfirmed';
}

/** Factors of every score that is not void. */
export function factorsOfScores(scores: JudgedResponse['scores'], rules: FactorRules = FACTOR_RULES): ScoreFactors[] {
  return scores.flatMap(({ operator, ...response }) => {
    const factors = responseFactors(response, rules);
    return factors === null ? [] : [{ operator, factors }];
  });
}

/** Whether the first score has to be repeated by another operator's scorer before the response is judged. */
export function needsConfirmation(scores: readonly ScoreFactors[]): boolean {
  const [first] = scores;
  return (
    first !== undefined && isSurprising(first.factors) && scores.every(({ operator }) => operator === first.operator)
  );
}

/** Counts a response and says where its provider stands then. */
export function judgeResponse(
  account: EvidenceAccount,
  response: JudgedResponse,
  { rules = FACTOR_RULES, fleetThreshold = 0 }: { readonly rules?: FactorRules; readonly fleetThreshold?: number } = {},
): ResponseOutcome {
  const scores = factorsOfScores(response.scores, rules);
  const [first] = scores;
  if (first === undefined) return { ...standingOf(account, fleetThreshold), outcome: 'void' };
  const { factors, unconfirmed } = confirmedFactors(scores, account.rules);
  const { responseId, promptId, client, own } = response;
  const fed = feed(account, { responseId, promptId, client, own, operator: first.operator, factors });
  const outcome = fed === 'counted' && unconfirmed ? 'unconfirmed' : fed;
  return { ...standingOf(account, fleetThreshold), outcome };
}
