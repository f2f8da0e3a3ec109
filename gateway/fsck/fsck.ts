/** All checks of a database against itself; reads alone, and the same rows always give the same findings. */
import type { FileReport, WholeDatabase } from '../store/whole-database.ts';
import { checkAftermath } from './check-aftermath.ts';
import { checkAttestations } from './check-attestations.ts';
import { checkAudits } from './check-audits.ts';
import { checkDisputes } from './check-disputes.ts';
import { checkEvidence } from './check-evidence.ts';
import { checkExaminations } from './check-examinations.ts';
import { checkKeys } from './check-keys.ts';
import { checkLog, type FsckKeys } from './check-log.ts';
import { checkMoney } from './check-money.ts';
import { checkRequests } from './check-requests.ts';
import { checkWork } from './check-work.ts';
import { type Damage, damage } from './damage.ts';

/** Everything that is wrong; empty for a database that a crash, but nobody else, has touched. */
export function findDamage(report: FileReport, rows: WholeDatabase, keys: FsckKeys): Damage[] {
  const log = checkLog(rows, keys);
  return [
    ...report.integrity.map((text) => damage('file_damaged', '', text)),
    ...report.danglingTables.map((table) => damage('dangling_reference', table, 'foreign key')),
    ...checkMoney(rows),
    ...checkKeys(rows, log.entries),
    ...log.found,
    ...checkRequests(rows, log.entries),
    ...checkWork(rows, keys),
    ...checkAttestations(rows, log, keys),
    ...checkDisputes(rows, log, keys),
    ...checkEvidence(rows, log),
    ...checkAudits(rows, log.entries),
    ...checkExaminations(rows, log.entries),
    ...checkAftermath(rows, log, keys),
  ];
}
