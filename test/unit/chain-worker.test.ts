/** The worker between ledger and chain: it settles what agrees, halts on what differs, and takes vouchers that escrow covers. */
import { Hono } from 'hono';
import { afterEach, expect, test } from 'vitest';
import { chainDigests } from '#protocol/chain-messages';
import { earningInTree, zEarningsProof } from '#protocol/earnings';
import type { ProtocolError } from '#protocol/errors';
import { type Address, keccak256, toHex, utf8 } from '#protocol/hash';
import { nativeSigner, recoverNative } from '#protocol/signer-native';
import { CONTRACTS } from '../../contracts/chain/deploy.ts';
import type { Network } from '../../contracts/chain/network.ts';
import { LogKeeper } from '../../gateway/attest/log-keeper.ts';
import { logSignerOf } from '../../gateway/attest/log-signer.ts';
import { mountChainRoutes } from '../../gateway/chain/chain-routes.ts';
import { ChainWorker } from '../../gateway/chain/chain-worker.ts';
import type { GatewayApp } from '../../gateway/http/context.ts';
import { earningsAccount, RESERVE } from '../../gateway/ledger/accounts.ts';
import { makeTransfer } from '../../gateway/ledger/transfer.ts';
import { createLog } from '../../gateway/log.ts';
import { keepNetwork } from '../../gateway/store/chain-network-repo.ts';
import { intentByKey } from '../../gateway/store/chain-outbox-repo.ts';
import { leavesPromised } from '../../gateway/store/chain-promises.ts';
import { acceptDisabled, newestRoot } from '../../gateway/store/chain-roots-repo.ts';
import { applyTransfer } from '../../gateway/store/ledger-repo.ts';
import { openStore } from '../../gateway/store/open-store.ts';
import { FakeChain } from '../fixtures/fake-chain.ts';
import { HandClock } from '../fixtures/hand-clock.ts';
import { tempFolder } from './store-fixture.ts';

const ORIGIN = 'worker.example/log';
const PROVIDER = `0x${'22'.repeat(20)}` as const;
const MASTER = new Uint8Array(32).fill(7);
const CLIENT = nativeSigner(new Uint8Array(32).fill(9));
const contract = (index: number): Address => `0x${String(index + 1).repeat(40)}`;
const addresses = Object.fromEntries(CONTRACTS.map((name, at) => [name, contract(at)])) as Network['addresses'];
const domain = { chainId: 1n, verifyingContract: addresses.StakeRegistry };

let cleaners: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const clean of cleaners.reverse()) await clean();
  cleaners = [];
});

async function world() {
  const folder = tempFolder((clean) => cleaners.push(clean));
  const store = openStore({ file: `${folder}/assay.db`, fsync: false });
  cleaners.push(() => store.close());
  const chain = new FakeChain();
  const clock = new HandClock();
  const signer = nativeSigner(MASTER);
  const log = new LogKeeper({ store, signer: logSignerOf(ORIGIN, MASTER, signer), domain, clock });
  await log.start();
  // A chain that knows the gateway already.
  const logOriginHash = toHex(keccak256(utf8(ORIGIN)));
  const account = { operator: chain.sender, isOpen: true, active: 0n, queued: 0n, logOriginHash };
  const pool = { funded: 0n, withdrawn: 0n, committed: 0n };
  const client = Object.assign(chain, {
    account: async () => account,
    keyOwner: async () => ({ account: chain.sender, isRetired: false }),
    pool: async () => pool,
  });
  const worker = new ChainWorker({
    ...{ client, store, clock, log },
    network: { chainId: 1, token: contract(8), addresses, domain, fromBlock: 0, abis: {} as Network['abis'] },
    account: chain.sender,
    terms: {
      ...{ confirmations: 3, bumpMs: 1_000, feeMaxWei: 10_000n, pollMs: 1_000 },
      ...{ rootMs: 1_000, reconcileMs: 1_000, voucherLeastNano: 10n },
    },
    recover: recoverNative,
    events: createLog({ clock, level: 'silent' }),
    signers: async () => [signer],
    onStakes: () => {},
  });
  const fund = (amount: bigint) => {
    chain.mine([{ name: 'Funded', args: { gateway: chain.sender, from: PROVIDER, amount } }]);
    for (let blocks = 0; blocks < 3; blocks++) chain.mine();
    pool.funded += amount;
  };
  const earn = (amountNano: bigint) =>
    store.withTx((tx) => {
      const leg = { from: RESERVE, to: earningsAccount(PROVIDER), amountNano };
      return applyTransfer(tx, makeTransfer({ id: 'close:1', reason: 'close' }, [leg]), 0);
    });
  return { store, chain, clock, worker, pool, fund, earn };
}

