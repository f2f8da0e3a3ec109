/** The one schema, as a function of a dialect's column helpers. */
import type { Columns } from '../columns-sqlite.ts';
import { auditTables } from './audits.ts';
import { chainTables } from './chain.ts';
import { eventTables } from './events.ts';
import { examineTables } from './examine.ts';
import { ledgerTables } from './ledger.ts';
import { operationTables } from './operation.ts';
import { partyTables } from './parties.ts';
import { recordTables } from './record.ts';
import { reexamineTables } from './reexamine.ts';
import { workTables } from './work.ts';

/** All tables for one dialect. */
export function makeSchema(c: Columns) {
  const parties = partyTables(c);
  const work = workTables(c, parties);
  const record = recordTables(c, work);
  return {
    ...parties,
    ...work,
    ...record,
    ...auditTables(c, work),
    ...reexamineTables(c, { ...work, ...record }),
    ...examineTables(c, work),
    ...eventTables(c, parties),
    ...ledgerTables(c),
    ...operationTables(c),
    ...chainTables(c),
  };
}

export type Schema = ReturnType<typeof makeSchema>;
