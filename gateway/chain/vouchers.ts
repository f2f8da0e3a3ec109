/** Vouchers of clients: taken where escrow covers them, redeemed by the outbox, credited once that is final (spec-chain.md C9.5). */
import { z } from 'zod';
import { chainDigests } from '#protocol/chain-messages';
import type { Domain } from '#protocol/eip712';
import { ProtocolError } from '#protocol/errors';
import type { Address, Hex } from '#protocol/hash';
import { zAddress, zSignature, zU64, zU128 } from '#protocol/schema';
import type { Recover } from '#protocol/signer';
import { enqueueIntent, intentByKey, mayRetry, redeemedUpTo, refusedRedemptions } from '../store/chain-outbox-repo.ts';
import { channelOf } from '../store/chain-state-repo.ts';
import type { Store } from '../store/handle.ts';
import { type Contracts, redeem } from './calls.ts';

export const zVoucher = z.strictObject({
  client: zAddress,
  epoch: zU64,
  /** Base units of the token. */
  cumulative: zU128,
  signature: zSignature,
});
export type VoucherWire = z.output<typeof zVoucher>;

export interface EscrowDeps {
  readonly store: Store;
  readonly domain: Domain;
  readonly recover: Recover;
  readonly contracts: Contracts;
  readonly account: Address;
  /** Least that one redemption brings, and so the least escrow behind a key, in base units: gas is the gateway's, and nobody shall make it redeem crumbs. */
  readonly leastBase: bigint;
}

/**
 * Takes a voucher and enters its redemption. The same one again changes nothing.
 * @throws {ProtocolError} invalid_request with the field that is wrong
 */
export async function takeVoucher(deps: EscrowDeps, wire: VoucherWire, nowMs: number): Promise<{ isNew: boolean }> {
  const { store, domain, recover, contracts, account, leastBase } = deps;
  const { client, signature } = wire;
  const settlement = contracts.Settlement;
  const [epoch, cumulative] = [BigInt(wire.epoch), BigInt(wire.cumulative)];
  const voucher = { settlement, client, gateway: account, epoch, cumulative };
  if (recover(chainDigests.voucher(domain, voucher), signature) !== client) {
    throw new ProtocolError('invalid_request', 'The voucher is not signed by its client.', { param: 'signature' });
  }
  const call = redeem(contracts, voucher, signature);
  return store.withTx(async (tx) => {
    const channel = await channelOf(tx, client);
    // Deposits count once they are final: a reorganisation could take one back after it was spent.
    if (channel === null) throw refused('client', 'Nothing of this client is in escrow, or not for long enough.');
    if (BigInt(channel.epoch) !== voucher.epoch) throw refused('epoch', 'The escrow is in another epoch.');
    if (voucher.cumulative > BigInt(channel.depositedBase))
      throw refused('cumulative', 'The escrow does not cover it.');
    const before = await redeemedUpTo(tx, client, voucher.epoch);
    const redeemed = BigInt(channel.redeemedBase);
    const known = before > redeemed ? before : redeemed;
    if (voucher.cumulative === known) return { isNew: false };
    if (voucher.cumulative < known + leastBase) {
      throw refused('cumulative', `It must be at least ${known + leastBase}.`);
    }
    const intent = await intentByKey(tx, call.key);
    if (intent?.state === 'failed' && intent.nonce !== null) {
      throw refused('cumulative', 'The chain refused this very voucher; sign a larger one.');
    }
    return { isNew: await enqueueIntent(tx, call, nowMs) };
  });
}

/** Vouchers of one look. */
const RETRIES_MAX = 16;

/** Enters again, after a while, what was taken and refused unsent, while it is still worth something: a client was told that it was taken. */
export async function retryVouchers(store: Store, nowMs: number): Promise<void> {
  const refusals = await store.read((handle) => refusedRedemptions(handle, RETRIES_MAX));
  for (const intent of refusals.filter((known) => mayRetry(known, nowMs))) {
    const [, client = '', epoch = '', cumulative = ''] = intent.intentKey.split(':');
    await store.withTx(async (tx) => {
      const channel = await channelOf(tx, client as Address);
      const isWorth = channel?.epoch === Number(epoch) && BigInt(cumulative) > BigInt(channel.redeemedBase);
      const again = { key: intent.intentKey, to: intent.toAddress as Address, data: intent.callData as Hex };
      if (isWorth) await enqueueIntent(tx, again, nowMs);
    });
  }
}

/** A client's message that is refused for one of its fields. */
export function refused(param: string, message: string): ProtocolError {
  return new ProtocolError('invalid_request', message, { param });
}
