/**
 * The account that evidence is kept in: one for an operator and a model, whatever keys and manifests the operator uses; and what
 * its wealth allows (spec-judge.md §7.10). Pure: an auditor feeds it the entries of the log and reads the same bits.
 */
import { BETS, bet, detectorOf, meanFactor, WEALTH_AT_START, type Wealth, wealthOf } from './wealth.ts';

/** Wealth that puts into quarantine: an honest provider ever reaches it with probability 1e-3 at most. */
export const QUARANTINE_WEALTH = 1e3;
/** Wealth that accuses. */
export const SLASH_WEALTH = 1e6;
/** Each half of the scorers' operators must find as much by itself, and so must prompts of the gateway: half of 6 decades. */
const HALF_WEALTH = 1e3;
/** What the evidence of one client counts at most: 4^10 = 1.05e6, so that a tenth of the evidence is the most that one client gives. */
const CLIENT_FACTOR_MAX = 4;
/** A false alarm of the detector once in 1e5 responses at most, on average. */
const DETECTOR_MIN = 1e5;
/** A mean factor from which on a score is repeated by another operator's scorer. */
export const SURPRISING_FACTOR = 2;

/** What a slash needs besides wealth. */
export interface AccountRules {
  /** Responses that raised the wealth. */
  readonly responsesMin: number;
  /** Wealth in each half of the scorers' operators; 0 asks for nothing. */
  readonly halfMin: number;
  /** Wealth from prompts that the provider cannot have chosen. */
  readonly ownMin: number;
  /** Largest factor that counts for one client; infinite where clients are not told apart. */
  readonly clientFactorMax: number;
  /** Whether surprising scores enter only as far as another operator's score confirms them. */
  readonly confirmed: boolean;
}

export const ACCOUNT_RULES: AccountRules = Object.freeze({
  responsesMin: 3,
  halfMin: HALF_WEALTH,
  ownMin: HALF_WEALTH,
  clientFactorMax: CLIENT_FACTOR_MAX,
  confirmed: true,
});

/** Wealth alone: to measure how much of a detection's delay the conditions are. Nobody is to be slashed by it. */
export const BARE_ACCOUNT_RULES: AccountRules = Object.freeze({
  responsesMin: 0,
  halfMin: 0,
  ownMin: 0,
  clientFactorMax: Number.POSITIVE_INFINITY,
  confirmed: false,
});

/** One scorer's factors for one response. */
export interface ScoreFactors {
  readonly operator: string;
  readonly factors: readonly number[];
}

/** One response as it enters the account. */
export interface CountedResponse {
  readonly responseId: string;
  /** Names the prompt, not the request: the same errors would be counted again. */
  readonly promptId: string;
  readonly client: string;
  /** Whether the gateway chose the prompt. */
  readonly own: boolean;
  /** Of the scorer that was drawn; its half gets the evidence. */
  readonly operator: string;
  readonly factors: readonly number[];
}

/** Grows with responses. */
export interface EvidenceAccount {
  readonly rules: AccountRules;
  all: Wealth;
  readonly halves: [Wealth, Wealth];
  own: Wealth;
  /** Responses that raised the wealth. */
  supporting: number;
  /** In order of first appearance: the parity is the half, so that neither can be chosen or stay empty. */
  readonly operators: string[];
  /** Product, over a client's responses to prompts of its own, of wealth after by wealth before. */
  readonly clients: Map<string, number>;
  /** The same over responses to prompts of the gateway. */
  ownGrowth: number;
  readonly prompts: Set<string>;
  readonly responses: Set<string>;
}

export function openAccount(rules: AccountRules = ACCOUNT_RULES): EvidenceAccount {
  return {
    rules,
    all: WEALTH_AT_START,
    halves: [WEALTH_AT_START, WEALTH_AT_START],
    own: WEALTH_AT_START,
    supporting: 0,
    operators: [],
    clients: new Map(),
    ownGrowth: 1,
    prompts: new Set(),
    responses: new Set(),
  };
}

/** `repeated_prompt`, `known_response`: not counted. */
export type FeedOutcome = 'counted' | 'repeated_prompt' | 'known_response';

