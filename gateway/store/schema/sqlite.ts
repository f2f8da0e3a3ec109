/** The tables of SQLite, one export each: what drizzle-kit reads to generate migrations/sqlite. */
import { sqliteColumns } from '../columns-sqlite.ts';
import { makeSchema } from './make-schema.ts';

export const sqliteSchema = makeSchema(sqliteColumns);

export const {
  apiKeys,
  keyBudgets,
  providers,
  epochs,
  draws,
  requests,
  idempotencyKeys,
  jobs,
  rounds,
  logEntries,
  logNodes,
  checkpoints,
  attestations,
  disputes,
  disputeMoves,
  accounts,
  transfers,
  postings,
  counters,
  settings,
  admissions,
  exclusions,
  signingKeys,
  applications,
  chainIntents,
  chainTries,
  chainBlocks,
  chainEvents,
  chainStakes,
  chainKeys,
  chainChannels,
  chainTotals,
  chainRoots,
  chainLeaves,
  chainClaims,
} = sqliteSchema;
