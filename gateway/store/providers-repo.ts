/** The registry of providers. */
import { and, asc, eq } from 'drizzle-orm';
import type { Address } from '#protocol/hash';
import type { Handle, Tx } from './handle.ts';
import type { PROVIDER_ROLES, PROVIDER_STATUSES } from './schema/words.ts';

export interface ProviderRow {
  readonly address: Address;
  readonly operator: string;
  readonly url: string;
  readonly role: (typeof PROVIDER_ROLES)[number];
  /** Models with digests, as in the manifest. */
  readonly modelsJson: string;
  readonly region: string;
  readonly numericClass: string;
  readonly status: (typeof PROVIDER_STATUSES)[number];
  /** The signed manifest as it came. */
  readonly manifestJson: string;
  readonly updatedAtMs: number;
}

/** Adds a provider or replaces what its manifest says; a known provider keeps its status. */
export async function upsertProvider(tx: Tx, provider: ProviderRow): Promise<void> {
  const { providers } = tx.tables;
  const { address: _address, status: _status, ...changed } = provider;
  await tx.db.insert(providers).values(provider).onConflictDoUpdate({ target: providers.address, set: changed });
}

/** @returns false when there is no such provider */
export async function setProviderStatus(
  tx: Tx,
  address: Address,
  status: ProviderRow['status'],
  nowMs: number,
): Promise<boolean> {
  const { providers } = tx.tables;
  const rows = await tx.db
    .update(providers)
    .set({ status, updatedAtMs: nowMs })
    .where(eq(providers.address, address))
    .returning({ address: providers.address });
  return rows.length === 1;
}

/** Marks every active provider as left: for a start, before those that answer are admitted again. */
export async function leaveAll(tx: Tx, nowMs: number): Promise<void> {
  const { providers } = tx.tables;
  await tx.db.update(providers).set({ status: 'left', updatedAtMs: nowMs }).where(eq(providers.status, 'active'));
}

/** Takes a provider that had left back in; one in quarantine stays there. */
export async function rejoin(tx: Tx, address: Address): Promise<void> {
  const { providers } = tx.tables;
  const hasLeft = and(eq(providers.address, address), eq(providers.status, 'left'));
  await tx.db.update(providers).set({ status: 'active' }).where(hasLeft);
}

/** All providers by ascending address, in every status and role. */
export async function listProviders(handle: Handle): Promise<readonly ProviderRow[]> {
  const { providers } = handle.tables;
  return (await handle.db.select().from(providers).orderBy(asc(providers.address))) as ProviderRow[];
}

export async function providerByAddress(handle: Handle, address: Address): Promise<ProviderRow | null> {
  const { providers } = handle.tables;
  const [row] = await handle.db.select().from(providers).where(eq(providers.address, address));
  return row === undefined ? null : (row as ProviderRow);
}
