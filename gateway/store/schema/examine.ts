/** Examinations of what a provider answered alone, before its pay leaves for the first and the last time, and what was seen (SPEC.md §8.4). */
import type { Columns } from '../columns-sqlite.ts';
import { atLeastZero, condition, moneyRange, oneOf } from './checks.ts';
import { AUDIT_OUTCOME_WORDS, OCCASION_WORDS } from './words.ts';
import type { WorkTables } from './work.ts';

/** Tables of examinations. */
export function examineTables(c: Columns, { requests }: Pick<WorkTables, 'requests'>) {
  const examinations = c.table(
    'examinations',
    {
      examinationId: c.text('examination_id').primaryKey(),
      provider: c.text('provider').notNull(),
      operator: c.text('operator').notNull(),
      occasion: c.text('occasion', { enum: OCCASION_WORDS }).notNull(),
      beganAtMs: c.int('began_at_ms').notNull(),
      /** When what nobody could look at is given up. */
      deadlineMs: c.int('deadline_ms').notNull(),
      endedAtMs: c.int('ended_at_ms'),
      /** What its provider has paid for it; 0 until it has ended. */
      feeNano: c.nano('fee_nano').notNull(),
    },
    (t) => [
      c.index('examinations_provider').on(t.provider, t.beganAtMs),
      c.check('examinations_occasion_word', oneOf('occasion', OCCASION_WORDS)),
      c.check('examinations_money', moneyRange('fee_nano')),
      c.check('examinations_fee', condition('fee_nano = 0 or ended_at_ms is not null')),
    ],
  );

  const examined = c.table(
    'examined',
    {
      requestId: c
        .text('request_id')
        .notNull()
        .references(() => requests.requestId),
      choice: c.int('choice').notNull(),
      examinationId: c
        .text('examination_id')
        .notNull()
        .references(() => examinations.examinationId),
      provider: c.text('provider').notNull(),
      dueAtMs: c.int('due_at_ms').notNull(),
      /** What looking at it costs its provider. */
      costNano: c.nano('cost_nano').notNull(),
      /** Of the entry that says what was seen; null while it waits. */
      logIndex: c.int('log_index'),
      outcome: c.text('outcome', { enum: AUDIT_OUTCOME_WORDS }),
    },
    (t) => [
      // The key is what makes an answer be examined, and paid for, once.
      c.primaryKey({ columns: [t.requestId, t.choice] }),
      c.index('examined_examination').on(t.examinationId),
      c.index('examined_due').on(t.logIndex, t.dueAtMs),
      c.check('examined_outcome_word', oneOf('outcome', AUDIT_OUTCOME_WORDS)),
      c.check('examined_choice', atLeastZero('choice')),
      c.check('examined_money', moneyRange('cost_nano')),
      c.check('examined_seen', condition('(outcome is null) = (log_index is null)')),
    ],
  );

  return { examinations, examined };
}