test('earnings that the pool covers become a root, bound to a checkpoint of the log, and go into the outbox', async () => {
  const { store, worker, fund, earn } = await world();
  fund(1_000n);
  await worker.tick();
  await earn(400n);
  await worker.tick();
  const root = await store.read(newestRoot);
  expect(root).toMatchObject({ state: 'decided', totalBase: '400', leafCount: 1 });
  expect(root!.logSize).toBeGreaterThan(0);
  expect(await store.read((handle) => intentByKey(handle, 'root:0'))).toMatchObject({ state: 'sent', nonce: 0 });
});

test('while ledger and chain differ no root is decided, and one that waits is not sent', async () => {
  const { store, worker, clock, pool, fund, earn } = await world();
  fund(1_000n);
  await worker.tick();
  await earn(400n);
  pool.funded -= 1n;
  clock.pass(2_000);
  await worker.tick();
  expect(worker.differences.map(({ code }) => code)).toEqual(['pool_funded']);
  expect(await store.read(newestRoot)).toBeNull();
  pool.funded += 1n;
  clock.pass(2_000);
  await worker.tick();
  expect(worker.differences).toEqual([]);
  expect(await store.read(newestRoot)).toMatchObject({ state: 'decided' });
});

test('what a root has promised cannot be withdrawn by an operator, and what it has not can', async () => {
  const { store, worker, fund, earn } = await world();
  fund(1_000n);
  await worker.tick();
  await earn(400n);
  await worker.tick();
  await store.withTx((tx) => {
    const leg = { from: RESERVE, to: earningsAccount(PROVIDER), amountNano: 50n };
    return applyTransfer(tx, makeTransfer({ id: 'close:2', reason: 'close' }, [leg]), 0);
  });
  const allows = (nano: bigint) => store.withTx((tx) => leavesPromised(tx, earningsAccount(PROVIDER), nano));
  expect([await allows(50n), await allows(51n)]).toEqual([true, false]);
});

/** The root that was decided, on the chain and final. */
async function post({ store, chain, worker, pool }: Awaited<ReturnType<typeof world>>, change: object = {}) {
  const row = (await store.read(newestRoot))!;
  const { root, logRoot } = row;
  const earnings = {
    ...{ root, logRoot, leafCount: BigInt(row.leafCount), total: BigInt(row.totalBase), logSize: BigInt(row.logSize) },
    ...change,
  };
  chain.mine([{ name: 'RootPosted', args: { gateway: chain.sender, index: 0n, earnings, activeAt: 1 } }]);
  for (let blocks = 0; blocks < 3; blocks++) chain.mine();
  pool.committed = earnings.total;
  await worker.tick();
}

test('a payee gets the proof that its claim needs once the root is final, and nobody gets one before', async () => {
  const w = await world();
  w.fund(1_000n);
  await w.worker.tick();
  await w.earn(400n);
  await w.worker.tick();
  const app: GatewayApp = new Hono();
  mountChainRoutes(app, w.worker);
  app.onError((error, c) => c.json({ code: (error as ProtocolError).code }, 404));
  const ask = async (path: string) => (await app.request(path)).json();
  expect(await ask(`/v1/earnings/${PROVIDER}`)).toEqual({ code: 'not_found' });
  await post(w);
  const proof = zEarningsProof.parse(await ask(`/v1/earnings/${PROVIDER}`));
  expect(proof).toMatchObject({ payee: PROVIDER, rootIndex: 0, cumulative: 400n });
  const place = { leafIndex: proof.leafIndex, path: proof.path };
  expect(earningInTree({ payee: PROVIDER, cumulative: 400n }, place, proof.earnings)).toBe(true);
  expect(await ask(`/v1/earnings/${contract(3)}`)).toEqual({ code: 'not_found' });
  expect(await ask('/v1/earnings/nobody')).toEqual({ code: 'not_found' });
});

test('a gateway without a chain answers its routes with not_found', async () => {
  const app: GatewayApp = new Hono();
  mountChainRoutes(app, null);
  app.onError((error, c) => c.json({ code: (error as ProtocolError).code }, 404));
  expect(await (await app.request(`/v1/earnings/${PROVIDER}`)).json()).toEqual({ code: 'not_found' });
});

test('a root that nobody here has decided halts payouts', async () => {
  const w = await world();
  w.fund(1_000n);
  await w.worker.tick();
  await w.earn(400n);
  await w.worker.tick();
  await post(w, { total: 399n });
  expect((await w.worker.compare()).map(({ code }) => code)).toEqual(['promised', 'foreign_root']);
});

