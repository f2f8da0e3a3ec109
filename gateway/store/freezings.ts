/** What disputes freeze of a provider's stake and pay, and how much of it was pay (SPEC.md §11.8). */
import { and, eq, ne } from 'drizzle-orm';
import type { Fault } from '#protocol/verdict';
import { FREEZINGS, type FreezingKind, freeze, freezeId, freezeNano, frozenPayOf } from '../ledger/freezing.ts';
import { isProviderFault } from '../ledger/penalties.ts';
import { isForfeiting } from '../ledger/retained.ts';
import type { Handle, Tx } from './handle.ts';
import { applyTransfer, bondOf, transferById } from './ledger-repo.ts';
import { retainedNano } from './retained-pay.ts';

interface Accused {
  readonly disputeId: string;
  readonly provider: string;
  readonly fault: Fault;
}

/** Stake and pay that a dispute about this would freeze now. */
export async function penaltyNow(
  tx: Tx,
  { provider, fault }: Accused,
  atMs: number,
): Promise<{ readonly stakeNano: bigint; readonly payNano: bigint }> {
  if (!isProviderFault(fault)) return NOTHING;
  const bond = await bondOf(tx, provider);
  // Pay that other disputes hold beside the stake is no part of the bond.
  const frozenNano = bond.frozenNano - (await openPayNano(tx, provider));
  return {
    stakeNano: freezeNano(fault, bond.freeNano, frozenNano),
    payNano: isForfeiting(fault) ? await retainedNano(tx, provider, atMs) : 0n,
  };
}

export const NOTHING = { stakeNano: 0n, payNano: 0n } as const;

/** @returns what it froze */
export async function enterFreezing(
  tx: Tx,
  { disputeId, provider }: Accused,
  { stakeNano, payNano }: Awaited<ReturnType<typeof penaltyNow>>,
  kind: FreezingKind,
  atMs: number,
): Promise<bigint> {
  await applyTransfer(tx, freeze(disputeId, provider, stakeNano, payNano, kind), atMs);
  return stakeNano + payNano;
}

/** How much of what a dispute holds was pay; the rest is stake. */
export async function frozenPayNano(handle: Handle, disputeId: string): Promise<bigint> {
  let sum = 0n;
  for (const kind of FREEZINGS) {
    const transfer = await transferById(handle, freezeId(disputeId, kind));
    if (transfer !== null) sum += frozenPayOf(transfer);
  }
  return sum;
}

async function openPayNano(handle: Handle, provider: string): Promise<bigint> {
  const { disputes } = handle.tables;
  const open = await handle.db
    .select({ disputeId: disputes.disputeId })
    .from(disputes)
    .where(and(eq(disputes.provider, provider), ne(disputes.state, 'settled')));
  let sum = 0n;
  for (const { disputeId } of open) sum += await frozenPayNano(handle, disputeId);
  return sum;
}

/** Whether the dispute has taken the place of a conviction that fell. */
export async function hasSucceeded(handle: Handle, disputeId: string): Promise<boolean> {
  return (await transferById(handle, freezeId(disputeId, 'succession'))) !== null;
}
