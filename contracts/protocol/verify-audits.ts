/** What a saved answer promised of its audits, and trials over it, against a copy of the log (SPEC.md §8.2, §10.4). Pure. */
import type { InlineReceipt } from './assay-member.ts';
import type { Statement, StatementWire } from './attestation.ts';
import { type ProvenAudit, proveAudits } from './audit-proof.ts';
import { type CopyKeys, type LogCopy, openCopyFor } from './log-copy.ts';
import { type ProvenTrial, proveTrials } from './trial-proof.ts';
import { finding, notChecked, pending, type VerifyItem } from './verify-item.ts';

export interface AuditCheck {
  readonly items: readonly VerifyItem[];
  /** By choice, where a copy of the log was given that could be read; of answers that promise audits. */
  readonly audits: readonly ProvenAudit[];
  /** By choice, where a copy of the log was given that could be read. */
  readonly trials: readonly ProvenTrial[];
}

/** Audits where the answer promises them, and trials where there is a log to look for them in. */
export function checkAudits(
  { statement, wire }: { readonly statement: Statement; readonly wire: StatementWire },
  receipt: InlineReceipt | null,
  copy: LogCopy | null,
  how: CopyKeys,
): AuditCheck {
  const rate = statement.audit && `${statement.audit.ppm} of a million choices`;
  const without = (item: VerifyItem): AuditCheck => ({ items: rate ? [item] : [], audits: [], trials: [] });
  if (copy === null) return without(pending('audits', `${rate}; assay audit-proof checks it once the epoch is over`));
  if (receipt === null) return without(pending('audits', `${rate}; no receipt yet`));
  const log = openCopyFor(receipt.checkpoint, copy, how);
  if (typeof log === 'string') return without(finding('audits', log, ''));
  const answer = { statement, wire, snapshot: receipt.snapshot };
  const audits = proveAudits(log, answer);
  const trials = proveTrials(log, answer);
  const items = [...(rate ? [itemOf(audits, rate)] : []), trialItem(trials)];
  return { items, audits, trials };
}

function trialItem(trials: readonly ProvenTrial[]): VerifyItem {
  const broken = trials.find(({ status }) => status === 'broken');
  if (broken) return finding('trials', `choice ${broken.choice}: ${broken.detail}`, '');
  const open = trials.find(({ status }) => status === 'pending');
  if (open) return pending('trials', open.detail);
  const tried = trials.filter(({ status }) => status === 'tried').length;
  return finding('trials', null, `${tried} of ${trials.length} choices, all of them drawn`);
}

function itemOf(audits: readonly ProvenAudit[], rate: string): VerifyItem {
  const worst = (status: ProvenAudit['status']) => audits.find((audit) => audit.status === status);
  const broken = worst('broken');
  if (broken) return finding('audits', `choice ${broken.choice}: ${broken.detail}`, '');
  const open = worst('pending');
  if (open) return pending('audits', `${rate}; ${open.detail}`);
  const undone = worst('undone');
  if (undone) return notChecked('audits', `choice ${undone.choice} was drawn, and ${undone.detail}`);
  const done = audits.filter(({ status }) => status === 'done').length;
  return finding('audits', null, `${rate}; ${done} of ${audits.length} drawn, all of them in the log`);
}
