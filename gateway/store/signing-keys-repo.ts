/** The history of this gateway's signing keys; private halves are never in the database (SPEC.md §6.8). */
import { asc, eq } from 'drizzle-orm';
import type { Address } from '#protocol/hash';
import type { Handle, Tx } from './handle.ts';

export type SigningKey = Omit<Handle['tables']['signingKeys']['$inferSelect'], 'address'> & {
  readonly address: Address;
};

export async function insertSigningKey(tx: Tx, key: SigningKey): Promise<void> {
  await tx.db.insert(tx.tables.signingKeys).values(key);
}

/** In the order in which they were announced. */
export async function listSigningKeys(handle: Handle): Promise<readonly SigningKey[]> {
  const { signingKeys } = handle.tables;
  return (await handle.db.select().from(signingKeys).orderBy(asc(signingKeys.logIndex))) as SigningKey[];
}

/** Makes one key the active one; the one before becomes `past`. */
export async function activateSigningKey(tx: Tx, keyId: string, nowMs: number): Promise<void> {
  const { signingKeys } = tx.tables;
  await tx.db.update(signingKeys).set({ state: 'past' }).where(eq(signingKeys.state, 'active'));
  await tx.db.update(signingKeys).set({ state: 'active', activatedAtMs: nowMs }).where(eq(signingKeys.keyId, keyId));
}
