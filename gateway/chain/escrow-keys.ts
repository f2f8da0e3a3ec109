/** API keys that spend what a client's vouchers bring: made by the client's own signature, by nobody's leave (spec-chain.md C9.5). */
import { z } from 'zod';
import { chainDigests } from '#protocol/chain-messages';
import { ProtocolError } from '#protocol/errors';
import type { Address, Hash } from '#protocol/hash';
import { zAddress, zHash, zSignature } from '#protocol/schema';
import { keyIdOf } from '../keys.ts';
import { redeemedUpTo } from '../store/chain-outbox-repo.ts';
import { channelOf } from '../store/chain-state-repo.ts';
import type { Handle, Tx } from '../store/handle.ts';
import { apiKeyById, insertApiKey, liveKeysOf, revokeApiKey } from '../store/keys-repo.ts';
import { type EscrowDeps, refused } from './vouchers.ts';

/** Live keys of one client: each has its own rate limits, so that more of them would be more than one client's share. */
const KEYS_MAX = 4;

export const zEscrowKey = z.strictObject({
  client: zAddress,
  /** SHA-256 of the key, which never travels here. */
  key_hash: zHash,
  revoked: z.boolean().default(false),
  signature: zSignature,
});
export type EscrowKeyWire = z.output<typeof zEscrowKey>;

/**
 * Adds a key to a client's account, or takes it away for good. The same statement again changes nothing.
 * @throws {ProtocolError} invalid_request with the field that is wrong
 */
export async function takeEscrowKey(
  deps: EscrowDeps,
  wire: EscrowKeyWire,
  nowMs: number,
): Promise<{ keyId: string; isNew: boolean }> {
  const { store, domain, recover, contracts, account } = deps;
  const { client, key_hash: keyHash, revoked, signature } = wire;
  const statement = { settlement: contracts.Settlement, client, gateway: account, keyHash, revoked };
  if (recover(chainDigests.escrowKey(domain, statement), signature) !== client) {
    throw new ProtocolError('invalid_request', 'The statement is not signed by its client.', { param: 'signature' });
  }
  const keyId = keyIdOf(keyHash);
  return store.withTx(async (tx) => {
    const known = await apiKeyById(tx, keyId);
    // Also one whose id alone is the same: keys are told apart by their ids.
    if (known !== null && (known.account !== client || known.keyHash !== keyHash)) {
      throw refused('key_hash', 'That key is another account’s.');
    }
    if (revoked) {
      if (known === null) throw refused('key_hash', 'There is no such key.');
      return { keyId, isNew: await revokeApiKey(tx, keyId, nowMs) };
    }
    if (known !== null && known.revokedAtMs !== null) throw refused('key_hash', 'That key was revoked: make another.');
    if (known !== null) return { keyId, isNew: false };
    await addKey(tx, { keyId, keyHash, client }, deps.leastBase, nowMs);
    return { keyId, isNew: true };
  });
}

/** Whoever holds nothing in escrow gets none: strangers could fill the table. */
async function addKey(
  tx: Tx,
  { keyId, keyHash, client }: { keyId: string; keyHash: Hash; client: Address },
  leastBase: bigint,
  nowMs: number,
): Promise<void> {
  const channel = await channelOf(tx, client);
  if (channel === null || BigInt(channel.depositedBase) < leastBase) {
    throw refused('client', 'Too little of this client is in escrow, or not for long enough.');
  }
  if ((await liveKeysOf(tx, client)) >= KEYS_MAX) throw refused('client', `A client has at most ${KEYS_MAX} keys.`);
  const rates = { requestsPerMinute: null, tokensPerMinute: null, concurrentRequests: null };
  await insertApiKey(tx, {
    ...{ keyId, keyHash, account: client, label: 'escrow', policyJson: null },
    ...{ ...rates, createdAtMs: nowMs },
  });
}

/** What a client must know to sign its next voucher; amounts in base units. */
export interface EscrowView {
  readonly client: Address;
  readonly settlement: Address;
  readonly gateway: Address;
  readonly epoch: string;
  readonly deposited: string;
  readonly redeemed: string;
  /** Cumulative of the last voucher that was taken, redeemed yet or not. */
  readonly promised: string;
  /** Least cumulative of the next one. */
  readonly next_least: string;
  readonly exit_at: number | null;
}

/** As of the newest final block; null for who has never had anything in escrow here. */
export async function escrowView(
  handle: Handle,
  { contracts, account, leastBase }: Pick<EscrowDeps, 'contracts' | 'account' | 'leastBase'>,
  client: Address,
): Promise<EscrowView | null> {
  const channel = await channelOf(handle, client);
  if (channel === null) return null;
  const taken = await redeemedUpTo(handle, client, BigInt(channel.epoch));
  const redeemed = BigInt(channel.redeemedBase);
  const promised = taken > redeemed ? taken : redeemed;
  return {
    ...{ client, settlement: contracts.Settlement, gateway: account, epoch: String(channel.epoch) },
    ...{ deposited: channel.depositedBase, redeemed: channel.redeemedBase, promised: promised.toString() },
    next_least: (promised + leastBase).toString(),
    exit_at: channel.exitAtSeconds,
  };
}
