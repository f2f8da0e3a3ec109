/** Values that operators set while the gateway runs; they go before the configuration's. */
import { eq } from 'drizzle-orm';
import type { Handle, Tx } from './handle.ts';

/** The stored JSON text, or null where the configuration holds. */
export async function settingJson(handle: Handle, name: string): Promise<string | null> {
  const { settings } = handle.tables;
  const [row] = await handle.db.select().from(settings).where(eq(settings.name, name));
  return row?.valueJson ?? null;
}

export async function putSetting(tx: Tx, name: string, valueJson: string, nowMs: number): Promise<void> {
  const { settings } = tx.tables;
  const changed = { valueJson, updatedAtMs: nowMs };
  await tx.db
    .insert(settings)
    .values({ name, ...changed })
    .onConflictDoUpdate({ target: settings.name, set: changed });
}

/** Gives the word back to the configuration. */
export async function dropSetting(tx: Tx, name: string): Promise<void> {
  const { settings } = tx.tables;
  await tx.db.delete(settings).where(eq(settings.name, name));
}
