/** Tables of the provider's SQLite file; migrations/provider-sqlite is generated from this (SPEC.md §6). */
import { index, integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core';

export const jobs = sqliteTable(
  'jobs',
  {
    jobId: text('job_id').primaryKey(),
    ticketHash: text('ticket_hash').notNull(),
    /** Wire form of the ticket. */
    ticket: text('ticket').notNull(),
    gateway: text('gateway').notNull(),
    expiresAtMs: integer('expires_at_ms').notNull(),
    retainUntilMs: integer('retain_until_ms').notNull(),
    /** 1: ended without a claim, never resumed. */
    closed: integer('closed').notNull().default(0),
  },
  (table) => [index('jobs_by_retention').on(table.retainUntilMs, table.expiresAtMs)],
);

const jobReference = () =>
  text('job_id')
    .notNull()
    .references(() => jobs.jobId, { onDelete: 'cascade' });

/** The primary key is the last guard against a second commitment for one (jobId, index). */
export const chunks = sqliteTable(
  'chunks',
  {
    jobId: jobReference(),
    index: integer('chunk_index').notNull(),
    commitment: text('commitment').notNull(),
    opening: text('opening').notNull(),
    tokens: text('tokens').notNull(),
    evidence: text('evidence').notNull(),
    shortEvidence: text('short_evidence').notNull(),
    logprobs: text('logprobs'),
    finish: text('finish'),
  },
  (table) => [primaryKey({ columns: [table.jobId, table.index] })],
);

/** The primary key is the last guard against opening one chunk under two roots. */
export const roots = sqliteTable(
  'roots',
  {
    jobId: jobReference(),
    index: integer('chunk_index').notNull(),
    root: text('root').notNull(),
    slot: integer('slot').notNull(),
    signature: text('signature').notNull(),
  },
  (table) => [primaryKey({ columns: [table.jobId, table.index] })],
);

export const claims = sqliteTable('claims', {
  jobId: jobReference().primaryKey(),
  claim: text('claim').notNull(),
});

export const scores = sqliteTable('scores', {
  jobId: jobReference().primaryKey(),
  score: text('score').notNull(),
  evidence: text('evidence').notNull(),
});

/** One contradiction per round is proof enough; no reference to a job, since it is kept when the job is forgotten. */
export const twoRoots = sqliteTable(
  'two_roots',
  {
    roundId: text('round_id').notNull(),
    index: integer('chunk_index').notNull(),
    firstRoot: text('first_root').notNull(),
    firstSignature: text('first_signature').notNull(),
    secondRoot: text('second_root').notNull(),
    secondSignature: text('second_signature').notNull(),
  },
  (table) => [primaryKey({ columns: [table.roundId, table.index] })],
);

/** Signing keys that gateways have handed over to: a restart trusts whom the successions lead to. */
export const gatewaySuccessions = sqliteTable('gateway_successions', {
  next: text('next').primaryKey(),
  previous: text('previous').notNull(),
  /** The order as both keys signed it. */
  orderJson: text('order_json').notNull(),
  atMs: integer('at_ms').notNull(),
});

/** One row, rewritten to learn whether the disk still takes writes. */
export const writeChecks = sqliteTable('write_checks', {
  id: integer('id').primaryKey(),
  count: integer('count').notNull(),
});
