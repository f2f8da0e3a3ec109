/** First money: what a network begins with, and API keys with funds. */
import type { Hash } from '#protocol/hash';
import type { Policy } from '#protocol/policy';
import { policyCanonicalJson } from '#protocol/policy-json';
import { clientAccount } from '../ledger/accounts.ts';
import { deposit } from '../ledger/funding.ts';
import type { Tx } from './handle.ts';
import { activeApiKeyByHash, insertApiKey } from './keys-repo.ts';
import { applyTransfer, transferById } from './ledger-repo.ts';

/** A key to add. */
export interface KeyGrant {
  readonly keyId: string;
  readonly keyHash: Hash;
  readonly label: string;
  readonly fundsNano: bigint;
  /** Of requests that name none; null leaves it to the gateway. */
  readonly policy: Policy | null;
}

/** Adds a key with a funded account of its own. @returns false where the key is there already */
export async function grantKey(tx: Tx, grant: KeyGrant, nowMs: number): Promise<boolean> {
  const { keyId, keyHash, label, fundsNano, policy } = grant;
  if (await activeApiKeyByHash(tx, keyHash)) return false;
  await insertApiKey(tx, {
    keyId,
    keyHash,
    label,
    account: keyId,
    policyJson: policy === null ? null : policyCanonicalJson(policy),
    requestsPerMinute: null,
    tokensPerMinute: null,
    concurrentRequests: null,
    createdAtMs: nowMs,
  });
  await depositOnce(tx, `key:${keyId}`, clientAccount(keyId), fundsNano, nowMs);
  return true;
}

/** First funding happens once, whatever the amount is set to at a later start. */
export async function depositOnce(
  tx: Tx,
  reference: string,
  to: string,
  amountNano: bigint,
  nowMs: number,
): Promise<void> {
  const transfer = deposit(reference, to, amountNano);
  if ((await transferById(tx, transfer.id)) === null) await applyTransfer(tx, transfer, nowMs);
}
