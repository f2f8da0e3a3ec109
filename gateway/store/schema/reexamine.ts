/** What is looked at again after a conviction: answers that one provider alone decided, and what came of looking (SPEC.md §8.3). */
import type { Columns } from '../columns-sqlite.ts';
import { atLeastZero, condition, moneyRange, oneOf } from './checks.ts';
import type { recordTables } from './record.ts';
import { REEXAMINED_OUTCOMES } from './words.ts';
import type { WorkTables } from './work.ts';

/** Tables of re-examinations. */
export function reexamineTables(
  c: Columns,
  { requests, disputes }: Pick<WorkTables, 'requests'> & Pick<ReturnType<typeof recordTables>, 'disputes'>,
) {
  /** One row for every choice that rests on one provider's word, for as long as it may be looked at again. */
  const keptAnswers = c.table(
    'kept_answers',
    {
      requestId: c
        .text('request_id')
        .notNull()
        .references(() => requests.requestId),
      choice: c.int('choice').notNull(),
      jobId: c.text('job_id').notNull(),
      provider: c.text('provider').notNull(),
      /** Whose stake answers for it: another key of the same operator is the same account. */
      operator: c.text('operator').notNull(),
      mode: c.text('mode').notNull(),
      /** Of a million choices, how many the client asked to have audited. */
      askedPpm: c.int('asked_ppm').notNull(),
      /** The most that looking at it by a score can cost. */
      costNano: c.nano('cost_nano').notNull(),
      answeredAtMs: c.int('answered_at_ms').notNull(),
      keepUntilMs: c.int('keep_until_ms').notNull(),
      /** Prompt and transcript, sealed under the gateway's key. */
      sealedWork: c.text('sealed_work').notNull(),
    },
    (t) => [
      c.primaryKey({ columns: [t.requestId, t.choice] }),
      c.index('kept_answers_operator').on(t.operator, t.answeredAtMs),
      c.index('kept_answers_until').on(t.keepUntilMs),
      c.check('kept_answers_counts', atLeastZero('choice', 'asked_ppm')),
      c.check('kept_answers_cost', moneyRange('cost_nano')),
    ],
  );

  /** One row for every conviction after which there was something to look at. */
  const reexaminations = c.table(
    'reexaminations',
    {
      /** The conviction; its slash is divided when this has ended. */
      disputeId: c
        .text('dispute_id')
        .primaryKey()
        .references(() => disputes.disputeId),
      operator: c.text('operator').notNull(),
      /** Answers from then on. */
      fromMs: c.int('from_ms').notNull(),
      beganAtMs: c.int('began_at_ms').notNull(),
      /** When what nobody could look at is given up. */
      deadlineMs: c.int('deadline_ms').notNull(),
      endedAtMs: c.int('ended_at_ms'),
      /** Answers of the window beyond the budget. */
      leftOut: c.int('left_out').notNull(),
    },
    (t) => [
      c.index('reexaminations_operator').on(t.operator, t.endedAtMs),
      c.check('reexaminations_counts', atLeastZero('left_out')),
    ],
  );

  const reexamined = c.table(
    'reexamined',
    {
      requestId: c
        .text('request_id')
        .notNull()
        .references(() => requests.requestId),
      choice: c.int('choice').notNull(),
      disputeId: c
        .text('dispute_id')
        .notNull()
        .references(() => reexaminations.disputeId),
      provider: c.text('provider').notNull(),
      /** Lower ones are looked at first. */
      rank: c.int('rank').notNull(),
      dueAtMs: c.int('due_at_ms').notNull(),
      /** Of the entry that says what was seen; null while it waits. */
      logIndex: c.int('log_index'),
      /** The dispute about what was seen, where it was a wrong answer. */
      accusedIn: c.text('accused_in'),
      /** Null while it waits or is argued about. */
      outcome: c.text('outcome', { enum: REEXAMINED_OUTCOMES }),
      /** What its client got back out of the conviction's stake. */
      refundedNano: c.nano('refunded_nano').notNull(),
    },
    (t) => [
      // The key is what makes an answer be looked at, and paid back, once.
      c.primaryKey({ columns: [t.requestId, t.choice] }),
      c.index('reexamined_dispute').on(t.disputeId),
      c.index('reexamined_due').on(t.logIndex, t.dueAtMs),
      c.uniqueIndex('reexamined_accused').on(t.accusedIn),
      c.check('reexamined_outcome_word', oneOf('outcome', REEXAMINED_OUTCOMES)),
      c.check('reexamined_counts', atLeastZero('choice', 'rank')),
      c.check('reexamined_money', moneyRange('refunded_nano')),
      c.check('reexamined_seen', condition('log_index is not null or (outcome is null and accused_in is null)')),
      c.check('reexamined_refund', condition("refunded_nano = 0 or outcome = 'overturned'")),
    ],
  );

  return { keptAnswers, reexaminations, reexamined };
}
