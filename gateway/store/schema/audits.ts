/** What answers have promised of their audits, and the jobs that audits have cost. */
import type { Columns } from '../columns-sqlite.ts';
import { atLeastZero, condition, oneOf } from './checks.ts';
import { AUDIT_KIND_WORDS, AUDIT_OUTCOME_WORDS } from './words.ts';
import type { WorkTables } from './work.ts';

/** Tables of audits. */
export function auditTables(c: Columns, { requests, jobs }: Pick<WorkTables, 'requests' | 'jobs'>) {
  /** One row for every choice that is audited, from the moment of its answer. */
  const audits = c.table(
    'audits',
    {
      requestId: c
        .text('request_id')
        .notNull()
        .references(() => requests.requestId),
      choice: c.int('choice').notNull(),
      /** Whose answer it was. */
      provider: c.text('provider').notNull(),
      kind: c.text('kind', { enum: AUDIT_KIND_WORDS }).notNull(),
      /** Not before; a failed try puts it off. */
      dueAtMs: c.int('due_at_ms').notNull(),
      /** When it is given up and logged as not done. */
      deadlineMs: c.int('deadline_ms').notNull(),
      /** Prompt and transcript, sealed under the gateway's key; null once the audit is done. */
      sealedWork: c.text('sealed_work'),
      outcome: c.text('outcome', { enum: AUDIT_OUTCOME_WORDS }),
      logIndex: c.int('log_index'),
    },
    (t) => [
      c.primaryKey({ columns: [t.requestId, t.choice] }),
      c.index('audits_due').on(t.logIndex, t.dueAtMs),
      c.check('audits_kind_word', oneOf('kind', AUDIT_KIND_WORDS)),
      c.check('audits_outcome_word', oneOf('outcome', AUDIT_OUTCOME_WORDS)),
      c.check('audits_choice', atLeastZero('choice')),
      c.check(
        'audits_done',
        condition('(outcome is null) = (log_index is null) and (outcome is null) = (sealed_work is not null)'),
      ),
    ],
  );

  /** Paid out of what clients paid for audits. */
  const auditJobs = c.table('audit_jobs', {
    jobId: c
      .text('job_id')
      .primaryKey()
      .references(() => jobs.jobId),
    requestId: c.text('request_id').notNull(),
    choice: c.int('choice').notNull(),
  });

  return { audits, auditJobs };
}
