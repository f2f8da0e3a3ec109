/** The provider's store on SQLite: write-ahead log, synchronous FULL, so that what was written survives a power cut. */
import Database from 'better-sqlite3';
import { and, asc, eq, inArray, lt, ne, not, sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/better-sqlite3';
import { z } from 'zod';
import { shortEvidenceSchema, tokenEvidenceSchema } from '#protocol/evidence';
import { ticketToWire, zClaim, zRevealEvent, zScoreReply, zTicket } from '#protocol/messages';
import { zAddress, zHash, zSignature, zTokenId } from '#protocol/schema';
import { FINISH_KINDS } from '#protocol/typed';
import { migrateProvider } from './migrations.ts';
import { chunks, claims, jobs, roots, scores, writeChecks } from './schema.ts';
import type { ProviderStore } from './store.ts';
import { successionQueries } from './successions-sqlite.ts';
import { twoRootsQueries } from './two-roots-sqlite.ts';

const zOpening = zRevealEvent.shape.opening;
const zScore = zScoreReply.shape.score;
const zTokenList = z.array(zTokenId);
const zEvidenceList = z.array(tokenEvidenceSchema);
const zShortList = z.array(shortEvidenceSchema);
const zLogprobs = zRevealEvent.shape.logprobs.unwrap();
const zFinish = z.enum(FINISH_KINDS).nullable();

/** A row that does not parse is a damaged file: it throws here and never becomes something to sign. */
function parseJson<T>(schema: z.ZodType<T>, text: string): T {
  return schema.parse(JSON.parse(text));
}

/**
 * Opens (and migrates) the store at `path`; `:memory:` works.
 * @param options.migrationsFolder folder of the generated migrations
 * @param options.exclusive keeps every other process out while this one lives: two providers over one store would each
 * sign its own commitment for one job, which is equivocation
 * @throws {Error} when the file cannot be opened or migrated
 */
export function openSqliteStore(options: {
  path: string;
  migrationsFolder: string;
  exclusive?: boolean;
}): ProviderStore {
  // Alone with the file there is nobody to wait for, but a process of before that is just ending.
  const database = new Database(options.path, { timeout: options.exclusive ? 1_000 : 5_000 });
  if (options.exclusive) database.pragma('locking_mode = EXCLUSIVE');
  database.pragma('journal_mode = WAL');
  // Not the default NORMAL: a commitment must be on the disk before it is signed.
  database.pragma('synchronous = FULL');
  database.pragma('foreign_keys = ON');
  const db = drizzle(database);
  migrateProvider(database, options.migrationsFolder);
  return {
    ...jobQueries(db),
    ...transcriptQueries(db),
    ...outcomeQueries(db),
    ...twoRootsQueries(db),
    ...successionQueries(db),
    checkWritable() {
      db.insert(writeChecks)
        .values({ id: 1, count: 1 })
        .onConflictDoUpdate({ target: writeChecks.id, set: { count: sql`${writeChecks.count} + 1` } })
        .run();
    },
    close() {
      database.close();
    },
  };
}

type Db = ReturnType<typeof drizzle>;

function jobQueries(db: Db): Pick<ProviderStore, 'addJob' | 'job' | 'closeJob' | 'isClosed' | 'prune'> {
  return {
    addJob({ ticket, ticketHash, gateway }) {
      const { jobId, expiresAtMs, retainUntilMs } = ticket;
      const row = { jobId, ticketHash, gateway, expiresAtMs, retainUntilMs };
      return (
        db
          .insert(jobs)
          .values({ ...row, ticket: JSON.stringify(ticketToWire(ticket)) })
          .onConflictDoNothing()
          .run().changes === 1
      );
    },
    job(jobId) {
      const row = db.select().from(jobs).where(eq(jobs.jobId, jobId)).get();
      if (row === undefined) return undefined;
      return {
        ticket: parseJson(zTicket, row.ticket),
        ticketHash: zHash.parse(row.ticketHash),
        gateway: zAddress.parse(row.gateway),
      };
    },
    closeJob(jobId) {
      db.update(jobs).set({ closed: 1 }).where(eq(jobs.jobId, jobId)).run();
    },
    isClosed(jobId) {
      return db.select({ closed: jobs.closed }).from(jobs).where(eq(jobs.jobId, jobId)).get()?.closed === 1;
    },
    prune(nowMs, skewMs, keepOpenings) {
      const over = and(lt(jobs.retainUntilMs, nowMs), lt(jobs.expiresAtMs, nowMs - skewMs));
      if (!keepOpenings) return db.delete(jobs).where(over).run().changes;
      return db.transaction((tx) => {
        const sealed = inArray(jobs.jobId, tx.select({ jobId: chunks.jobId }).from(chunks));
        const { changes } = tx
          .delete(jobs)
          .where(and(over, not(sealed)))
          .run();
        const old = tx.select({ jobId: jobs.jobId }).from(jobs).where(over);
        const bare = { tokens: '[]', evidence: '[]', shortEvidence: '[]', logprobs: null };
        tx.update(chunks)
          .set(bare)
          .where(and(inArray(chunks.jobId, old), ne(chunks.evidence, '[]')))
          .run();
        // A transcript without its tokens is never resumed.
        return (
          changes +
          tx
            .update(jobs)
            .set({ closed: 1 })
            .where(and(over, eq(jobs.closed, 0)))
            .run().changes
        );
      });
    },
  };
}

function transcriptQueries(db: Db): Pick<ProviderStore, 'addChunk' | 'chunks' | 'openingOf' | 'addRoot' | 'roots'> {
  return {
    addChunk({ opening, commitment, tokens, evidence, shortEvidence, logprobs, finish }) {
      const { jobId, index } = opening;
      const texts = {
        opening: JSON.stringify(opening),
        tokens: JSON.stringify(tokens),
        evidence: JSON.stringify(evidence),
        shortEvidence: JSON.stringify(shortEvidence),
        logprobs: logprobs === null ? null : JSON.stringify(logprobs),
      };
      db.insert(chunks)
        .values({ jobId, index, commitment, finish, ...texts })
        .run();
    },
    chunks(jobId) {
      const rows = db.select().from(chunks).where(eq(chunks.jobId, jobId)).orderBy(asc(chunks.index)).all();
      return rows.map((row) => ({
        opening: parseJson(zOpening, row.opening),
        commitment: zHash.parse(row.commitment),
        tokens: parseJson(zTokenList, row.tokens),
        evidence: parseJson(zEvidenceList, row.evidence),
        shortEvidence: parseJson(zShortList, row.shortEvidence),
        logprobs: row.logprobs === null ? null : parseJson(zLogprobs, row.logprobs),
        finish: zFinish.parse(row.finish),
      }));
    },
    openingOf(commitment) {
      // Without an index: asked for once in a demand, never while jobs run.
      const row = db.select().from(chunks).where(eq(chunks.commitment, commitment)).get();
      return row === undefined ? undefined : parseJson(zOpening, row.opening);
    },
    addRoot(jobId, root) {
      db.insert(roots)
        .values({ jobId, ...root })
        .run();
    },
    roots(jobId) {
      const rows = db.select().from(roots).where(eq(roots.jobId, jobId)).orderBy(asc(roots.index)).all();
      return rows.map(({ index, root, slot, signature }) => {
        return { index, root: zHash.parse(root), slot, signature: zSignature.parse(signature) };
      });
    },
  };
}

function outcomeQueries(db: Db): Pick<ProviderStore, 'addClaim' | 'claim' | 'addScore' | 'score'> {
  return {
    addClaim(claim) {
      db.insert(claims)
        .values({ jobId: claim.jobId, claim: JSON.stringify(claim) })
        .run();
    },
    claim(jobId) {
      const row = db.select().from(claims).where(eq(claims.jobId, jobId)).get();
      return row === undefined ? undefined : parseJson(zClaim, row.claim);
    },
    addScore({ score, evidence }) {
      const texts = { score: JSON.stringify(score), evidence: JSON.stringify(evidence) };
      db.insert(scores)
        .values({ jobId: score.jobId, ...texts })
        .run();
    },
    score(jobId) {
      const row = db.select().from(scores).where(eq(scores.jobId, jobId)).get();
      if (row === undefined) return undefined;
      return { score: parseJson(zScore, row.score), evidence: parseJson(zEvidenceList, row.evidence) };
    },
  };
}
