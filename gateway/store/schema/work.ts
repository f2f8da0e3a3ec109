/** What is being done: requests with their idempotency keys, jobs and rounds. Prompts are not stored, outputs sealed and for a day only. */
import type { Columns } from '../columns-sqlite.ts';
import { atLeastZero, condition, IS_OPEN, moneyRange, oneOf } from './checks.ts';
import type { PartyTables } from './parties.ts';
import { FAULT_WORDS, JOB_STANDINGS, JOB_STATES, REQUEST_STATES, REQUEST_VERDICTS, WORK_ROLES } from './words.ts';

/** Tables of requests and jobs. */
export function workTables(c: Columns, { apiKeys }: Pick<PartyTables, 'apiKeys'>) {
  const requests = c.table(
    'requests',
    {
      /** One per attempt: the next attempt of an idempotency key has its own. */
      requestId: c.text('request_id').primaryKey(),
      attempt: c.int('attempt').notNull(),
      keyId: c
        .text('key_id')
        .notNull()
        .references(() => apiKeys.keyId),
      /** The account of the key when the request was accepted: what was held is given back there. */
      account: c.text('account').notNull(),
      model: c.text('model').notNull(),
      bodyHash: c.text('body_hash').notNull(),
      policyJson: c.text('policy_json').notNull(),
      inputNanoPerMtok: c.nano('input_nano_per_mtok').notNull(),
      outputNanoPerMtok: c.nano('output_nano_per_mtok').notNull(),
      quoteNano: c.nano('quote_nano').notNull(),
      coverNano: c.nano('cover_nano').notNull(),
      chargedNano: c.nano('charged_nano').notNull(),
      refundedNano: c.nano('refunded_nano').notNull(),
      recoverableNano: c.nano('recoverable_nano').notNull(),
      recoveredNano: c.nano('recovered_nano').notNull(),
      epoch: c.int('epoch').notNull(),
      drawIndex: c.int('draw_index').notNull(),
      state: c.text('state', { enum: REQUEST_STATES }).notNull(),
      verdict: c.text('verdict', { enum: REQUEST_VERDICTS }),
      errorCode: c.text('error_code'),
      logIndex: c.int('log_index'),
      createdAtMs: c.int('created_at_ms').notNull(),
      endedAtMs: c.int('ended_at_ms'),
    },
    (t) => [
      // Of those that run: the others need no place in it, which every answer would change three times.
      c.index('requests_open').on(t.createdAtMs).where(condition(IS_OPEN)),
      c.index('requests_key_time').on(t.keyId, t.createdAtMs),
      c.check('requests_state_word', oneOf('state', REQUEST_STATES)),
      c.check('requests_verdict_word', oneOf('verdict', REQUEST_VERDICTS)),
      c.check('requests_attempt', condition('attempt >= 1')),
      c.check(
        'requests_money',
        moneyRange('quote_nano', 'cover_nano', 'input_nano_per_mtok', 'output_nano_per_mtok', 'recoverable_nano'),
      ),
      c.check('requests_charge', condition('charged_nano between 0 and quote_nano')),
      c.check('requests_refund', condition('refunded_nano between 0 and charged_nano')),
      c.check('requests_recovery', condition('recovered_nano between 0 and recoverable_nano')),
      c.check(
        'requests_end',
        condition("(state in ('settled', 'failed')) = (ended_at_ms is not null and verdict is not null)"),
      ),
    ],
  );

  const idempotencyKeys = c.table(
    'idempotency_keys',
    {
      keyId: c
        .text('key_id')
        .notNull()
        .references(() => apiKeys.keyId),
      idempotencyKey: c.text('idempotency_key').notNull(),
      /** The latest attempt. */
      requestId: c
        .text('request_id')
        .notNull()
        .references(() => requests.requestId),
      bodyHash: c.text('body_hash').notNull(),
      expiresAtMs: c.int('expires_at_ms').notNull(),
      /** The answer, sealed under the gateway's key; durable with the settlement, gone with the row. */
      sealedAnswer: c.text('sealed_answer'),
    },
    (t) => [c.primaryKey({ columns: [t.keyId, t.idempotencyKey] })],
  );

  const jobs = c.table(
    'jobs',
    {
      jobId: c.text('job_id').primaryKey(),
      requestId: c
        .text('request_id')
        .notNull()
        .references(() => requests.requestId),
      roundId: c.text('round_id').notNull(),
      /** 0 for the drawn committee and its replacements, from 1 for escalations. */
      wave: c.int('wave').notNull(),
      provider: c.text('provider').notNull(),
      role: c.text('role', { enum: WORK_ROLES }).notNull(),
      seat: c.int('seat').notNull(),
      slot: c.int('slot').notNull(),
      ticketJson: c.text('ticket_json').notNull(),
      /** Null until signed, which happens after the job is durable. */
      ticketSignature: c.text('ticket_signature'),
      inputTokens: c.int('input_tokens').notNull(),
      /** The most that the job can earn; the sum over a request stays within its cover. */
      maxNano: c.nano('max_nano').notNull(),
      state: c.text('state', { enum: JOB_STATES }).notNull(),
      /** Commitments with their signatures, in order; hashes only. */
      commitmentsJson: c.text('commitments_json').notNull(),
      claimJson: c.text('claim_json'),
      outputTokens: c.int('output_tokens').notNull(),
      scoredTokens: c.int('scored_tokens').notNull(),
      standing: c.text('standing', { enum: JOB_STANDINGS }),
      fault: c.text('fault', { enum: FAULT_WORDS }),
      earnedNano: c.nano('earned_nano').notNull(),
      issuedAtMs: c.int('issued_at_ms').notNull(),
      endedAtMs: c.int('ended_at_ms'),
      /** Index of the answer's choice that the job is for. */
      choice: c.int('choice').notNull().default(0),
    },
    (t) => [
      c.index('jobs_request').on(t.requestId),
      c.index('jobs_provider_time').on(t.provider, t.issuedAtMs),
      c.check('jobs_role', oneOf('role', WORK_ROLES)),
      c.check('jobs_state', oneOf('state', JOB_STATES)),
      c.check('jobs_standing', oneOf('standing', JOB_STANDINGS)),
      c.check('jobs_fault', oneOf('fault', FAULT_WORDS)),
      c.check('jobs_counts', atLeastZero('wave', 'seat', 'slot', 'input_tokens', 'output_tokens', 'scored_tokens')),
      c.check('jobs_money', moneyRange('max_nano', 'earned_nano')),
    ],
  );

  const rounds = c.table(
    'rounds',
    {
      roundId: c.text('round_id').notNull(),
      roundIndex: c.int('round_index').notNull(),
      requestId: c
        .text('request_id')
        .notNull()
        .references(() => requests.requestId),
      roundRoot: c.text('round_root').notNull(),
      /** Of the permission; null until it is signed, which happens after the root is durable. */
      permissionSignature: c.text('permission_signature'),
      atMs: c.int('at_ms').notNull(),
    },
    // The key is what makes two roots for one round impossible to store, and so to sign.
    (t) => [
      c.primaryKey({ columns: [t.roundId, t.roundIndex] }),
      c.index('rounds_request').on(t.requestId),
      c.check('rounds_index', atLeastZero('round_index')),
    ],
  );

  return { requests, idempotencyKeys, jobs, rounds };
}

export type WorkTables = ReturnType<typeof workTables>;
