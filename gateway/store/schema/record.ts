/** What is published and argued about: the log, checkpoints, attestations and disputes. */
import type { Columns } from '../columns-sqlite.ts';
import { atLeastZero, condition, IS_TRIAL, moneyRange, oneOf } from './checks.ts';
import { DISPUTE_STATES, EVIDENCE_STAGES, FAULT_WORDS, RULING_WORDS } from './words.ts';
import type { WorkTables } from './work.ts';

/** Tables of the log, attestations and disputes. */
export function recordTables(c: Columns, { requests }: Pick<WorkTables, 'requests'>) {
  const logEntries = c.table(
    'log_entries',
    {
      logIndex: c.int('log_index').primaryKey(),
      leafHash: c.text('leaf_hash').notNull(),
      entryJson: c.text('entry_json').notNull(),
    },
    (t) => [
      c.check('log_entries_index', atLeastZero('log_index')),
      // Read whole at every start; its condition is that of `trialEntries`, word for word.
      c.index('log_entries_trials').on(t.logIndex).where(condition(IS_TRIAL)),
    ],
  );

  /** Roots of full subtrees: level 0 are the leaves, node (l, i) covers leaves i·2^l to (i+1)·2^l − 1. */
  const logNodes = c.table(
    'log_nodes',
    {
      level: c.int('level').notNull(),
      nodeIndex: c.int('node_index').notNull(),
      hash: c.text('hash').notNull(),
    },
    (t) => [
      c.primaryKey({ columns: [t.level, t.nodeIndex] }),
      c.check('log_nodes_place', atLeastZero('level', 'node_index')),
    ],
  );

  const checkpoints = c.table(
    'checkpoints',
    {
      /** The key: one size is signed once. */
      size: c.int('size').primaryKey(),
      root: c.text('root').notNull(),
      /** The signed note; null until signed, which happens after size and root are durable. */
      note: c.text('note'),
      atMs: c.int('at_ms').notNull(),
    },
    () => [c.check('checkpoints_size', atLeastZero('size'))],
  );

  const attestations = c.table(
    'attestations',
    {
      requestId: c
        .text('request_id')
        .primaryKey()
        .references(() => requests.requestId),
      logIndex: c.int('log_index').notNull(),
      contentHash: c.text('content_hash').notNull(),
      /** Canonical JSON of the statement; null once its retention is over, for it holds token ids. */
      statementJson: c.text('statement_json'),
      /** The signature over it (rows of earlier versions: the whole compact form); null until signed and after retention. */
      compact: c.text('compact'),
      receiptJson: c.text('receipt_json'),
      retainUntilMs: c.int('retain_until_ms').notNull(),
      /** The dispute whose ruling says that the answer was wrong; null while it stands. */
      overturnedBy: c.text('overturned_by'),
      overturnedAtMs: c.int('overturned_at_ms'),
    },
    (t) => [
      c.uniqueIndex('attestations_log_index').on(t.logIndex),
      c.index('attestations_retention').on(t.retainUntilMs),
    ],
  );

  const disputes = c.table(
    'disputes',
    {
      disputeId: c.text('dispute_id').primaryKey(),
      requestId: c
        .text('request_id')
        .notNull()
        .references(() => requests.requestId),
      jobId: c.text('job_id').notNull(),
      provider: c.text('provider').notNull(),
      fault: c.text('fault', { enum: FAULT_WORDS }).notNull(),
      state: c.text('state', { enum: DISPUTE_STATES }).notNull(),
      ruling: c.text('ruling', { enum: RULING_WORDS }),
      frozenNano: c.nano('frozen_nano').notNull(),
      withheldClientNano: c.nano('withheld_client_nano').notNull(),
      withheldReserveNano: c.nano('withheld_reserve_nano').notNull(),
      openedAtMs: c.int('opened_at_ms').notNull(),
      ruledAtMs: c.int('ruled_at_ms'),
      appealUntilMs: c.int('appeal_until_ms'),
      settledAtMs: c.int('settled_at_ms'),
      /** Evidence, token ids included; null once its retention is over. */
      bundleJson: c.text('bundle_json'),
      retainUntilMs: c.int('retain_until_ms').notNull(),
    },
    (t) => [
      // One stake, one fault, one job: the same accusation cannot freeze twice.
      c.uniqueIndex('disputes_job_fault').on(t.jobId, t.provider, t.fault),
      c.index('disputes_request').on(t.requestId),
      c.index('disputes_state').on(t.state),
      c.index('disputes_provider').on(t.provider),
      c.check('disputes_state_word', oneOf('state', DISPUTE_STATES)),
      c.check('disputes_ruling_word', oneOf('ruling', RULING_WORDS)),
      c.check('disputes_fault_word', oneOf('fault', FAULT_WORDS)),
      c.check('disputes_money', moneyRange('frozen_nano', 'withheld_client_nano', 'withheld_reserve_nano')),
      c.check(
        'disputes_ruled',
        condition(
          "(state in ('ruled', 'settled')) = (ruling is not null and ruled_at_ms is not null and appeal_until_ms is not null)",
        ),
      ),
      c.check('disputes_settled', condition("(state = 'settled') = (settled_at_ms is not null)")),
    ],
  );

  /** Append-only: repositories insert and read, nothing else. */
  const disputeMoves = c.table(
    'dispute_moves',
    {
      disputeId: c
        .text('dispute_id')
        .notNull()
        .references(() => disputes.disputeId),
      moveIndex: c.int('move_index').notNull(),
      kind: c.text('kind').notNull(),
      moveJson: c.text('move_json').notNull(),
      signature: c.text('signature'),
      atMs: c.int('at_ms').notNull(),
    },
    (t) => [
      c.primaryKey({ columns: [t.disputeId, t.moveIndex] }),
      c.check('dispute_moves_index', atLeastZero('move_index')),
    ],
  );

  /** Responses that were counted in an account of evidence, each with its entry of the log. */
  const scoredResponses = c.table(
    'scored_responses',
    {
      /** Of the generating job. */
      responseId: c.text('response_id').primaryKey(),
      requestId: c
        .text('request_id')
        .notNull()
        .references(() => requests.requestId),
      operator: c.text('operator').notNull(),
      modelDigest: c.text('model_digest').notNull(),
      provider: c.text('provider').notNull(),
      /** The account that paid; the log has a number in its place. */
      client: c.text('client').notNull(),
      promptHash: c.text('prompt_hash').notNull(),
      logIndex: c.int('log_index').notNull(),
      /** Token ids, signed scores and claim; null once their retention is over. */
      evidenceJson: c.text('evidence_json'),
      retainUntilMs: c.int('retain_until_ms').notNull(),
    },
    (t) => [
      c.uniqueIndex('scored_responses_log_index').on(t.logIndex),
      // The key is what makes a prompt count once.
      c.uniqueIndex('scored_responses_prompt').on(t.modelDigest, t.operator, t.promptHash),
      c.index('scored_responses_request').on(t.requestId),
      c.index('scored_responses_retention').on(t.retainUntilMs),
      c.check('scored_responses_index', atLeastZero('log_index')),
    ],
  );

  /** Where accounts of evidence stand: what a replay of their entries comes to. */
  const evidenceAccounts = c.table(
    'evidence_accounts',
    {
      modelDigest: c.text('model_digest').notNull(),
      operator: c.text('operator').notNull(),
      /** Since the account was opened, or opened anew after a slash. */
      responses: c.int('responses').notNull(),
      /** Decimal text that reads back as the same float64. */
      wealth: c.text('wealth').notNull(),
      detector: c.text('detector').notNull(),
      stage: c.text('stage', { enum: EVIDENCE_STAGES }).notNull(),
      /** Of the last entry. */
      logIndex: c.int('log_index').notNull(),
      atMs: c.int('at_ms').notNull(),
    },
    (t) => [
      c.primaryKey({ columns: [t.modelDigest, t.operator] }),
      c.check('evidence_accounts_stage', oneOf('stage', EVIDENCE_STAGES)),
      c.check('evidence_accounts_counts', atLeastZero('responses', 'log_index')),
    ],
  );

  return {
    logEntries,
    logNodes,
    checkpoints,
    attestations,
    disputes,
    disputeMoves,
    scoredResponses,
    evidenceAccounts,
  };
}
