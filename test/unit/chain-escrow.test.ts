/** Clients that pay by vouchers out of their escrow, with API keys that they sign for themselves (spec-chain.md C9.5). */
import { expect, test } from 'vitest';
import { chainDigests } from '#protocol/chain-messages';
import { sha256, toHex, utf8 } from '#protocol/hash';
import { nativeSigner } from '#protocol/signer-native';
import type { EscrowKeyWire } from '../../gateway/chain/escrow-keys.ts';
import { keyIdOf } from '../../gateway/keys.ts';
import { intentByKey } from '../../gateway/store/chain-outbox-repo.ts';
import { grantKey } from '../../gateway/store/grants.ts';
import { apiKeyById } from '../../gateway/store/keys-repo.ts';
import { addresses, bury, CLIENT, domain, escrowWorld, PROVIDER } from './chain-world.ts';

test('a voucher counts once its deposit is final, and its redemption is entered once', async () => {
  const { chain, worker, store, voucher } = await escrowWorld(1_000n);
  await expect(worker.takeVoucher(voucher(100n))).rejects.toMatchObject({ code: 'invalid_request', param: 'client' });
  bury(chain);
  await worker.tick();
  expect(await worker.takeVoucher(voucher(100n))).toEqual({ isNew: true });
  expect(await worker.takeVoucher(voucher(100n))).toEqual({ isNew: false });
  const key = `redeem:${CLIENT.address}:0:100`;
  expect(await store.read((handle) => intentByKey(handle, key))).toMatchObject({ state: 'queued' });
});

test('vouchers above the escrow, of another epoch, for crumbs or with a foreign signature are refused', async () => {
  const { chain, worker, voucher } = await escrowWorld(1_000n);
  bury(chain);
  await worker.tick();
  await worker.takeVoucher(voucher(100n));
  const refused = (wire: ReturnType<typeof voucher>) => worker.takeVoucher(wire).catch((error: unknown) => error);
  expect(await refused(voucher(1_001n))).toMatchObject({ param: 'cumulative' });
  expect(await refused(voucher(200n, 1n))).toMatchObject({ param: 'epoch' });
  expect(await refused(voucher(109n))).toMatchObject({ param: 'cumulative' });
  expect(await refused({ ...voucher(500n), cumulative: '600' })).toMatchObject({
    code: 'invalid_request',
    param: 'signature',
  });
  expect(await worker.takeVoucher(voucher(110n))).toEqual({ isNew: true });
});

/** A client with something in escrow, and its statements about keys. */
async function keyed(amount: bigint) {
  const w = await escrowWorld(amount);
  bury(w.chain);
  await w.worker.tick();
  const statement = (apiKey: string, revoked = false, signer = CLIENT): EscrowKeyWire => {
    const client = CLIENT.address;
    const key_hash = toHex(sha256(utf8(apiKey)));
    const value = { settlement: addresses.Settlement, client, gateway: w.chain.sender, keyHash: key_hash, revoked };
    return { client, key_hash, revoked, signature: signer.sign(chainDigests.escrowKey(domain, value)) };
  };
  const take = (wire: EscrowKeyWire) => w.worker.takeEscrowKey(wire).catch((error: unknown) => error);
  return { ...w, statement, take };
}

test('a key that a client signs for spends from the client’s account, once; one that was taken back never comes again', async () => {
  const { statement, take, store } = await keyed(1_000n);
  const added = await take(statement('one'));
  expect(added).toMatchObject({ isNew: true });
  expect(await take(statement('one'))).toMatchObject({ isNew: false });
  const { keyId } = added as { keyId: string };
  expect(await store.read((handle) => apiKeyById(handle, keyId))).toMatchObject({ account: CLIENT.address });
  expect(await take(statement('one', true))).toEqual({ keyId, isNew: true });
  expect(await take(statement('one', true))).toEqual({ keyId, isNew: false });
  expect(await take(statement('one'))).toMatchObject({ code: 'invalid_request', param: 'key_hash' });
});

