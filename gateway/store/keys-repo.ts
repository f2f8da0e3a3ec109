/** API keys, known by their hash only. */
import { and, asc, count, eq, getTableColumns, isNull } from 'drizzle-orm';
import type { Hash } from '#protocol/hash';
import { RATE_MAX } from '../limits/token-bucket.ts';
import type { Handle, Tx } from './handle.ts';
import { given, reading } from './statement.ts';

export interface ApiKey {
  readonly keyId: string;
  /** sha256 of the key. */
  readonly keyHash: Hash;
  readonly label: string;
  /** Owner of the client account that the key spends from. */
  readonly account: string;
  /** Canonical policy, or null for the gateway's default. */
  readonly policyJson: string | null;
  /** Null leaves a limit to the gateway's default. */
  readonly requestsPerMinute: number | null;
  readonly tokensPerMinute: number | null;
  readonly concurrentRequests: number | null;
  readonly createdAtMs: number;
  readonly revokedAtMs: number | null;
}

/** Adds a key. @throws {ProtocolError} internal_error when id or hash exists */
export async function insertApiKey(tx: Tx, key: Omit<ApiKey, 'revokedAtMs'>): Promise<void> {
  await tx.db.insert(tx.tables.apiKeys).values(key);
}

const rowById = reading((db, { apiKeys }) => ({
  query: db
    .select()
    .from(apiKeys)
    .where(eq(apiKeys.keyId, given('keyId'))),
  columns: getTableColumns(apiKeys),
}));
const activeRowByHash = reading((db, { apiKeys }) => ({
  query: db
    .select()
    .from(apiKeys)
    .where(and(eq(apiKeys.keyHash, given('keyHash')), isNull(apiKeys.revokedAtMs))),
  columns: getTableColumns(apiKeys),
}));

/** The key with this hash unless it was revoked. */
export async function activeApiKeyByHash(handle: Handle, keyHash: Hash): Promise<ApiKey | null> {
  const [row] = await activeRowByHash(handle, { keyHash });
  return row === undefined ? null : (row as ApiKey);
}

/** Sets what a key may ask for at a time; null leaves a limit to the gateway's default. @returns false when there is no such key */
export async function setKeyRates(
  tx: Tx,
  keyId: string,
  rates: Pick<ApiKey, 'requestsPerMinute' | 'tokensPerMinute' | 'concurrentRequests'>,
): Promise<boolean> {
  for (const limit of Object.values(rates)) {
    if (limit !== null && !(Number.isSafeInteger(limit) && limit >= 0 && limit <= RATE_MAX))
      throw new RangeError('"limit" out of range');
  }
  return updateKey(tx, keyId, rates);
}

/** Sets the policy of requests that name none; null leaves it to the gateway. @returns false when there is no such key */
export async function setKeyPolicy(tx: Tx, keyId: string, policyJson: string | null): Promise<boolean> {
  return updateKey(tx, keyId, { policyJson });
}

/** Gives a key another name for people. @returns false when there is no such key */
export async function setKeyLabel(tx: Tx, keyId: string, label: string): Promise<boolean> {
  return updateKey(tx, keyId, { label });
}

async function updateKey(tx: Tx, keyId: string, change: Partial<ApiKey>): Promise<boolean> {
  const { apiKeys } = tx.tables;
  const rows = await tx.db
    .update(apiKeys)
    .set(change)
    .where(eq(apiKeys.keyId, keyId))
    .returning({ keyId: apiKeys.keyId });
  return rows.length === 1;
}

/** The key with this id, revoked or not. */
export async function apiKeyById(handle: Handle, keyId: string): Promise<ApiKey | null> {
  const [row] = await rowById(handle, { keyId });
  return row === undefined ? null : (row as ApiKey);
}

/** How many keys spend from an account and were not revoked. */
export async function liveKeysOf(handle: Handle, account: string): Promise<number> {
  const { apiKeys } = handle.tables;
  const [row] = await handle.db
    .select({ rows: count() })
    .from(apiKeys)
    .where(and(eq(apiKeys.account, account), isNull(apiKeys.revokedAtMs)));
  return Number(row?.rows ?? 0);
}

export async function listApiKeys(handle: Handle): Promise<readonly ApiKey[]> {
  const { apiKeys } = handle.tables;
  return (await handle.db.select().from(apiKeys).orderBy(asc(apiKeys.createdAtMs), asc(apiKeys.keyId))) as ApiKey[];
}

/** @returns false when there is no such key or it was revoked before */
export async function revokeApiKey(tx: Tx, keyId: string, nowMs: number): Promise<boolean> {
  const { apiKeys } = tx.tables;
  const rows = await tx.db
    .update(apiKeys)
    .set({ revokedAtMs: nowMs })
    .where(and(eq(apiKeys.keyId, keyId), isNull(apiKeys.revokedAtMs)))
    .returning({ keyId: apiKeys.keyId });
  return rows.length === 1;
}
