/** The one schema, as a function of a dialect's column helpers. */
import type { Columns } from '../columns-sqlite.ts';
import { auditTables } from './audits.ts';
import { chainTables } from './chain.ts';
import { ledgerTables } from './ledger.ts';
import { operationTables } from './operation.ts';
import { partyTables } from './parties.ts';
import { recordTables } from './record.ts';
import { workTables } from './work.ts';

/** All tables for one dialect. */
export function makeSchema(c: Columns) {
  const parties = partyTables(c);
  const work = workTables(c, parties);
  return {
    ...parties,
    ...work,
    ...recordTables(c, work),
    ...auditTables(c, work),
    ...ledgerTables(c),
    ...operationTables(c),
    ...chainTables(c),
  };
}

export type Schema = ReturnType<typeof makeSchema>;
