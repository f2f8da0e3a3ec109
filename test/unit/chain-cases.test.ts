/** Which disputes go before a chain's referees, and what the gateway enters as their case goes on (spec-chain.md C9.8). */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Address, Hash } from '#protocol/hash';
import { approveBonds, caseName, endCase, openCase, ruleCase } from '../../gateway/chain/case-calls.ts';
import { type CaseDeps, followCases, openCases } from '../../gateway/chain/cases.ts';
import { insertCase, moveCase, putVoice, rightIn } from '../../gateway/store/chain-cases-repo.ts';
import { giveNonce, intentByKey, moveIntent } from '../../gateway/store/chain-outbox-repo.ts';
import { putStake } from '../../gateway/store/chain-state-repo.ts';
import { openDispute } from '../../gateway/store/change-dispute.ts';
import { disputeById, forgetExpiredBundles } from '../../gateway/store/disputes-repo.ts';
import type { Store } from '../../gateway/store/handle.ts';
import type { HandClock } from '../fixtures/hand-clock.ts';
import {
  accuse,
  addressOf,
  BAD,
  BUNDLE_HASH,
  caseRow,
  caseState,
  LIAR,
  move,
  NOBODY,
  type Said,
  settle,
  stakeOf,
  startCaseWorld,
  TOKEN,
  uphold,
} from './case-fixture.ts';
import { addresses } from './chain-world.ts';
import { hashOf } from './store-fixture.ts';
import { answer, everybody } from './store-life-fixture.ts';

let cleaners: (() => void)[] = [];
let store: Store;
let deps: CaseDeps;
let clock: HandClock;
let chain: Said;

beforeEach(async () => {
  ({ store, deps, clock, chain } = await startCaseWorld((clean) => cleaners.push(clean)));
});
afterEach(async () => {
  await store.close();
  for (const clean of cleaners) clean();
  cleaners = [];
});

/** A dispute that was upheld, and is final. */
async function upheld(name = 'd', until: 'ruled' | 'settled' = 'settled'): Promise<Hash> {
  const disputeId = hashOf(name);
  await accuse(store, disputeId, { requestId: 'r1', jobId: BAD });
  await answer(store, 'r1', 'agreed', everybody('counted').set(BAD, 'rejected'));
  await uphold(store, disputeId);
  if (until === 'settled') await settle(store, disputeId);
  return disputeId;
}

const accusation = (disputeId: Hash) => ({
  account: LIAR,
  disputeId,
  bundleHash: BUNDLE_HASH,
  fault: 'wrong_output' as const,
});
const intent = (key: string) => store.read((handle) => intentByKey(handle, key));
const row = (disputeId: Hash) => caseRow(store, disputeId);

test('a dispute goes there once it is final, with its evidence, whom it harmed and who was right, under one approval', async () => {
  const disputeId = await upheld();
  // On a chain the ledger holds no stake that it could have refunded out of.
  const unpaid = { account: addressOf('ee'), refundedNano: 0n };
  await store.withTx((tx) => tx.db.update(tx.tables.requests).set(unpaid));
  expect(await openCases(deps, 9)).toBe(true);
  const opened = await row(disputeId);
  const caseId = caseName(addresses.Rulings, accusation(disputeId));
  expect(opened).toMatchObject({ caseId, account: LIAR, bundleHash: BUNDLE_HASH, state: 'entered' });
  // Neither the accused nor its operator.
  expect(rightIn(opened)).toEqual([addressOf('bb')]);
  expect([opened.client, BigInt(opened.refundBase) > 0n]).toEqual([addressOf('ee'), true]);
  for (const call of [openCase(addresses, accusation(disputeId)), approveBonds(addresses, TOKEN, 5n, 0)]) {
    expect(await intent(call.key)).toMatchObject({ state: 'queued', callData: call.data, toAddress: call.to });
  }
  expect(await openCases(deps, 9)).toBe(true);
});

test('where the request was never answered nobody is refunded, and who is not attested was not right', async () => {
  const disputeId = await upheld();
  await store.withTx((tx) => tx.db.update(tx.tables.requests).set({ account: addressOf('ee'), refundedNano: 0n }));
  chain.attested = null;
  await openCases(deps, 9);
  const opened = await row(disputeId);
  expect([opened.client, opened.refundBase, rightIn(opened)]).toEqual([NOBODY, '0', []]);
});

test('where the last case ended in silence, no other is opened beside one that is before the referees', async () => {
  const [silent, live] = [hashOf('e'), hashOf('f')];
  for (const disputeId of [silent, live]) {
    const accused = { jobId: BAD, provider: '0xcc', fault: 'bad_evidence' as const, bundleJson: '{}' };
    await store.withTx((tx) =>
      openDispute(tx, { disputeId, requestId: 'r1', ...accused, retainUntilMs: 9_000, move: move('opened', 1_500) }),
    );
    await store.withTx((tx) =>
      insertCase(tx, {
        ...{ disputeId, account: LIAR, bundleHash: BUNDLE_HASH, caseId: disputeId, client: NOBODY, refundBase: '0' },
        ...{ rightJson: '[]', state: disputeId === live ? 'opened' : 'settled', outcome: null, setVersion: 1 },
        ...{ deadlineSeconds: disputeId === live ? 2 : 1, enteredAtMs: 1 },
      }),
    );
  }
  const disputeId = await upheld();
  expect(await openCases(deps, 9)).toBe(true);
  expect(await row(disputeId)).toBeNull();
  // They are back.
  await store.withTx((tx) => moveCase(tx, live, { state: 'settled', outcome: 'upheld' }));
  await openCases(deps, 9);
  expect(await row(disputeId)).not.toBeNull();
});