/** Counts one response, once; every prompt counts once. */
export function feed(account: EvidenceAccount, response: CountedResponse): FeedOutcome {
  const { responseId, promptId, client, own, operator, factors } = response;
  if (account.responses.has(responseId)) return 'known_response';
  if (account.prompts.has(promptId)) return 'repeated_prompt';
  account.responses.add(responseId);
  account.prompts.add(promptId);
  const before = wealthOf(account.all);
  account.all = bet(account.all, factors);
  const growth = wealthOf(account.all) / before;
  if (growth > 1) account.supporting++;
  if (own) account.ownGrowth *= growth;
  else account.clients.set(client, (account.clients.get(client) ?? 1) * growth);
  if (!account.operators.includes(operator)) account.operators.push(operator);
  const half = account.operators.indexOf(operator) % 2;
  account.halves[half] = bet(account.halves[half]!, factors);
  if (own) account.own = bet(account.own, factors);
  return 'counted';
}

/** What a response enters with, of all scores of it, the drawn scorer's first. */
export interface ConfirmedFactors {
  readonly factors: readonly number[];
  /** A surprising score that nobody has confirmed: what it would raise does not count. */
  readonly unconfirmed: boolean;
}

/** Whether a score is to be repeated by another operator's scorer before it counts. */
export function isSurprising(factors: readonly number[]): boolean {
  return meanFactor(factors) >= SURPRISING_FACTOR;
}

/**
 * The smaller factor of every bet where the first score is surprising, over scorers of distinct operators. The smaller of
 * several factors of mean at most 1 has mean at most 1.
 */
export function confirmedFactors(
  scores: readonly ScoreFactors[],
  rules: AccountRules = ACCOUNT_RULES,
): ConfirmedFactors {
  const [first, ...others] = scores;
  if (first === undefined) return { factors: BETS.map(() => 1), unconfirmed: false };
  if (!rules.confirmed || !isSurprising(first.factors)) return { factors: first.factors, unconfirmed: false };
  const confirming = others.filter(({ operator }) => operator !== first.operator);
  const least = (a: readonly number[], b: readonly number[]) => a.map((factor, i) => Math.min(factor, b[i]!));
  if (confirming.length === 0)
    return { factors: first.factors.map((factor) => Math.min(factor, 1)), unconfirmed: true };
  return {
    factors: confirming.reduce((smallest, { factors }) => least(smallest, factors), first.factors),
    unconfirmed: false,
  };
}

/** What keeps a wealth from its consequence; a closed list. */
export type Lack = 'wealth' | 'responses' | 'scorer_halves' | 'own_prompts' | 'clients' | 'fleet';

export interface AccountStanding {
  readonly wealth: number;
  readonly detector: number;
  /** `quarantine` by wealth or by the detector; `slash` by wealth and every condition. */
  readonly stage: 'clear' | 'quarantine' | 'slash';
  /** What a slash lacks; empty where the stage is `slash`. */
  readonly lacks: readonly Lack[];
}

/**
 * What the evidence allows. Every condition of a slash can only make it rarer, so that the bound of the wealth alone holds.
 * @param fleetThreshold least wealth that control across the fleet rejects (`eBhThreshold`); 0 for one account alone
 */
export function standingOf(account: EvidenceAccount, fleetThreshold = 0): AccountStanding {
  const { rules, all, halves, own, ownGrowth, supporting, clients } = account;
  const wealth = wealthOf(all);
  const detector = detectorOf(all);
  const shared = [...clients.values()].reduce(
    (product, factor) => product * Math.min(factor, rules.clientFactorMax),
    ownGrowth,
  );
  const conditions: readonly (readonly [Lack, boolean])[] = [
    ['wealth', wealth >= SLASH_WEALTH],
    ['responses', supporting >= rules.responsesMin],
    ['scorer_halves', halves.every((half) => wealthOf(half) >= rules.halfMin)],
    ['own_prompts', wealthOf(own) >= rules.ownMin],
    ['clients', rules.clientFactorMax === Number.POSITIVE_INFINITY || shared >= SLASH_WEALTH],
    ['fleet', wealth >= fleetThreshold],
  ];
  const lacks = conditions.flatMap(([lack, holds]) => (holds ? [] : [lack]));
  const isSuspect = wealth >= QUARANTINE_WEALTH || detector >= DETECTOR_MIN;
  const stage = lacks.length === 0 ? 'slash' : isSuspect ? 'quarantine' : 'clear';
  return { wealth, detector, stage, lacks };
}
