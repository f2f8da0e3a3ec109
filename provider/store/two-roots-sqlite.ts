/** Evidence against gateways that showed two roots for one round; it outlives the jobs it is from (SPEC.md §5). */
import { asc } from 'drizzle-orm';
import type { BetterSQLite3Database } from 'drizzle-orm/better-sqlite3';
import { zTwoRoots } from '#protocol/two-roots';
import { twoRoots } from './schema.ts';
import type { ProviderStore } from './store.ts';

export function twoRootsQueries(db: BetterSQLite3Database): Pick<ProviderStore, 'addTwoRoots' | 'twoRoots'> {
  return {
    addTwoRoots({ roundId, index, first, second }) {
      db.insert(twoRoots)
        .values({
          roundId,
          index,
          firstRoot: first.roundRoot,
          firstSignature: first.signature,
          secondRoot: second.roundRoot,
          secondSignature: second.signature,
        })
        .onConflictDoNothing()
        .run();
    },
    twoRoots(limit) {
      const rows = db.select().from(twoRoots).orderBy(asc(twoRoots.roundId), asc(twoRoots.index)).limit(limit).all();
      return rows.map((row) =>
        zTwoRoots.parse({
          roundId: row.roundId,
          index: row.index,
          first: { roundRoot: row.firstRoot, signature: row.firstSignature },
          second: { roundRoot: row.secondRoot, signature: row.secondSignature },
        }),
      );
    },
  };
}
