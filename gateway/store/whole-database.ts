/** Every row of a gateway's database as of one moment, for the checks of `assay fsck`; nothing is written. */
import Database from 'better-sqlite3';
import { asc } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/better-sqlite3';
import type { Domain } from '#protocol/eip712';
import { storedDomain } from './chain-network-repo.ts';
import type { Handle } from './handle.ts';
import { requireMigrated, sqliteMigrationsFolder } from './migrations.ts';
import { sqliteSchema } from './schema/sqlite.ts';

type Tables = Handle['tables'];
type Rows<K extends keyof Tables> = readonly Tables[K]['$inferSelect'][];

/** All tables that the checks read, each in the order of its key. */
export interface WholeDatabase {
  readonly apiKeys: Rows<'apiKeys'>;
  readonly keyBudgets: Rows<'keyBudgets'>;
  readonly signingKeys: Rows<'signingKeys'>;
  readonly providers: Rows<'providers'>;
  readonly epochs: Rows<'epochs'>;
  readonly draws: Rows<'draws'>;
  readonly requests: Rows<'requests'>;
  readonly idempotencyKeys: Rows<'idempotencyKeys'>;
  readonly jobs: Rows<'jobs'>;
  readonly rounds: Rows<'rounds'>;
  readonly logEntries: Rows<'logEntries'>;
  readonly logNodes: Rows<'logNodes'>;
  readonly checkpoints: Rows<'checkpoints'>;
  readonly attestations: Rows<'attestations'>;
  readonly disputes: Rows<'disputes'>;
  readonly disputeMoves: Rows<'disputeMoves'>;
  readonly scoredResponses: Rows<'scoredResponses'>;
  readonly evidenceAccounts: Rows<'evidenceAccounts'>;
  readonly audits: Rows<'audits'>;
  readonly auditJobs: Rows<'auditJobs'>;
  readonly examinations: Rows<'examinations'>;
  readonly examined: Rows<'examined'>;
  readonly reexaminations: Rows<'reexaminations'>;
  readonly reexamined: Rows<'reexamined'>;
  readonly accounts: Rows<'accounts'>;
  readonly transfers: Rows<'transfers'>;
  readonly postings: Rows<'postings'>;
  readonly counters: Rows<'counters'>;
}

/** What SQLite itself finds wrong with the file: broken pages, broken references. */
export interface FileReport {
  readonly integrity: readonly string[];
  /** Tables with rows that refer to nothing. */
  readonly danglingTables: readonly string[];
}

/**
 * Reads the database in one read transaction, also while a gateway runs over it, and says where its signatures are valid.
 * @throws {Error} where the file is none of ours, of another version, or too damaged to be read
 */
export async function readWholeDatabase(
  file: string,
): Promise<{ report: FileReport; rows: WholeDatabase; domain: Domain }> {
  const sqlite = new Database(file, { readonly: true, fileMustExist: true });
  try {
    sqlite.defaultSafeIntegers(true);
    sqlite.exec('BEGIN');
    requireMigrated(sqlite, sqliteMigrationsFolder());
    const found = sqlite.pragma('integrity_check(10)') as { integrity_check: string }[];
    const dangling = sqlite.pragma('foreign_key_check') as { table: string }[];
    const report = {
      integrity: found.map((row) => row.integrity_check).filter((text) => text !== 'ok'),
      danglingTables: [...new Set(dangling.map((row) => row.table))],
    };
    const handle = { db: drizzle(sqlite), tables: sqliteSchema };
    return { report, rows: await readRows(handle), domain: await storedDomain(handle) };
  } finally {
    sqlite.close();
  }
}

async function readRows({ db, tables }: Handle): Promise<WholeDatabase> {
  const { logEntries, logNodes, draws, disputeMoves } = tables;
  return {
    apiKeys: await db.select().from(tables.apiKeys),
    keyBudgets: await db.select().from(tables.keyBudgets).orderBy(asc(tables.keyBudgets.keyId)),
    signingKeys: await db.select().from(tables.signingKeys).orderBy(asc(tables.signingKeys.logIndex)),
    providers: await db.select().from(tables.providers),
    epochs: await db.select().from(tables.epochs).orderBy(asc(tables.epochs.epoch)),
    draws: await db.select().from(draws).orderBy(asc(draws.epoch), asc(draws.drawIndex)),
    requests: await db.select().from(tables.requests).orderBy(asc(tables.requests.requestId)),
    idempotencyKeys: await db.select().from(tables.idempotencyKeys),
    jobs: await db.select().from(tables.jobs).orderBy(asc(tables.jobs.jobId)),
    rounds: await db.select().from(tables.rounds),
    logEntries: await db.select().from(logEntries).orderBy(asc(logEntries.logIndex)),
    logNodes: await db.select().from(logNodes).orderBy(asc(logNodes.level), asc(logNodes.nodeIndex)),
    checkpoints: await db.select().from(tables.checkpoints).orderBy(asc(tables.checkpoints.size)),
    attestations: await db.select().from(tables.attestations).orderBy(asc(tables.attestations.logIndex)),
    disputes: await db.select().from(tables.disputes).orderBy(asc(tables.disputes.disputeId)),
    disputeMoves: await db
      .select()
      .from(disputeMoves)
      .orderBy(asc(disputeMoves.disputeId), asc(disputeMoves.moveIndex)),
    scoredResponses: await db.select().from(tables.scoredResponses).orderBy(asc(tables.scoredResponses.logIndex)),
    evidenceAccounts: await db.select().from(tables.evidenceAccounts),
    audits: await db.select().from(tables.audits).orderBy(asc(tables.audits.requestId), asc(tables.audits.choice)),
    auditJobs: await db.select().from(tables.auditJobs).orderBy(asc(tables.auditJobs.jobId)),
    examinations: await db.select().from(tables.examinations).orderBy(asc(tables.examinations.examinationId)),
    examined: await db
      .select()
      .from(tables.examined)
      .orderBy(asc(tables.examined.requestId), asc(tables.examined.choice)),
    reexaminations: await db.select().from(tables.reexaminations).orderBy(asc(tables.reexaminations.disputeId)),
    reexamined: await db
      .select()
      .from(tables.reexamined)
      .orderBy(asc(tables.reexamined.requestId), asc(tables.reexamined.choice)),
    accounts: await db.select().from(tables.accounts),
    transfers: await db.select().from(tables.transfers),
    postings: await db.select().from(tables.postings),
    counters: await db.select().from(tables.counters),
  };
}