test('a root that somebody disabled halts payouts until an operator accepts it; its earnings are in the next', async () => {
  const w = await world();
  w.fund(1_000n);
  await w.worker.tick();
  await w.earn(400n);
  await w.worker.tick();
  await post(w);
  w.chain.mine([{ name: 'RootDisabled', args: { gateway: w.chain.sender, index: 0n } }]);
  for (let blocks = 0; blocks < 3; blocks++) w.chain.mine();
  w.pool.committed = 0n;
  w.clock.pass(5_000);
  await w.worker.tick();
  expect(w.worker.differences.map(({ code }) => code)).toEqual(['root_disabled']);
  expect(await w.store.read(newestRoot)).toMatchObject({ sequence: 0, state: 'disabled' });
  await w.store.withTx(acceptDisabled);
  w.clock.pass(5_000);
  await w.worker.tick();
  expect(await w.store.read(newestRoot)).toMatchObject({ sequence: 1, state: 'decided', totalBase: '400' });
});

async function escrow(amount: bigint) {
  const w = await world();
  const { chain } = w;
  chain.mine([{ name: 'Deposited', args: { client: CLIENT.address, gateway: chain.sender, epoch: 0n, amount } }]);
  await w.worker.tick();
  const voucher = (cumulative: bigint, epoch = 0n) => {
    const value = {
      settlement: addresses.Settlement,
      client: CLIENT.address,
      gateway: chain.sender,
      epoch,
      cumulative,
    };
    const signature = CLIENT.sign(chainDigests.voucher(domain, value));
    return { client: CLIENT.address, epoch: String(epoch), cumulative: String(cumulative), signature };
  };
  return { ...w, voucher };
}

test('a voucher counts once its deposit is final, and its redemption is entered once', async () => {
  const { chain, worker, store, voucher } = await escrow(1_000n);
  await expect(worker.takeVoucher(voucher(100n))).rejects.toMatchObject({ code: 'invalid_request', param: 'client' });
  for (let blocks = 0; blocks < 3; blocks++) chain.mine();
  await worker.tick();
  expect(await worker.takeVoucher(voucher(100n))).toEqual({ isNew: true });
  expect(await worker.takeVoucher(voucher(100n))).toEqual({ isNew: false });
  const key = `redeem:${CLIENT.address}:0:100`;
  expect(await store.read((handle) => intentByKey(handle, key))).toMatchObject({ state: 'queued' });
});

test('vouchers above the escrow, of another epoch, for crumbs or with a foreign signature are refused', async () => {
  const { chain, worker, voucher } = await escrow(1_000n);
  for (let blocks = 0; blocks < 3; blocks++) chain.mine();
  await worker.tick();
  await worker.takeVoucher(voucher(100n));
  const refused = (wire: ReturnType<typeof voucher>) => worker.takeVoucher(wire).catch((error: unknown) => error);
  expect(await refused(voucher(1_001n))).toMatchObject({ param: 'cumulative' });
  expect(await refused(voucher(200n, 1n))).toMatchObject({ param: 'epoch' });
  expect(await refused(voucher(109n))).toMatchObject({ param: 'cumulative' });
  expect(await refused({ ...voucher(500n), cumulative: '600' })).toMatchObject({ code: 'invalid_signature' });
  expect(await worker.takeVoucher(voucher(110n))).toEqual({ isNew: true });
});

test('a database belongs to one network: another, or none, is refused once there is a log', async () => {
  const { store } = await world();
  const place = {
    chainId: 1,
    registry: contract(0),
    settlement: contract(1),
    token: contract(8),
    account: contract(7),
  };
  const keep = (wanted: typeof place | null) => store.withTx((tx) => keepNetwork(tx, wanted, 0));
  await expect(keep(place)).rejects.toThrow('begun without a chain');
  const folder = tempFolder((clean) => cleaners.push(clean));
  const fresh = openStore({ file: `${folder}/assay.db`, fsync: false });
  cleaners.push(() => fresh.close());
  await fresh.withTx((tx) => keepNetwork(tx, place, 0));
  await fresh.withTx((tx) => keepNetwork(tx, place, 0));
  await expect(fresh.withTx((tx) => keepNetwork(tx, null, 0))).rejects.toThrow('belongs to a chain');
  const other = fresh.withTx((tx) => keepNetwork(tx, { ...place, chainId: 2 }, 0));
  await expect(other).rejects.toThrow('another network');
});
