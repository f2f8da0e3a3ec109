/** Ledger, outbox and what was read, against the chain itself: every difference, and none explained away (spec-chain.md C9.7). Pure. */

/** A closed list. */
export const DIFFERENCES = [
  /** Blocks that counted as final are gone: the ledger has moved on what is no more. */
  'deep_reorg',
  /** Stake, pool, promise or claims differ between what events said and what the contract says. */
  'stake',
  'pool_funded',
  'pool_withdrawn',
  'promised',
  'claimed',
  /** What events moved and what the ledger entered differ. */
  'ledger_in',
  'ledger_out',
  /** A payee has less in the ledger than was promised to it: somebody paid it twice, or a withdrawal went past the guard. */
  'owed',
  /** A root that this gateway did not decide, or one of its own that was disabled. */
  'foreign_root',
  'root_disabled',
  /** Somebody else uses the sending key. */
  'nonce_taken',
] as const;

export interface Difference {
  readonly code: (typeof DIFFERENCES)[number];
  /** Address, sequence or intent that it is about; empty where there is one alone. */
  readonly subject: string;
  readonly expected: string;
  readonly found: string;
}

/** One amount, as it was read from events and as the contract says. */
export interface Pair {
  readonly subject: string;
  readonly expected: bigint;
  readonly found: bigint;
}

/** Everything as of one confirmed block. */
export interface Standing {
  readonly deepReorg: boolean;
  readonly stakes: readonly Pair[];
  readonly funded: Omit<Pair, 'subject'>;
  readonly withdrawn: Omit<Pair, 'subject'>;
  /** Total of the newest posted root, and what the contract has committed. */
  readonly promised: Omit<Pair, 'subject'>;
  readonly claims: readonly Pair[];
  /** Nano that events moved in and out, and that the ledger has entered for them. */
  readonly ledgerIn: Omit<Pair, 'subject'>;
  readonly ledgerOut: Omit<Pair, 'subject'>;
  /** Promised and not claimed, at most what the ledger owes. */
  readonly owed: readonly { readonly payee: string; readonly promised: bigint; readonly owes: bigint }[];
  readonly foreignRoots: readonly string[];
  readonly disabledRoots: readonly string[];
  readonly takenNonces: readonly string[];
}

/** @returns all that differs; a gateway posts no root while there is anything */
export function differencesIn(standing: Standing): readonly Difference[] {
  const unequal = (code: Difference['code'], pairs: readonly Pair[]): Difference[] =>
    pairs
      .filter(({ expected, found }) => expected !== found)
      .map(({ subject, expected, found }) => ({ code, subject, expected: String(expected), found: String(found) }));
  const one = (code: Difference['code'], pair: Omit<Pair, 'subject'>) => unequal(code, [{ subject: '', ...pair }]);
  const named = (code: Difference['code'], subjects: readonly string[]): Difference[] =>
    subjects.map((subject) => ({ code, subject, expected: 'none', found: 'one' }));
  return [
    ...(standing.deepReorg ? named('deep_reorg', ['']) : []),
    ...unequal('stake', standing.stakes),
    ...one('pool_funded', standing.funded),
    ...one('pool_withdrawn', standing.withdrawn),
    ...one('promised', standing.promised),
    ...unequal('claimed', standing.claims),
    ...one('ledger_in', standing.ledgerIn),
    ...one('ledger_out', standing.ledgerOut),
    ...standing.owed
      .filter(({ promised, owes }) => promised > owes)
      .map(({ payee, promised, owes }) => ({
        code: 'owed' as const,
        subject: payee,
        expected: `at least ${promised}`,
        found: String(owes),
      })),
    ...named('foreign_root', standing.foreignRoots),
    ...named('root_disabled', standing.disabledRoots),
    ...named('nonce_taken', standing.takenNonces),
  ];
}
