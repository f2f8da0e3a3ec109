/** The outbox over a chain in memory: whatever comes and goes, every effect happens once (spec-chain.md C9.3). */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Hex } from '#protocol/hash';
import { Outbox } from '../../gateway/chain/outbox.ts';
import { bumped, nextNonce, nextStep, type OutboxTerms } from '../../gateway/chain/outbox-core.ts';
import { enqueueIntent, intentByKey, intentsIn, triesOf } from '../../gateway/store/chain-outbox-repo.ts';
import type { Store } from '../../gateway/store/handle.ts';
import { Fate, mortalClient, mortalStore } from '../chain-crash/mortal.ts';
import { CONFIRMATIONS, emptyWorld } from './chain-world.ts';

const TERMS: OutboxTerms = { confirmations: CONFIRMATIONS, bumpMs: 1_000, feeMaxWei: 10_000n };
const TO = `0x${'cc'.repeat(20)}` as const;
const ENDED = ['confirmed', 'failed'] as const;

type World = ReturnType<typeof emptyWorld>;

function outbox({ store, chain, clock }: World, fate = new Fate(Number.POSITIVE_INFINITY, false)): Outbox {
  const silent = { onMove: () => {}, onSendFailed: () => {} };
  return new Outbox({
    store: mortalStore(store, fate),
    client: mortalClient(chain, fate),
    clock,
    terms: TERMS,
    ...silent,
  });
}

const enter = (store: Store, key: string) =>
  store.withTx((tx) => enqueueIntent(tx, { key, to: TO, data: `0x${Buffer.from(key).toString('hex')}` }, 0));
const stateOf = async (store: Store, key: string) => (await store.read((handle) => intentByKey(handle, key)))?.state;

/** Steps and blocks until nothing is on its way. */
async function rest({ chain, clock, ...w }: World): Promise<void> {
  for (let round = 0; round < 60; round++) {
    await outbox({ ...w, chain, clock }).step();
    chain.mine();
    clock.pass(500);
  }
}

test('an effect is sent, mined and confirmed with so many blocks on top', async () => {
  const w = emptyWorld();
  await enter(w.store, 'a');
  const box = outbox(w);
  const states = [];
  for (let step = 0; step < 6; step++) {
    await box.step();
    states.push(await stateOf(w.store, 'a'));
    w.chain.mine();
  }
  expect(states).toEqual(['sent', 'mined', 'mined', 'mined', 'confirmed', 'confirmed']);
});

test('a name stands for one effect: entering it again changes nothing, and another effect under it is refused', async () => {
  const { store } = emptyWorld();
  expect(await enter(store, 'a')).toBe(true);
  expect(await enter(store, 'a')).toBe(false);
  const other = store.withTx((tx) => enqueueIntent(tx, { key: 'a', to: TO, data: '0x00' }, 0));
  await expect(other).rejects.toMatchObject({ code: 'internal_error' });
});

test('what would be reverted fails without a nonce, but waits while something that it may follow from is on its way', async () => {
  const w = emptyWorld();
  await enter(w.store, 'first');
  await enter(w.store, 'second');
  const second: Hex = `0x${Buffer.from('second').toString('hex')}`;
  w.chain.reverts = (data) => data === second;
  await outbox(w).step();
  expect(await stateOf(w.store, 'second')).toBe('queued');
  await rest(w);
  expect(await stateOf(w.store, 'first')).toBe('confirmed');
  expect(await stateOf(w.store, 'second')).toBe('failed');
  expect(await w.chain.noncesUsed(null)).toBe(1);
});

test('what was refused before it had a nonce may be entered again, and happens once it can', async () => {
  const w = emptyWorld();
  await enter(w.store, 'a');
  w.chain.reverts = () => true;
  await outbox(w).step();
  expect(await stateOf(w.store, 'a')).toBe('failed');
  expect(await enter(w.store, 'a')).toBe(true);
  w.chain.reverts = () => false;
  await rest(w);
  expect(await stateOf(w.store, 'a')).toBe('confirmed');
  expect(await enter(w.store, 'a')).toBe(false);
  expect(w.chain.effects).toHaveLength(1);
});

test('a call that is reverted in its block has failed once that is final, and holds nothing up', async () => {
  const w = emptyWorld();
  const bad: Hex = `0x${Buffer.from('bad').toString('hex')}`;
  w.chain.fails = (data) => data === bad;
  await enter(w.store, 'bad');
  await enter(w.store, 'good');
  await rest(w);
  expect(await stateOf(w.store, 'bad')).toBe('failed');
  expect(await stateOf(w.store, 'good')).toBe('confirmed');
});

test('a nonce that somebody else has used for good is said, and never given again', async () => {
  const w = emptyWorld();
  await enter(w.store, 'a');
  w.chain.hears = false;
  await outbox(w).step();
  w.chain.foreign = 1;
  for (let blocks = 0; blocks < 5; blocks++) w.chain.mine();
  const box = outbox(w);
  await box.step();
  expect(box.takenNonces).toEqual(['a']);
  expect(await stateOf(w.store, 'a')).toBe('sent');
});

