/**
 * All accounts of evidence, kept by the log's `scored` entries in their order: the gateway writes what an auditor recomputes
 * (spec-judge.md §7.10). Pure.
 */
import { eBhThreshold } from './e-bh.ts';
import {
  type AccountStanding,
  type EvidenceAccount,
  feed,
  openAccount,
  SLASH_WEALTH,
  standingOf,
} from './evidence-account.ts';
import type { ScoredEntry } from './log.ts';
import { FACTOR_SCALE, wealthOf } from './wealth.ts';

/** Share of honest accounts among those that are slashed, on average, however many accounts there are. */
export const FLEET_LEVEL = 1e-3;

/** What an entry says apart from where the account stands afterwards. */
export type ScoredFacts = Omit<ScoredEntry, 'type' | 'stage' | 'atMs'>;

/** Names an account. */
export function accountKey({ operator, modelDigest }: Pick<ScoredEntry, 'operator' | 'modelDigest'>): string {
  return `${modelDigest} ${operator}`;
}

export class EvidenceBook {
  readonly #accounts = new Map<string, EvidenceAccount>();

  /** The account, or null where nothing was counted since it was opened. */
  account(key: string): EvidenceAccount | null {
    return this.#accounts.get(key) ?? null;
  }

  get keys(): readonly string[] {
    return [...this.#accounts.keys()];
  }

  /**
   * Counts one response. A slash closes the account: what follows is counted in a new one, so that no evidence convicts twice.
   * @param promptId names the prompt for the account; the gateway counts a prompt once, and the log does not name it
   */
  enter(facts: ScoredFacts, promptId: string = facts.responseHash): AccountStanding {
    const key = accountKey(facts);
    const account = this.#accounts.get(key) ?? openAccount();
    this.#accounts.set(key, account);
    feed(account, {
      responseId: facts.responseHash,
      promptId,
      client: String(facts.client),
      own: facts.own,
      operator: facts.scores[0]!.operator,
      factors: facts.factors.map((factor) => factor / FACTOR_SCALE),
    });
    const standing = standingOf(account, this.#fleetThreshold(account));
    if (standing.stage === 'slash') this.#accounts.delete(key);
    return standing;
  }

  /** Least wealth that e-BH rejects over all open accounts; only asked where it matters. */
  #fleetThreshold(account: EvidenceAccount): number {
    if (wealthOf(account.all) < SLASH_WEALTH) return 0;
    return eBhThreshold(
      [...this.#accounts.values()].map(({ all }) => wealthOf(all)),
      FLEET_LEVEL,
    );
  }
}

/** An entry that says something else than its own factors come to. */
export interface BookProblem {
  /** Place among the entries given. */
  readonly at: number;
  readonly stage: ScoredEntry['stage'];
  readonly recomputed: ScoredEntry['stage'];
}

/** Replays entries in their order; the book they come to, and the first of them that do not follow from those before. */
export function replayEvidence(entries: readonly ScoredEntry[]): { book: EvidenceBook; problems: BookProblem[] } {
  const book = new EvidenceBook();
  const problems = entries.flatMap((entry, at): BookProblem[] => {
    const { stage } = book.enter(entry);
    return stage === entry.stage ? [] : [{ at, stage: entry.stage, recomputed: stage }];
  });
  return { book, problems };
}