test('keys without escrow, with a foreign signature, of another account, or more than four are refused', async () => {
  const poor = await keyed(9n);
  expect(await poor.take(poor.statement('one'))).toMatchObject({ code: 'invalid_request', param: 'client' });
  const { statement, take, store } = await keyed(1_000n);
  const stranger = nativeSigner(new Uint8Array(32).fill(10));
  expect(await take(statement('one', false, stranger))).toMatchObject({ code: 'invalid_request', param: 'signature' });
  expect(await take({ ...statement('one'), revoked: true })).toMatchObject({
    code: 'invalid_request',
    param: 'signature',
  });
  expect(await take(statement('none', true))).toMatchObject({ code: 'invalid_request', param: 'key_hash' });
  const keyHash = toHex(sha256(utf8('operator’s')));
  const grant = { keyId: keyIdOf(keyHash), keyHash, label: 'x', fundsNano: 5n, policy: null };
  await store.withTx((tx) => grantKey(tx, grant, 0));
  expect(await take(statement('operator’s'))).toMatchObject({ code: 'invalid_request', param: 'key_hash' });
  expect(await take(statement('operator’s', true))).toMatchObject({ code: 'invalid_request', param: 'key_hash' });
  for (const name of ['1', '2', '3', '4']) expect(await take(statement(name))).toMatchObject({ isNew: true });
  expect(await take(statement('5'))).toMatchObject({ code: 'invalid_request', param: 'client' });
  await take(statement('4', true));
  expect(await take(statement('5'))).toMatchObject({ isNew: true });
});

test('a client reads what it has in escrow, and what its next voucher must be', async () => {
  const { worker, voucher } = await keyed(1_000n);
  await worker.takeVoucher(voucher(100n));
  expect(await worker.escrowOf(CLIENT.address)).toEqual({
    ...{ client: CLIENT.address, settlement: addresses.Settlement, gateway: `0x${'aa'.repeat(20)}`, epoch: '0' },
    ...{ deposited: '1000', redeemed: '0', promised: '100', next_least: '110', exit_at: null },
  });
  expect(await worker.escrowOf(PROVIDER)).toBeNull();
});

test('a voucher that was taken and then refused unsent is entered again while it is worth something', async () => {
  const { worker, store, chain, clock, voucher } = await keyed(1_000n);
  await worker.takeVoucher(voucher(100n));
  const key = `redeem:${CLIENT.address}:0:100`;
  const state = async () => (await store.read((handle) => intentByKey(handle, key)))?.state;
  chain.reverts = () => true;
  await worker.tick();
  expect(await state()).toBe('failed');
  await worker.tick();
  expect(await state()).toBe('failed');
  clock.pass(60_000);
  chain.reverts = () => false;
  await worker.tick();
  expect(await state()).toBe('sent');
  // One that a larger one has overtaken is not.
  await worker.takeVoucher(voucher(200n));
  chain.reverts = () => true;
  for (let blocks = 0; blocks < 2; blocks++) {
    bury(chain);
    await worker.tick();
  }
  const larger = `redeem:${CLIENT.address}:0:200`;
  expect((await store.read((handle) => intentByKey(handle, larger)))?.state).toBe('failed');
  const redeemed = { client: CLIENT.address, gateway: chain.sender, epoch: 0n, cumulative: 300n, amount: 300n };
  chain.mine([{ name: 'Redeemed', args: redeemed }]);
  bury(chain);
  chain.reverts = () => false;
  clock.pass(60_000);
  await worker.tick();
  expect((await store.read((handle) => intentByKey(handle, larger)))?.state).toBe('failed');
});

test('no voucher is sent before the chain knows the gateway: it would be refused', async () => {
  const { worker, store, chain, voucher } = await escrowWorld(1_000n, false);
  bury(chain);
  await worker.tick();
  await worker.takeVoucher(voucher(100n));
  await worker.tick();
  const state = async (key: string) => (await store.read((handle) => intentByKey(handle, key)))?.state;
  expect(await state(`redeem:${CLIENT.address}:0:100`)).toBe('queued');
  expect(await state('register:open')).toMatch(/sent|mined/);
});
