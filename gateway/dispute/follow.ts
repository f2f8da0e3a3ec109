/** What follows from a ruling, in its transaction: what becomes of the answer and of others by the same account, and what clients are told. */
import { overturnedEntry } from '#protocol/aftermath';
import type { Hash } from '#protocol/hash';
import { zLogEntry } from '#protocol/log';
import type { LogKeeper } from '../attest/log-keeper.ts';
import { tellClient } from '../events/client-events.ts';
import type { DisputeSettlement, Ruling } from '../ledger/dispute-money.ts';
import {
  closeReexamination,
  endIfDone,
  ITEM_OUTCOMES,
  openReexamination,
  type ReexamineLimits,
} from '../reexamine/open.ts';
import { isConviction, succeedConviction } from '../reexamine/succeed.ts';
import type { Issuer } from '../round/plan.ts';
import { attestationOf, overturnAttestation, reinstateAttestation } from '../store/attestations-repo.ts';
import type { DisputeRow } from '../store/disputes-repo.ts';
import type { Tx } from '../store/handle.ts';
import { logRange } from '../store/log-repo.ts';
import { itemAccusedIn, updateItem } from '../store/reexamine-repo.ts';
import type { DisputeBundle } from './bundle.ts';
import { overturns } from './overturn.ts';

export interface FollowDeps extends Issuer {
  readonly log: Pick<LogKeeper, 'append'>;
  readonly reexamine: ReexamineLimits;
}

export async function followRuling(
  tx: Tx,
  deps: FollowDeps,
  bundle: DisputeBundle,
  ruling: Ruling,
  atMs: number,
): Promise<void> {
  const { requestId, disputeId, fault } = bundle;
  await tellClient(tx, requestId, { type: 'dispute.ruled', facts: { dispute_id: disputeId, fault, ruling } }, atMs);
  await followAnswer(tx, deps, bundle, ruling, atMs);
  const item = await itemAccusedIn(tx, disputeId);
  if (item !== null) await updateItem(tx, item, { outcome: ITEM_OUTCOMES[ruling] });
  if (!isConviction({ ruling, fault })) await closeReexamination(tx, disputeId, atMs);
  // Who was convicted already is not convicted again by what that led to, unless the conviction has fallen.
  else if (item === null) await openReexamination(tx, disputeId, deps.reexamine, atMs);
  await succeedConviction(tx, disputeId, deps.reexamine, atMs);
}

/** The money has moved: clients are told, and a conviction that waited for this one may be next. */
export async function followSettlement(
  tx: Tx,
  { requestId, disputeId, ruling }: DisputeRow,
  { refundedNano, restitutions }: DisputeSettlement,
  atMs: number,
): Promise<void> {
  await tellClient(tx, requestId, { type: 'dispute.settled', facts: { dispute_id: disputeId, ruling } }, atMs);
  for (const refund of [{ requestId, refundedNano }, ...restitutions]) {
    if (refund.refundedNano === 0n) continue;
    const facts = { dispute_id: disputeId, amount_nano: refund.refundedNano.toString() };
    await tellClient(tx, refund.requestId, { type: 'refund', facts }, atMs);
  }
  const item = await itemAccusedIn(tx, disputeId);
  if (item !== null) await endIfDone(tx, item.disputeId, atMs);
}

/** INVARIANT: what was attested stays signed; a later statement in the log takes it back, another lets it stand again. */
async function followAnswer(
  tx: Tx,
  deps: FollowDeps,
  bundle: DisputeBundle,
  ruling: Ruling,
  atMs: number,
): Promise<void> {
  const { requestId, disputeId, fault, reason } = bundle;
  if (!overturns(bundle, ruling)) {
    if (!(await reinstateAttestation(tx, requestId, disputeId))) return;
    await deps.log.append(tx, { type: 'reinstated', requestId, disputeId, atMs });
    await tellClient(tx, requestId, { type: 'answer.reinstated', facts: { dispute_id: disputeId } }, atMs);
    return;
  }
  if (!(await overturnAttestation(tx, requestId, disputeId, atMs))) return;
  const statementHash = await statementHashOf(tx, requestId);
  const overturn = { requestId, disputeId, statementHash, fault, reason, atMs };
  await deps.log.append(tx, overturnedEntry(deps, overturn));
  await tellClient(tx, requestId, { type: 'answer.overturned', facts: { dispute_id: disputeId, fault, reason } }, atMs);
}

/** By the log, which keeps it when the statement itself is forgotten. */
async function statementHashOf(tx: Tx, requestId: string): Promise<Hash> {
  const { logIndex } = (await attestationOf(tx, requestId))!;
  const [row] = await logRange(tx, logIndex, logIndex + 1);
  const entry = zLogEntry.parse(JSON.parse(row!.entryJson));
  if (entry.type !== 'answer') throw new Error('the attestation is not at its place in the log');
  return entry.statementHash;
}
