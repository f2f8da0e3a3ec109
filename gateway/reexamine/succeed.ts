/**
 * A conviction that falls on appeal takes none of what it led to with it: the first of its disputes that stands is the conviction then
 * (SPEC.md §8.3). Otherwise whoever convicts itself of something that it can explain would have its past looked at for the refunds alone.
 */
import { isProviderFault, PENALTY_BPS } from '../ledger/penalties.ts';
import { type DisputeRow, disputeById, updateDispute } from '../store/disputes-repo.ts';
import { enterFreezing, hasSucceeded, NOTHING, penaltyNow } from '../store/freezings.ts';
import type { Tx } from '../store/handle.ts';
import { itemAccusedIn, itemsOf } from '../store/reexamine-repo.ts';
import { openReexamination, type ReexamineLimits } from './open.ts';

/** Whether a ruling takes stake, and so opens the account's past. */
export function isConviction({ ruling, fault }: Pick<DisputeRow, 'ruling' | 'fault'>): boolean {
  return ruling === 'upheld' && isProviderFault(fault) && PENALTY_BPS[fault] > 0n;
}

/**
 * Finds who convicts now, after a ruling in a family of disputes: a conviction, and what it led to, and what that led to.
 * @param disputeId any of them
 */
export async function succeedConviction(
  tx: Tx,
  disputeId: string,
  limits: ReexamineLimits,
  nowMs: number,
): Promise<void> {
  const root = await rootOf(tx, disputeId);
  const conviction = await disputeById(tx, root);
  if (conviction === null || isConviction(conviction)) return;
  let heir: DisputeRow | null = null;
  for (const id of await sequelOf(tx, root)) {
    const dispute = (await disputeById(tx, id))!;
    if (!isConviction(dispute)) continue;
    if (await hasSucceeded(tx, id)) return;
    // What is settled freezes nothing any more.
    if (dispute.state === 'ruled') heir ??= dispute;
  }
  if (heir === null) return;
  // An accusation that somebody else was faster with holds its penalty already.
  const penalty = heir.frozenNano > 0n ? NOTHING : await penaltyNow(tx, heir, nowMs);
  const frozenNano = await enterFreezing(tx, heir, penalty, 'succession', nowMs);
  await updateDispute(tx, heir.disputeId, { frozenNano: heir.frozenNano + frozenNano });
  await openReexamination(tx, heir.disputeId, limits, nowMs);
}

/** The conviction that everything began with. */
async function rootOf(tx: Tx, disputeId: string): Promise<string> {
  let root = disputeId;
  for (let item = await itemAccusedIn(tx, root); item !== null; item = await itemAccusedIn(tx, root)) {
    root = item.disputeId;
  }
  return root;
}

/** Disputes that it led to, in the order of their examination, each before what it led to itself. */
async function sequelOf(tx: Tx, disputeId: string): Promise<string[]> {
  const found: string[] = [];
  for (const { accusedIn } of await itemsOf(tx, disputeId)) {
    if (accusedIn !== null) found.push(accusedIn, ...(await sequelOf(tx, accusedIn)));
  }
  return found;
}
