/** Whether a copy of the log takes a saved answer back: what was attested stays signed, a newer statement overturns it (SPEC.md §8.3, §10.4). Pure. */
import { type OverturnedEntry, overturnSigner } from './aftermath.ts';
import type { InlineReceipt } from './assay-member.ts';
import { type Statement, type StatementWire, statementHash } from './attestation.ts';
import { type CopyKeys, type LogCopy, type OpenLog, openCopyFor } from './log-copy.ts';
import { finding, pending, type VerifyItem } from './verify-item.ts';

/** Failed where the last word of the log about the answer is that it is overturned, or where that word is nobody's. */
export function checkStanding(
  { statement, wire }: { readonly statement: Statement; readonly wire: StatementWire },
  receipt: InlineReceipt | null,
  copy: LogCopy,
  how: CopyKeys,
): VerifyItem {
  if (receipt === null) return pending('standing', 'no receipt yet');
  const log = openCopyFor(receipt.checkpoint, copy, how);
  if (typeof log === 'string') return finding('standing', log, '');
  if (log.checkpoint.size <= statement.logIndex) return pending('standing', 'the copy is older than the answer');
  const last = lastWord(log, statement.requestId);
  if (last === null) return finding('standing', null, `not overturned in ${log.checkpoint.size} entries`);
  return finding('standing', problemOf(last, log, statement, wire, how), '');
}

function lastWord({ entries }: OpenLog, requestId: string): OverturnedEntry | null {
  let last: OverturnedEntry | null = null;
  for (const entry of entries) {
    if (entry.type === 'overturned' && entry.requestId === requestId) last = entry;
    if (entry.type === 'reinstated' && entry.requestId === requestId) last = null;
  }
  return last;
}

function problemOf(
  entry: OverturnedEntry,
  log: OpenLog,
  { gateway }: Statement,
  wire: StatementWire,
  { domain, recover }: CopyKeys,
): string {
  const { statement, disputeId } = entry;
  // From before such statements: the log's own signature over the entry is all there is.
  if (statement === undefined) return `overturned by dispute ${disputeId}`;
  if (statement.statementHash !== statementHash(wire)) return 'the log overturns another statement under its id';
  const signer = overturnSigner(domain, entry, recover);
  const keys = log.entries.flatMap((one) => (one.type === 'key' && one.use === 'gateway' ? [one.value] : []));
  const isOurs = signer !== null && (signer === gateway || keys.includes(signer));
  if (!isOurs) return 'the log says that it is overturned, by a statement that no key of the gateway has signed';
  return `overturned: ${statement.fault}, ${statement.reason}, dispute ${disputeId}`;
}
