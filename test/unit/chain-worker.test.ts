/** The worker between ledger and chain: it settles what agrees, and halts on what differs. */
import { Hono } from 'hono';
import { expect, test } from 'vitest';
import { earningInTree, zEarningsProof, zPendingEarnings } from '#protocol/earnings';
import type { ProtocolError } from '#protocol/errors';
import { mountChainRoutes } from '../../gateway/chain/chain-routes.ts';
import type { GatewayApp } from '../../gateway/http/context.ts';
import { earningsAccount, RESERVE } from '../../gateway/ledger/accounts.ts';
import { makeTransfer } from '../../gateway/ledger/transfer.ts';
import { keepNetwork } from '../../gateway/store/chain-network-repo.ts';
import { intentByKey } from '../../gateway/store/chain-outbox-repo.ts';
import { leavesPromised } from '../../gateway/store/chain-promises.ts';
import { acceptDisabled, newestRoot } from '../../gateway/store/chain-roots-repo.ts';
import { applyTransfer } from '../../gateway/store/ledger-repo.ts';
import { bury, contract, emptyWorld, PROVIDER, workerWorld } from './chain-world.ts';

test('earnings that the pool covers become a root, bound to a checkpoint of the log, and go into the outbox', async () => {
  const { store, worker, fund, earn } = await workerWorld();
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
  const { store, worker, clock, pool, fund, earn } = await workerWorld();
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
  const { store, worker, fund, earn } = await workerWorld();
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
async function post(
  { store, chain, worker, pool }: Awaited<ReturnType<typeof workerWorld>>,
  change: object = {},
  activeAt = 1,
) {
  const row = (await store.read(newestRoot))!;
  const { root, logRoot } = row;
  const earnings = {
    ...{ root, logRoot, leafCount: BigInt(row.leafCount), total: BigInt(row.totalBase), logSize: BigInt(row.logSize) },
    ...change,
  };
  chain.mine([{ name: 'RootPosted', args: { gateway: chain.sender, index: 0n, earnings, activeAt } }]);
  bury(chain);
  pool.committed = earnings.total;
  await worker.tick();
}

/** A payee has earned 400; `ask` reads the routes over it. */
async function earnedWorld() {
  const w = await workerWorld();
  w.fund(1_000n);
  await w.worker.tick();
  await w.earn(400n);
  await w.worker.tick();
  const app: GatewayApp = new Hono();
  mountChainRoutes(app, w.worker);
  app.onError((error, c) => c.json({ code: (error as ProtocolError).code }, 404));
  const ask = async (path: string) => (await app.request(path)).json();
  return { w, ask };
}

test('a payee gets the proof that its claim needs once the root is final, and nobody gets one before', async () => {
  const { w, ask } = await earnedWorld();
  expect(await ask(`/v1/earnings/${PROVIDER}`)).toEqual({ code: 'not_found' });
  await post(w);
  const proof = zEarningsProof.parse(await ask(`/v1/earnings/${PROVIDER}`));
  expect(proof).toMatchObject({ payee: PROVIDER, rootIndex: 0, cumulative: 400n });
  const place = { leafIndex: proof.leafIndex, path: proof.path };
  expect(earningInTree({ payee: PROVIDER, cumulative: 400n }, place, proof.earnings)).toBe(true);
  expect(await ask(`/v1/earnings/${contract(3)}`)).toEqual({ code: 'not_found' });
  expect(await ask('/v1/earnings/nobody')).toEqual({ code: 'not_found' });
});

test('whoever asks is shown what a root will give before it is active, or the leaf beside the gap', async () => {
  const { w, ask } = await earnedWorld();
  expect(await ask(`/v1/earnings/${PROVIDER}/pending`)).toEqual({ code: 'not_found' });
  await post(w, {}, 1_000_000_000_000);
  const pending = zPendingEarnings.parse(await ask(`/v1/earnings/${PROVIDER}/pending`));
  expect(pending).toMatchObject({ payee: PROVIDER, rootIndex: 0, previous: null });
  const leaf = pending.leaves[0]!;
  expect([pending.leaves.length, leaf.payee, leaf.cumulative]).toEqual([1, PROVIDER, 400n]);
  expect(earningInTree(leaf, leaf, pending.earnings)).toBe(true);
  for (const stranger of [contract(0), contract(3)]) {
    const { payee, leaves } = zPendingEarnings.parse(await ask(`/v1/earnings/${stranger}/pending`));
    expect([payee, leaves]).toEqual([stranger, [leaf]]);
  }
  expect(await ask('/v1/earnings/nobody/pending')).toEqual({ code: 'not_found' });
  expect(await ask(`/v1/earnings/${PROVIDER}`)).toEqual({ code: 'not_found' });
});

test('a gateway without a chain answers its routes with not_found', async () => {
  const app: GatewayApp = new Hono();
  mountChainRoutes(app, null);
  app.onError((error, c) => c.json({ code: (error as ProtocolError).code }, 404));
  for (const path of [`/v1/earnings/${PROVIDER}`, `/v1/earnings/${PROVIDER}/pending`])
    expect(await (await app.request(path)).json()).toEqual({ code: 'not_found' });
});

test('a root that nobody here has decided halts payouts', async () => {
  const w = await workerWorld();
  w.fund(1_000n);
  await w.worker.tick();
  await w.earn(400n);
  await w.worker.tick();
  await post(w, { total: 399n });
  expect((await w.worker.compare()).map(({ code }) => code)).toEqual(['promised', 'foreign_root']);
});

test('a root that somebody disabled halts payouts until an operator accepts it; its earnings are in the next', async () => {
  const w = await workerWorld();
  w.fund(1_000n);
  await w.worker.tick();
  await w.earn(400n);
  await w.worker.tick();
  await post(w);
  w.chain.mine([{ name: 'RootDisabled', args: { gateway: w.chain.sender, index: 0n } }]);
  bury(w.chain);
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

test('a database belongs to one network: another, or none, is refused once there is a log', async () => {
  const { store } = await workerWorld();
  const place = {
    chainId: 1,
    registry: contract(0),
    settlement: contract(1),
    token: contract(8),
    account: contract(7),
  };
  const keep = (wanted: typeof place | null) => store.withTx((tx) => keepNetwork(tx, wanted, 0));
  await expect(keep(place)).rejects.toThrow('begun without a chain');
  const { store: fresh } = emptyWorld();
  await fresh.withTx((tx) => keepNetwork(tx, place, 0));
  await fresh.withTx((tx) => keepNetwork(tx, place, 0));
  await expect(fresh.withTx((tx) => keepNetwork(tx, null, 0))).rejects.toThrow('belongs to a chain');
  const other = fresh.withTx((tx) => keepNetwork(tx, { ...place, chainId: 2 }, 0));
  await expect(other).rejects.toThrow('another network');
});
