/** Demands on the chain against a gateway: answered in time out of its own store, and shown where that cannot be (spec-chain.md C9.6). */
import { encodeFunctionData } from 'viem';
import { expect, test } from 'vitest';
import type { Address, Hash } from '#protocol/hash';
import type { DemandState } from '../../gateway/chain/chain-client.ts';
import { EVIDENCE_ABI } from '../../gateway/chain/contracts.ts';
import { intentByKey } from '../../gateway/store/chain-outbox-repo.ts';
import { AUDITS, addresses, bury, EPOCH_ROOT, PROVIDER, workerWorld } from './chain-world.ts';

async function demanded(change: Partial<DemandState> = {}) {
  const w = await workerWorld();
  const id: Hash = `0x${'d1'.repeat(32)}`;
  const state: DemandState & { isOpen: boolean } = {
    ...{ isOpen: true, answerBy: 86_400, asks: 'key', index: 3, expected: EPOCH_ROOT },
    ...change,
  };
  w.chain.demand = async () => state;
  const demand = (account: Address) =>
    w.chain.mine([{ name: 'Demanded', args: { id, account, fault: 9, answerBy: state.answerBy } }]);
  const settle = async () => {
    bury(w.chain);
    await w.worker.tick();
  };
  const answer = () => w.store.read((handle) => intentByKey(handle, `demand:${id}`));
  return { ...w, id, state, demand, settle, answer };
}

test('a demand for a draw key is answered once it is final, by one transaction, and is no longer shown once it is ended', async () => {
  const { chain, worker, id, state, demand, settle, answer } = await demanded();
  demand(chain.sender);
  await worker.tick();
  expect(await answer()).toBeNull();
  await settle();
  const args = [id, `0x${'3'.repeat(64)}`, []] as const;
  const callData = encodeFunctionData({ abi: EVIDENCE_ABI, functionName: 'answerKey', args });
  expect(await answer()).toMatchObject({ state: 'sent', callData, toAddress: addresses.Evidence });
  for (let waits = 0; waits < 3; waits++) await settle();
  expect(chain.effects.filter((data) => data === callData)).toHaveLength(1);
  expect((await worker.status()).demands).toMatchObject([{ id, answer: 'confirmed' }]);
  state.isOpen = false;
  chain.mine([{ name: 'Answered', args: { id, account: chain.sender } }]);
  await settle();
  expect((await worker.status()).demands).toEqual([]);
});

test('a demand for the audits of an epoch is answered with their secret, one for a chunk never', async () => {
  const { chain, id, demand, settle, answer } = await demanded({ asks: 'audit', index: 4, expected: AUDITS });
  demand(chain.sender);
  await settle();
  const args = [id, `0x${'4'.repeat(64)}`] as const;
  const callData = encodeFunctionData({ abi: EVIDENCE_ABI, functionName: 'answerAudit', args });
  expect(await answer()).toMatchObject({ state: 'sent', callData, toAddress: addresses.Evidence });
  const chunk = await demanded({ asks: 'opening' });
  chunk.demand(chunk.chain.sender);
  await chunk.settle();
  expect(await chunk.answer()).toBeNull();
});

test('demands of others, of what no store has, and those that came too late are not answered; the last two are shown', async () => {
  const foreign = await demanded();
  foreign.demand(PROVIDER);
  await foreign.settle();
  expect([await foreign.answer(), (await foreign.worker.status()).demands]).toEqual([null, []]);
  const hidden = await demanded({ expected: `0x${'ee'.repeat(32)}` });
  hidden.demand(hidden.chain.sender);
  await hidden.settle();
  expect(await hidden.answer()).toBeNull();
  expect((await hidden.worker.status()).demands).toMatchObject([{ answer: 'unanswerable' }]);
  const late = await demanded({ answerBy: 12 });
  late.demand(late.chain.sender);
  await late.settle();
  expect(await late.answer()).toBeNull();
  expect((await late.worker.status()).demands).toMatchObject([{ answer: 'late' }]);
});

test('an answer that would be reverted is tried again after a minute, until it goes', async () => {
  const { chain, clock, demand, settle, answer } = await demanded();
  demand(chain.sender);
  chain.reverts = () => true;
  await settle();
  expect(await answer()).toMatchObject({ state: 'failed', nonce: null });
  chain.reverts = () => false;
  await settle();
  expect(await answer()).toMatchObject({ state: 'failed' });
  clock.pass(60_000);
  await settle();
  expect(await answer()).toMatchObject({ state: 'sent' });
});
