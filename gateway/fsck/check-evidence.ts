/** Accounts of evidence against the log: entries replayed, rows of responses and accounts against them (spec-judge.md §7.10). */
import { accountKey, EvidenceBook } from '#protocol/evidence-book';
import type { ScoredEntry } from '#protocol/log';
import type { WholeDatabase } from '../store/whole-database.ts';
import type { CheckedLog } from './check-log.ts';
import { type Damage, damage } from './damage.ts';

export function checkEvidence(rows: WholeDatabase, { entries }: Pick<CheckedLog, 'entries'>): Damage[] {
  const found: Damage[] = [];
  const byIndex = new Map(rows.scoredResponses.map((row) => [row.logIndex, row]));
  const jobs = new Map(rows.jobs.map((job) => [job.jobId, job]));
  const book = new EvidenceBook();
  const last = new Map<string, string>();
  for (const [logIndex, entry] of entries.entries()) {
    if (entry?.type !== 'scored') continue;
    const row = byIndex.get(logIndex);
    byIndex.delete(logIndex);
    if (row === undefined) {
      found.push(damage('log_orphan', logIndex, `response ${entry.responseHash}`));
    } else if (!isOf(row, entry) || jobs.get(row.responseId)?.requestId !== row.requestId) {
      found.push(damage('evidence_wrong', row.responseId, `entry ${logIndex}`));
    }
    const key = accountKey(entry);
    const responses = (book.account(key)?.all.responses ?? 0) + 1;
    const { stage, wealth, detector } = book.enter(entry, row?.promptHash);
    if (stage !== entry.stage) found.push(damage('evidence_wrong', logIndex, `${entry.stage} instead of ${stage}`));
    last.set(key, [responses, wealth, detector, stage, logIndex].join(' '));
  }
  for (const { responseId, logIndex } of byIndex.values()) {
    found.push(damage('evidence_wrong', responseId, `no entry ${logIndex}`));
  }
  for (const row of rows.evidenceAccounts) {
    const key = accountKey({ operator: row.operator, modelDigest: row.modelDigest as ScoredEntry['modelDigest'] });
    const text = [row.responses, row.wealth, row.detector, row.stage, row.logIndex].join(' ');
    if (last.get(key) !== text) found.push(damage('evidence_wrong', key, text));
    last.delete(key);
  }
  return [...found, ...[...last.keys()].map((key) => damage('evidence_wrong', key, 'the account is missing'))];
}

function isOf(row: WholeDatabase['scoredResponses'][number], entry: ScoredEntry): boolean {
  return (
    row.responseId === entry.responseHash &&
    row.operator === entry.operator &&
    row.modelDigest === entry.modelDigest &&
    row.provider === entry.provider
  );
}
