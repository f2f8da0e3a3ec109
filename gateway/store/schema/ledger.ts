/** The double-entry ledger and the counters that hand out consecutive numbers. */
import type { Columns } from '../columns-sqlite.ts';
import { atLeastZero, condition, IS_EXTERNAL, oneOf, signedMoneyRange } from './checks.ts';
import { ACCOUNT_KINDS, TRANSFER_WORDS } from './words.ts';

/** Tables of the ledger. */
export function ledgerTables(c: Columns) {
  const accounts = c.table(
    'accounts',
    {
      id: c.text('id').primaryKey(),
      kind: c.text('kind', { enum: ACCOUNT_KINDS }).notNull(),
      owner: c.text('owner').notNull(),
      balanceNano: c.nano('balance_nano').notNull(),
    },
    (t) => [
      c.index('accounts_kind').on(t.kind),
      c.check('accounts_kind_word', oneOf('kind', ACCOUNT_KINDS)),
      c.check('accounts_range', signedMoneyRange('balance_nano')),
      c.check('accounts_floor', condition("kind = 'external' or balance_nano >= 0")),
    ],
  );

  const transfers = c.table(
    'transfers',
    {
      /** Derived from what the money moves for: the key is what makes a second capture or release impossible. */
      id: c.text('id').primaryKey(),
      reason: c.text('reason', { enum: TRANSFER_WORDS }).notNull(),
      requestId: c.text('request_id'),
      disputeId: c.text('dispute_id'),
      createdAtMs: c.int('created_at_ms').notNull(),
    },
    () => [c.check('transfers_reason_word', oneOf('reason', TRANSFER_WORDS))],
  );

  const postings = c.table(
    'postings',
    {
      transferId: c
        .text('transfer_id')
        .notNull()
        .references(() => transfers.id),
      account: c
        .text('account')
        .notNull()
        .references(() => accounts.id),
      amountNano: c.nano('amount_nano').notNull(),
    },
    (t) => [
      c.primaryKey({ columns: [t.transferId, t.account] }),
      // Every answer has some ten postings, and nobody looks for those of an account but what came from outside.
      c.index('postings_external').on(t.transferId).where(condition(IS_EXTERNAL)),
      c.check('postings_range', signedMoneyRange('amount_nano')),
      c.check('postings_amount', condition('amount_nano <> 0')),
    ],
  );

  const counters = c.table('counters', { name: c.text('name').primaryKey(), next: c.int('next').notNull() }, () => [
    c.check('counters_next', atLeastZero('next')),
  ]);

  return { accounts, transfers, postings, counters };
}
