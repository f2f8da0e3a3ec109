/** How long an account takes to speak: the same responses in many orders, one after the other, as a gateway counts them. Pure. */
import {
  ACCOUNT_RULES,
  type AccountRules,
  BARE_ACCOUNT_RULES,
  confirmedFactors,
  feed,
  openAccount,
  QUARANTINE_WEALTH,
  SLASH_WEALTH,
  standingOf,
} from '#protocol/evidence-account';
import { bet, WEALTH_AT_START, wealthOf } from '#protocol/wealth';
import type { SeededRng } from '../../simulation/seeded-rng.ts';
import type { JudgedText } from './judged.ts';

/** Clients that ask before there is a quarantine. */
const CLIENTS = 50;
/** Share of requests that the gateway's operator asks before there is a quarantine; afterwards nobody else is served. */
const OWN_SHARE = 1 / 4;
/** Of scorers: as few as there can be. */
const OPERATORS = 2;

/** Evidence that was needed; null where it did not come to that. */
export type Delay = { readonly tokens: number; readonly responses: number } | null;

export interface AccountPath {
  readonly quarantine: Delay;
  readonly slash: Delay;
}

/** What an account counts of a response. */
export type CountedText = Pick<JudgedText, 'tokens' | 'factors'>;

export interface PathOptions<T extends CountedText = JudgedText> {
  readonly responsesMax: number;
  readonly rules?: AccountRules;
  /** Operators whose scorers are drawn; each with the same chance. */
  readonly operators?: number;
  /** Factors by the scorer of an operator, by its number; what an honest one finds unless a bench wants it otherwise. */
  readonly heard?: (text: T, operator: number) => readonly number[];
}

/** Every rule of a slash but control across a fleet, which one account does not need. */
export function accountPath<T extends CountedText>(
  texts: readonly T[],
  rng: SeededRng,
  options: PathOptions<T>,
): AccountPath {
  const { responsesMax, rules = ACCOUNT_RULES, operators = OPERATORS, heard = honestly } = options;
  const account = openAccount(rules);
  let [tokens, quarantine]: [number, Delay] = [0, null];
  for (let responses = 1; responses <= responsesMax; responses++) {
    const text = rng.pick(texts);
    const drawn = rng.between(1, operators);
    const confirming = 1 + ((drawn - 1 + rng.between(1, operators - 1)) % operators);
    const scores = [drawn, confirming].map((one) => ({ operator: `operator ${one}`, factors: heard(text, one) }));
    const id = String(responses);
    feed(account, {
      responseId: id,
      promptId: id,
      client: `client ${rng.between(1, CLIENTS)}`,
      own: quarantine !== null || rng.chance(OWN_SHARE),
      operator: `operator ${drawn}`,
      factors: confirmedFactors(scores, rules).factors,
    });
    tokens += text.tokens;
    const { stage } = standingOf(account);
    if (stage !== 'clear') quarantine ??= { tokens, responses };
    if (stage === 'slash') return { quarantine, slash: { tokens, responses } };
  }
  return { quarantine, slash: null };
}

function honestly(text: CountedText): readonly number[] {
  return text.factors;
}

/** Wealth without any cap or condition, each response a mean of its blocks. */
export function uncappedPath(texts: readonly JudgedText[], rng: SeededRng, responsesMax: number): AccountPath {
  return accountPath(texts, rng, { responsesMax, rules: BARE_ACCOUNT_RULES, heard: ({ uncapped }) => uncapped });
}

/** Wealth without any cap or condition, token after token: what peers' figures are figures of. */
export function barePath(texts: readonly JudgedText[], rng: SeededRng, responsesMax: number): AccountPath {
  let wealth = WEALTH_AT_START;
  let [tokens, quarantine]: [number, Delay] = [0, null];
  for (let responses = 1; responses <= responsesMax; responses++) {
    const text = rng.pick(texts);
    const before = wealth;
    wealth = bet(before, text.bare);
    const reached = (least: number): Delay => {
      if (wealthOf(wealth) < least) return null;
      let count = 1;
      while (count < text.tokens && wealthOf(bet(before, text.bareOf(count))) < least) count++;
      return { tokens: tokens + count, responses };
    };
    quarantine ??= reached(QUARANTINE_WEALTH);
    const slash = reached(SLASH_WEALTH);
    if (slash !== null) return { quarantine, slash };
    tokens += text.tokens;
  }
  return { quarantine, slash: null };
}

export interface Spread {
  /** Null where half of the orders, or one in twenty, did not come to it. */
  readonly median: Delay;
  readonly p95: Delay;
  /** Share of orders that came to it. */
  readonly reached: number;
}

/** Order statistics; delays that did not end are the longest. */
export function spreadOf(delays: readonly Delay[]): Spread {
  const ended = delays.flatMap((delay) => delay ?? []);
  const at = (share: number): Delay => {
    const index = Math.ceil(share * delays.length) - 1;
    const quantile = (of: (delay: NonNullable<Delay>) => number) => ended.map(of).sort((a, b) => a - b)[index]!;
    if (index >= ended.length) return null;
    return { tokens: quantile(({ tokens }) => tokens), responses: quantile(({ responses }) => responses) };
  };
  return { median: at(0.5), p95: at(0.95), reached: ended.length / delays.length };
}