test('fees rise by an eighth at least, to the limit and no further', () => {
  const suggested = { maxFeePerGas: 5n, maxPriorityFeePerGas: 1n };
  const raised = bumped({ maxFeePerGas: 80n, maxPriorityFeePerGas: 8n }, suggested, 1_000n)!;
  expect(raised.maxFeePerGas).toBeGreaterThanOrEqual(90n);
  expect(raised.maxPriorityFeePerGas).toBeGreaterThanOrEqual(9n);
  expect(bumped({ maxFeePerGas: 950n, maxPriorityFeePerGas: 8n }, suggested, 1_000n)).toBeNull();
});

test('nonces go on from the outbox or the chain, whichever is further', () => {
  expect([nextNonce(null, 7), nextNonce(3, 2), nextNonce(3, 9)]).toEqual([7, 4, 9]);
});

test('a transaction whose block is gone goes back to waiting', () => {
  const at = { txHash: '0x01', blockNumber: 5, blockHash: '0x02' } as const;
  const fees = { maxFeePerGas: 1n, maxPriorityFeePerGas: 1n };
  const intent = { nonce: 0, mined: at, lastTry: { ...fees, signedAtMs: 0 } };
  expect(nextStep(intent, { headNumber: 9, mined: null, noncesUsed: 0 }, fees, 0, TERMS)).toEqual({ kind: 'unmined' });
});

/** What may happen between two looks, and within one. */
const event = fc.oneof(
  fc.record({ kind: fc.constant('step' as const), calls: fc.integer({ min: 0, max: 40 }), after: fc.boolean() }),
  fc.record({ kind: fc.constant('mine' as const), blocks: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ kind: fc.constant('reorg' as const), depth: fc.integer({ min: 1, max: 3 }), forgets: fc.boolean() }),
  fc.record({ kind: fc.constant('forget' as const) }),
  fc.record({ kind: fc.constant('deaf' as const), hears: fc.boolean() }),
  fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 3_000 }) }),
  fc.record({ kind: fc.constant('enter' as const), key: fc.constantFrom('a', 'b', 'c', 'd') }),
);
type Event = typeof event extends fc.Arbitrary<infer T> ? T : never;

/** @param highest the most blocks that there have been: no reorganisation goes below what counted as final */
async function happen(w: World, what: Event, highest: number): Promise<void> {
  switch (what.kind) {
    case 'step': {
      const fate = new Fate(what.calls, what.after);
      await outbox(w, fate)
        .step()
        .catch((error: unknown) => {
          if (!fate.dead) throw error;
        });
      fate.dead = true;
      return;
    }
    case 'mine':
      for (let blocks = 0; blocks < what.blocks; blocks++) w.chain.mine();
      return;
    case 'reorg': {
      const depth = Math.min(what.depth, w.chain.canonical.length - (highest - TERMS.confirmations));
      if (depth > 0) w.chain.takeBack(depth, what.forgets);
      return;
    }
    case 'forget':
      return w.chain.forget();
    case 'deaf':
      w.chain.hears = what.hears;
      return;
    case 'pass':
      return w.clock.pass(what.ms);
    case 'enter':
      await enter(w.store, what.key);
  }
}

test('killed at any call, through lost transactions and reorganisations, every effect happens once', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(event, { minLength: 10, maxLength: 50 }), async (events) => {
      const w = emptyWorld();
      let highest = 0;
      const nonces = new Map<string, number>();
      for (const what of events) {
        await happen(w, what, highest);
        highest = Math.max(highest, w.chain.canonical.length);
        for (const { intentKey, nonce } of await w.store.read((handle) => intentsIn(handle, ['sent', 'mined'], 10))) {
          // INVARIANT: a nonce is given once.
          expect(nonces.get(intentKey) ?? nonce).toBe(nonce);
          nonces.set(intentKey, nonce!);
        }
      }
      w.chain.hears = true;
      await rest(w);
      const ended = await w.store.read((handle) => intentsIn(handle, [...ENDED], 10));
      const entered = new Set(events.flatMap((what) => (what.kind === 'enter' ? [what.key] : [])));
      expect(ended.map(({ state }) => state)).toEqual(ended.map(() => 'confirmed'));
      expect(ended).toHaveLength(entered.size);
      expect([...w.chain.effects].sort()).toEqual(ended.map(({ callData }) => callData).sort());
      for (const { intentKey } of ended) {
        expect((await w.store.read((handle) => triesOf(handle, intentKey))).length).toBeGreaterThan(0);
      }
    }),
    { numRuns: 25 },
  );
}, 120_000);

test('of two vouchers of one client the larger does not overtake the smaller, which would be worth nothing then; others do', async () => {
  const w = emptyWorld();
  const client = `0x${'cd'.repeat(20)}`;
  const names = ['first', `redeem:${client}:0:100`, `redeem:${client}:0:200`, `redeem:${client}:1:50`];
  for (const name of names) await enter(w.store, name);
  const data = (name: string) => `0x${Buffer.from(name).toString('hex')}`;
  // It follows from what is on its way.
  w.chain.reverts = (call) => call === data(names[1]!) && w.chain.effects.length === 0;
  await outbox(w).step();
  expect(await Promise.all(names.map((name) => stateOf(w.store, name)))).toEqual(['sent', 'queued', 'queued', 'sent']);
  await rest(w);
  expect(w.chain.effects.indexOf(data(names[1]!) as Hex)).toBeLessThan(w.chain.effects.indexOf(data(names[2]!) as Hex));
  expect(await Promise.all(names.map((name) => stateOf(w.store, name)))).toEqual(names.map(() => 'confirmed'));
});
