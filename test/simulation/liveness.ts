/** LIVENESS: once faults stop, every request has ended in an answer or a clear error, and nothing is held for ever. */
import { eq, isNull, ne, or } from 'drizzle-orm';
import { AUDIT_POOL } from '../../gateway/ledger/accounts.ts';
import { outcomeOf } from './outcome.ts';
import type { Run } from './simulation.ts';

/** Accounts that must be empty when nothing runs. */
const HOLDING = ['escrow', 'cover', 'frozen', 'withheld'];

/** Every violation, in words. */
export async function livenessViolations(run: Run): Promise<string[]> {
  const violations: string[] = [];
  for (const [i, answer] of run.answers.entries()) {
    const outcome = outcomeOf(answer);
    if (outcome.kind === 'unclear') violations.push(`request ${i} ended unclear: ${outcome.detail}`);
    if (outcome.kind === 'left' && answer.plan.leavesAfterMs === null) violations.push(`request ${i} has no answer`);
  }
  const probe = run.probe && outcomeOf(run.probe);
  // Machines that still lie may leave it undecided; honest ones may not.
  const honest = run.scenario.machines.every(({ cheat }) => cheat === null);
  if (probe && honest && (probe.kind !== 'answered' || probe.statement.verdict === 'inconclusive')) {
    violations.push(`a new request is not answered: ${probe.kind === 'failed' ? probe.code : probe.kind}`);
  }
  await run.store.read(async ({ db, tables }) => {
    const { accounts, requests, disputes, audits } = tables;
    for (const { id, balanceNano } of await db.select().from(accounts)) {
      const kind = id.split(':')[0]!;
      if (HOLDING.includes(kind) && id !== AUDIT_POOL && balanceNano !== 0n)
        violations.push(`${id} still holds ${balanceNano} nano`);
    }
    const open = await db
      .select({ id: requests.requestId })
      .from(requests)
      .where(or(eq(requests.state, 'accepted'), eq(requests.state, 'running')));
    for (const { id } of open) violations.push(`${id} is still open`);
    const undone = await db.select({ id: audits.requestId }).from(audits).where(isNull(audits.logIndex));
    for (const { id } of undone) violations.push(`an audit of ${id} was promised and not done`);
    const late = await db.select({ id: audits.requestId }).from(audits).where(eq(audits.outcome, 'undone'));
    if (honest && run.scenario.probe) for (const { id } of late) violations.push(`no audit of ${id} came to anything`);
    const unsettled = await db.select().from(disputes).where(ne(disputes.state, 'settled'));
    for (const { disputeId, state } of unsettled) violations.push(`dispute ${disputeId} is still ${state}`);
  });
  return violations;
}
