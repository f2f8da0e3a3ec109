/** What convictions led to, against disputes, log and money: who was looked at, what fell, and who was paid back (SPEC.md §8.3, §11.8). */
import { overturnSigner } from '#protocol/aftermath';
import type { LogEntry } from '#protocol/log';
import { clientAccount, parseAccount } from '../ledger/accounts.ts';
import { ITEM_OUTCOMES } from '../reexamine/open.ts';
import type { WholeDatabase } from '../store/whole-database.ts';
import type { CheckedLog, FsckKeys } from './check-log.ts';
import { type Damage, damage } from './damage.ts';

type Item = WholeDatabase['reexamined'][number];
type Disputes = ReadonlyMap<string, WholeDatabase['disputes'][number]>;

export function checkAftermath(rows: WholeDatabase, log: CheckedLog, keys: FsckKeys): Damage[] {
  const disputes: Disputes = new Map(rows.disputes.map((dispute) => [dispute.disputeId, dispute]));
  return [
    ...rows.reexamined.flatMap((item) => checkItem(item, disputes, log.entries)),
    ...checkEnds(rows, disputes),
    ...checkOrphans(rows, log.entries),
    ...checkFallen(rows, log, keys),
    ...checkRefunds(rows),
  ];
}

function checkItem(item: Item, disputes: Disputes, entries: CheckedLog['entries']): Damage[] {
  const { requestId, choice, logIndex, accusedIn, outcome } = item;
  const id = `${requestId}/${choice}`;
  if (logIndex === null) return [];
  const entry = entries[logIndex] ?? null;
  if (!isOf(item, entry)) return [damage('reexamined_wrong', id, `entry ${logIndex}`)];
  const { outcome: seen } = entry as Extract<LogEntry, { type: 'reexamined' }>;
  if (accusedIn === null) {
    const due = seen === 'held' ? 'stands' : 'inconclusive';
    return outcome === due ? [] : [damage('reexamined_wrong', id, `${outcome} where ${seen} was seen`)];
  }
  const dispute = disputes.get(accusedIn);
  const isAboutIt = dispute?.requestId === requestId && dispute.provider === item.provider && seen === 'rejected';
  const due = dispute?.ruling ? ITEM_OUTCOMES[dispute.ruling] : null;
  return isAboutIt && outcome === due ? [] : [damage('reexamined_wrong', id, `dispute ${accusedIn}`)];
}

function isOf({ requestId, choice, provider, disputeId }: Item, entry: LogEntry | null): boolean {
  return (
    entry?.type === 'reexamined' &&
    entry.requestId === requestId &&
    entry.choice === choice &&
    entry.provider === provider &&
    entry.disputeId === disputeId
  );
}

/** It has ended where nothing waits, and its conviction was settled after that alone. */
function checkEnds(rows: WholeDatabase, disputes: Disputes): Damage[] {
  return rows.reexaminations.flatMap(({ disputeId, endedAtMs }) => {
    const open = rows.reexamined.filter((item) => item.disputeId === disputeId && item.outcome === null);
    const conviction = disputes.get(disputeId);
    if (endedAtMs !== null && open.length > 0) {
      return [damage('reexamined_wrong', disputeId, `ended with ${open.length} open`)];
    }
    const isPaid = conviction?.state === 'settled';
    return endedAtMs === null && isPaid ? [damage('reexamined_wrong', disputeId, 'settled before its end')] : [];
  });
}

function checkOrphans(rows: WholeDatabase, entries: CheckedLog['entries']): Damage[] {
  const known = new Set(rows.reexamined.flatMap(({ logIndex }) => logIndex ?? []));
  return entries.flatMap((entry, index) =>
    entry?.type === 'reexamined' && !known.has(index)
      ? [damage('log_orphan', index, `re-examination of ${entry.requestId}`)]
      : [],
  );
}

/** An answer has fallen in the database exactly where the last word of the log about it says so, by a statement of ours. */
function checkFallen(rows: WholeDatabase, { entries, gateways }: CheckedLog, { domain, recover }: FsckKeys): Damage[] {
  const fallen = new Map<string, string>();
  const found: Damage[] = [];
  for (const [index, entry] of entries.entries()) {
    if (entry?.type === 'reinstated') fallen.delete(entry.requestId);
    if (entry?.type !== 'overturned') continue;
    fallen.set(entry.requestId, entry.disputeId);
    const signer = overturnSigner(domain, entry, recover);
    const isOurs = entry.statement === undefined || (signer !== null && gateways.has(signer));
    if (!isOurs) found.push(damage('overturn_wrong', index, 'signature'));
  }
  const differing = rows.attestations.filter(
    ({ requestId, overturnedBy }) => (fallen.get(requestId) ?? null) !== overturnedBy,
  );
  return [
    ...found,
    ...differing.map(({ requestId, overturnedBy }) =>
      damage(
        'overturn_wrong',
        requestId,
        `by ${overturnedBy ?? 'nobody'}, in the log ${fallen.get(requestId) ?? 'never'}`,
      ),
    ),
  ];
}

/** What requests say that clients got back is what disputes have paid them, account by account; and each item's part is within its request's. */
function checkRefunds(rows: WholeDatabase): Damage[] {
  const difference = new Map<string, bigint>();
  const add = (account: string, nano: bigint) => difference.set(account, (difference.get(account) ?? 0n) + nano);
  for (const { transferId, account, amountNano } of rows.postings) {
    if (transferId.startsWith('dispute:') && parseAccount(account).kind === 'client') add(account, amountNano);
  }
  const most = new Map<string, bigint>();
  for (const { requestId, account, refundedNano } of rows.requests) {
    add(clientAccount(account), -refundedNano);
    most.set(requestId, refundedNano);
  }
  const unequal = [...difference].filter(([, nano]) => nano !== 0n);
  const above = rows.reexamined.filter(({ requestId, refundedNano }) => refundedNano > (most.get(requestId) ?? 0n));
  return [
    ...unequal.map(([account, nano]) => damage('refund_wrong', account, `${nano} nano more paid than written down`)),
    ...above.map(({ requestId, refundedNano }) => damage('refund_wrong', requestId, `${refundedNano} nano of less`)),
  ];
}
