/** Audits against the log and the money: what was promised is done or waits, and the pool holds what clients paid and audits did not cost (SPEC.md §8.1, §11.5). */
import type { AuditTerms } from '#protocol/audit';
import { type LogEntry, PPM } from '#protocol/log';
import type { Standing } from '#protocol/verdict';
import { AUDIT_POOL } from '../ledger/accounts.ts';
import { JACKPOT_PREFIX, jackpotTransfer } from '../ledger/jackpot.ts';
import { surchargesOf } from '../store/close-request.ts';
import type { WholeDatabase } from '../store/whole-database.ts';
import { type Damage, damage } from './damage.ts';

type Entries = readonly (LogEntry | null)[];
type Audit = WholeDatabase['audits'][number];

export function checkAudits(rows: WholeDatabase, entries: Entries): Damage[] {
  return [...checkDone(rows, entries), ...checkPool(rows), ...checkJackpots(rows, entries)];
}

/** Every prize is that of a trial in the log, and every trial's prize was paid, out of the reserve to who was tried. */
function checkJackpots(rows: WholeDatabase, entries: Entries): Damage[] {
  const due = new Map<string, string>();
  for (const entry of entries) {
    if (entry?.type !== 'trial' || entry.jackpotNano === undefined) continue;
    const { requestId, choice, provider, jackpotNano } = entry;
    const { id, postings } = jackpotTransfer({ requestId, choice, provider, amountNano: BigInt(jackpotNano) });
    due.set(id, textOf(postings));
  }
  const paid = new Set(rows.transfers.filter(({ id }) => id.startsWith(JACKPOT_PREFIX)).map(({ id }) => id));
  return [...new Set([...due.keys(), ...paid])].flatMap((id) => {
    const postings = rows.postings.filter(({ transferId }) => transferId === id);
    return paid.has(id) && due.get(id) === textOf(postings)
      ? []
      : [damage('jackpot_wrong', id, 'not what the trial in the log says')];
  });
}

function textOf(postings: readonly { readonly account: string; readonly amountNano: bigint }[]): string {
  return postings
    .map(({ account, amountNano }) => `${account} ${amountNano}`)
    .sort()
    .join();
}

function checkDone(rows: WholeDatabase, entries: Entries): Damage[] {
  const requests = new Map(rows.requests.map((request) => [request.requestId, request]));
  const byIndex = new Map(rows.audits.flatMap((row) => (row.logIndex === null ? [] : [[row.logIndex, row] as const])));
  const wrong = rows.audits.flatMap((row) => {
    const id = `${row.requestId}/${row.choice}`;
    const isPromised = requests.get(row.requestId)?.state === 'settled' && isAudited(requests.get(row.requestId)!);
    if (!isPromised) return [damage('audit_wrong', id, 'of no answer that promised one')];
    if (row.logIndex === null || isOf(row, entries[row.logIndex] ?? null)) return [];
    return [damage('audit_wrong', id, `entry ${row.logIndex}`)];
  });
  const orphans = entries.flatMap((entry, index) =>
    entry?.type === 'audited' && !byIndex.has(index)
      ? [damage('log_orphan', index, `audit of ${entry.requestId}`)]
      : [],
  );
  return [...wrong, ...orphans, ...checkCertain(rows)];
}

/** Whether a choice is audited follows from a secret; of an answer that promises to audit all of them it needs none. */
function checkCertain(rows: WholeDatabase): Damage[] {
  const known = new Map<string, number>();
  for (const { requestId } of rows.audits) known.set(requestId, (known.get(requestId) ?? 0) + 1);
  return rows.attestations.flatMap(({ requestId, statementJson }) => {
    if (termsIn(statementJson)?.ppm !== PPM) return [];
    const { choices = [] } = JSON.parse(statementJson!) as { choices?: unknown[] };
    const [wanted, has] = [1 + choices.length, known.get(requestId) ?? 0];
    return wanted === has ? [] : [damage('audit_wrong', requestId, `${has} of ${wanted} audits`)];
  });
}

function isOf({ requestId, choice, provider, kind, outcome }: Audit, entry: LogEntry | null): boolean {
  return (
    entry?.type === 'audited' &&
    entry.requestId === requestId &&
    entry.choice === choice &&
    entry.provider === provider &&
    entry.kind === kind &&
    entry.outcome === outcome
  );
}

function isAudited({ policyJson }: { readonly policyJson: string }): boolean {
  try {
    return (JSON.parse(policyJson) as { mode?: unknown }).mode === 'audited';
  } catch {
    return false;
  }
}

/** Surcharges come with the end of an audited answer, at the rate that it states; what leaves the pool was an audit's. */
function checkPool(rows: WholeDatabase): Damage[] {
  const due = new Map<string, bigint>();
  const statements = new Map(rows.attestations.map(({ requestId, statementJson }) => [requestId, statementJson]));
  const unknown = new Set<string>();
  for (const request of rows.requests.filter((one) => one.state === 'settled' && isAudited(one))) {
    const id = `close:${request.requestId}`;
    const terms = termsIn(statements.get(request.requestId) ?? null);
    if (terms === null) {
      // Forgotten with the statement, or the statement is damaged, which another check says.
      unknown.add(id);
      continue;
    }
    const jobs = rows.jobs.filter(({ requestId }) => requestId === request.requestId);
    due.set(id, surchargesOf(request, jobs, settledStandings(jobs), terms));
  }
  const ofAudits = new Set(rows.auditJobs.map(({ jobId }) => `late:${jobId}`));
  const found: Damage[] = [];
  for (const { transferId, account, amountNano } of rows.postings) {
    if (account !== AUDIT_POOL || unknown.has(transferId)) continue;
    const wanted = due.get(transferId);
    due.delete(transferId);
    const isRight = wanted === undefined ? amountNano < 0n && ofAudits.has(transferId) : amountNano === wanted;
    if (!isRight) found.push(damage('audit_money_wrong', transferId, `${amountNano} instead of ${wanted ?? 0n} nano`));
  }
  for (const [transferId, wanted] of due) {
    if (wanted > 0n) found.push(damage('audit_money_wrong', transferId, `nothing instead of ${wanted} nano`));
  }
  return found;
}

function termsIn(statementJson: string | null): AuditTerms | null {
  try {
    return (JSON.parse(statementJson ?? 'null') as { audit?: AuditTerms } | null)?.audit ?? null;
  } catch {
    return null;
  }
}

/** At the end of the request: one whose audit rejected it later was counted then. */
function settledStandings(jobs: WholeDatabase['jobs']): Map<string, Standing> {
  return new Map(
    jobs.flatMap(({ jobId, standing }) =>
      standing === null ? [] : [[jobId, standing === 'rejected' ? 'counted' : standing] as const],
    ),
  );
}