test('one that is not final, or about who has nothing left, is let be; one without its bond waits', async () => {
  const disputeId = await upheld('d', 'ruled');
  await openCases(deps, 9);
  expect(await row(disputeId)).toBeNull();
  await settle(store, disputeId);
  await store.withTx((tx) => putStake(tx, stakeOf(0n)));
  expect(await openCases(deps, 9)).toBe(true);
  await store.withTx((tx) => putStake(tx, stakeOf(100n)));
  chain.balance = 4n;
  expect(await openCases(deps, 9)).toBe(false);
  expect(await row(disputeId)).toBeNull();
  chain.balance = 5n;
  expect(await openCases(deps, 9)).toBe(true);
  expect((await row(disputeId)).client).toBe(NOBODY);
});

test('an opening that was refused unsent is tried again; one that was reverted in a block is the end', async () => {
  const disputeId = await upheld();
  await openCases(deps, 9);
  const key = `case:open:${disputeId}`;
  const refused = { state: 'failed', failure: 'reverted', endedAtMs: clock.nowMs() } as const;
  await store.withTx((tx) => moveIntent(tx, key, refused));
  await followCases(deps, 9);
  expect(await intent(key)).toMatchObject({ state: 'failed' });
  clock.pass(60_000);
  await followCases(deps, 9);
  expect(await intent(key)).toMatchObject({ state: 'queued', failure: null });
  await store.withTx(async (tx) => {
    await giveNonce(tx, key, { nonce: 3, gasLimit: 1n });
    await moveIntent(tx, key, { state: 'failed', failure: 'reverted' });
  });
  await followCases(deps, 9);
  expect(await row(disputeId)).toMatchObject({ state: 'failed' });
});

test('voices go to the contract as soon as it would take them, those of one outcome and instance; the end when the time is over', async () => {
  const disputeId = await upheld();
  await openCases(deps, 9);
  const { caseId } = await row(disputeId);
  const division = { client: NOBODY, refund: 0n, right: [addressOf('bb')] };
  const say = (instance: 0 | 1, referee: Address, outcome: 'upheld' | 'rejected', signature: string) =>
    store.withTx((tx) => putVoice(tx, { caseId, instance, referee, outcome, signature, atMs: 0 }));
  chain.case = caseState('opened');
  await say(0, addressOf('03'), 'upheld', '0x03');
  await say(0, addressOf('01'), 'upheld', '0x01');
  await say(0, addressOf('02'), 'rejected', '0x02');
  await say(1, addressOf('04'), 'upheld', '0x04');
  chain.reverts = true;
  await followCases(deps, 9);
  expect(await intent(`case:rule:${caseId}:0`)).toBeNull();
  expect(await row(disputeId)).toMatchObject({ state: 'opened', deadlineSeconds: 5_000, setVersion: 1 });
  chain.reverts = false;
  await followCases(deps, 9);
  const rule = ruleCase(addresses, caseId as Hash, 0, 'upheld', division, ['0x01', '0x03']);
  expect(await intent(rule.key)).toMatchObject({ callData: rule.data });
  // Once entered, its bytes stay, whoever speaks later.
  await say(0, addressOf('02'), 'upheld', '0x02');
  await followCases(deps, 9);
  expect(await intent(rule.key)).toMatchObject({ callData: rule.data });

  chain.case = caseState('ruled', { outcome: 'upheld' });
  const end = endCase(addresses, caseId as Hash, division);
  chain.nowSeconds = 4_999;
  await followCases(deps, 9);
  expect(await intent(end.key)).toBeNull();
  chain.nowSeconds = 5_000;
  await followCases(deps, 9);
  expect(await intent(end.key)).toMatchObject({ callData: end.data });
  chain.case = caseState('settled', { outcome: 'upheld' });
  await followCases(deps, 9);
  expect(await row(disputeId)).toMatchObject({ state: 'settled', outcome: 'upheld' });
});

test('evidence is kept for referees until the case has its end, and no longer', async () => {
  const disputeId = await upheld();
  await openCases(deps, 9);
  const bundle = async () => (await store.read((handle) => disputeById(handle, disputeId)))?.bundleJson ?? null;
  await store.withTx((tx) => forgetExpiredBundles(tx, 10_000));
  expect(await bundle()).not.toBeNull();
  chain.case = caseState('settled', { outcome: 'rejected' });
  await followCases(deps, 9);
  await store.withTx((tx) => forgetExpiredBundles(tx, 10_000));
  expect(await bundle()).toBeNull();
});
