/** Signing keys that gateways have handed over to (SPEC.md §6.8). */
import { asc } from 'drizzle-orm';
import type { BetterSQLite3Database } from 'drizzle-orm/better-sqlite3';
import { zSuccessionOrder } from '#protocol/succession';
import { gatewaySuccessions } from './schema.ts';
import type { ProviderStore } from './store.ts';

export function successionQueries(db: BetterSQLite3Database): Pick<ProviderStore, 'addSuccession' | 'successions'> {
  return {
    addSuccession(order) {
      const { next, previous, atMs } = order.succession;
      db.insert(gatewaySuccessions)
        .values({ next, previous, atMs, orderJson: JSON.stringify(order) })
        .onConflictDoNothing()
        .run();
    },
    successions() {
      const rows = db
        .select()
        .from(gatewaySuccessions)
        .orderBy(asc(gatewaySuccessions.atMs), asc(gatewaySuccessions.next))
        .all();
      return rows.map(({ orderJson }) => zSuccessionOrder.parse(JSON.parse(orderJson)));
    },
  };
}
