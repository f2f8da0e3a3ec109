/** Reading a chain that changes its mind: everything that is final counts once, and nothing else does (spec-chain.md C9.4). */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { commonAncestor, nextReading, RANGE_BLOCKS_MAX } from '../../gateway/chain/follow-core.ts';
import { Follower } from '../../gateway/chain/follower.ts';
import { RESERVE } from '../../gateway/ledger/accounts.ts';
import { appliedBlock } from '../../gateway/store/chain-blocks-repo.ts';
import { chainStakeNano, totalBase } from '../../gateway/store/chain-state-repo.ts';
import type { Store } from '../../gateway/store/handle.ts';
import { balanceNano } from '../../gateway/store/ledger-repo.ts';
import { Fate, mortalClient, mortalStore } from '../chain-crash/mortal.ts';
import type { FakeChain } from '../fixtures/fake-chain.ts';
import { HandClock } from '../fixtures/hand-clock.ts';
import { bury, CONFIRMATIONS, emptyWorld } from './chain-world.ts';

const GATEWAY = `0x${'11'.repeat(20)}` as const;
const PROVIDER = `0x${'22'.repeat(20)}` as const;
const SECOND = `0x${'33'.repeat(20)}` as const;

function follower(
  { store, chain }: { store: Store; chain: FakeChain },
  fate = new Fate(Number.POSITIVE_INFINITY, false),
) {
  return new Follower({
    store: mortalStore(store, fate),
    client: mortalClient(chain, fate),
    clock: new HandClock(),
    confirmations: CONFIRMATIONS,
    fromBlock: 0,
    terms: { gateway: GATEWAY, decimals: 9 },
    onStakes: () => {},
    onReorg: () => {},
  });
}

const funded = (amount: bigint) => ({ name: 'Funded', args: { gateway: GATEWAY, from: PROVIDER, amount } });
const staked = (account: string, amount: bigint) => ({ name: 'StakeAdded', args: { account, from: account, amount } });
const key = (account: string, signing: string) => ({
  name: 'KeyAdded',
  args: { account, key: signing, worksFrom: 0 },
});
test('an event counts once its block has so many on top, and not a block earlier', async () => {
  const w = emptyWorld();
  w.chain.mine([funded(5n)]);
  w.chain.mine();
  w.chain.mine();
  await follower(w).step();
  expect(await w.store.read((handle) => balanceNano(handle, RESERVE))).toBe(0n);
  w.chain.mine();
  await follower(w).step();
  expect(await w.store.read((handle) => balanceNano(handle, RESERVE))).toBe(5n);
});

test('what another gateway is paid is none of this one’s business', async () => {
  const w = emptyWorld();
  w.chain.mine([{ name: 'Funded', args: { gateway: PROVIDER, from: PROVIDER, amount: 5n } }]);
  bury(w.chain);
  await follower(w).step();
  expect(await w.store.read((handle) => totalBase(handle, 'funded'))).toBe(0n);
});

test('stake counts for the oldest live key of its account, and for nobody after a conviction', async () => {
  const w = emptyWorld();
  w.chain.mine([staked(PROVIDER, 100n), key(PROVIDER, PROVIDER), key(PROVIDER, SECOND)]);
  bury(w.chain);
  await follower(w).step();
  const counted = (provider: `0x${string}`) => w.store.read((handle) => chainStakeNano(handle, provider));
  expect([await counted(PROVIDER), await counted(SECOND)]).toEqual([100n, 0n]);
  w.chain.mine([{ name: 'KeyRetired', args: { account: PROVIDER, key: PROVIDER, answersUntil: 9 } }]);
  bury(w.chain);
  await follower(w).step();
  expect([await counted(PROVIDER), await counted(SECOND)]).toEqual([0n, 100n]);
  w.chain.mine([{ name: 'AccountConvicted', args: { account: PROVIDER, reporter: SECOND, slasher: GATEWAY } }]);
  bury(w.chain);
  await follower(w).step();
  expect(await counted(SECOND)).toBe(0n);
});

test('stake that is on its way out does not count, and a slash takes what is active first', async () => {
  const w = emptyWorld();
  w.chain.mine([
    staked(PROVIDER, 100n),
    key(PROVIDER, PROVIDER),
    { name: 'UnbondingQueued', args: { account: PROVIDER, amount: 40n, readyAt: 9 } },
    { name: 'StakeSlashed', args: { account: PROVIDER, amount: 70n, refunded: 0n, rewarded: 0n, burned: 70n } },
  ]);
  bury(w.chain);
  await follower(w).step();
  expect(await w.store.read((handle) => chainStakeNano(handle, PROVIDER))).toBe(0n);
});

test('a reorganisation below what counted as final stops the reading, and changes nothing', async () => {
  const w = emptyWorld();
  w.chain.mine([funded(5n)]);
  bury(w.chain);
  await follower(w).step();
  w.chain.takeBack(CONFIRMATIONS + 1, true);
  for (let blocks = 0; blocks < 8; blocks++) w.chain.mine();
  expect(await follower(w).step()).toBe(false);
  expect(await follower(w).step()).toBe(false);
  expect(await w.store.read((handle) => balanceNano(handle, RESERVE))).toBe(5n);
});

test('a chain that is far ahead is read in ranges, each event once', async () => {
  const w = emptyWorld();
  for (let block = 0; block < 300; block++) w.chain.mine([funded(1n)]);
  await follower(w).step();
  const applied = (await w.store.read(appliedBlock))!.number;
  expect(applied).toBe(w.chain.canonical.length - 1 - CONFIRMATIONS);
  expect(await w.store.read((handle) => balanceNano(handle, RESERVE))).toBe(BigInt(applied));
});

test('ranges end where blocks can still go, and are no longer than nodes answer', () => {
  expect(nextReading(10, 10, 5)).toEqual({ kind: 'nothing' });
  expect(nextReading(10, 16, 5)).toEqual({ kind: 'block', number: 11 });
  expect(nextReading(10, 17, 5)).toEqual({ kind: 'range', from: 11, to: 12 });
  expect(nextReading(0, 1_000_000, 5)).toEqual({ kind: 'range', from: 1, to: RANGE_BLOCKS_MAX });
});

test('the common ancestor is the newest stored block that the chain still has', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 0, max: 50 }), async (stored, kept) => {
      const blocks = Array.from({ length: stored }, (_, number) => ({ number, hash: `0x${number}` as const }));
      const found = await commonAncestor(blocks, async (number) => (number < kept ? `0x${number}` : '0xother'));
      const newest = Math.min(stored, kept) - 1;
      expect(found).toEqual(newest < 0 ? { kind: 'none' } : { kind: 'found', number: newest });
    }),
  );
});

const happening = fc.oneof(
  fc.record({ kind: fc.constant('mine' as const), amount: fc.bigInt({ min: 1n, max: 1_000n }) }),
  fc.record({ kind: fc.constant('reorg' as const), depth: fc.integer({ min: 1, max: CONFIRMATIONS }) }),
  fc.record({ kind: fc.constant('step' as const), calls: fc.integer({ min: 0, max: 30 }), after: fc.boolean() }),
);

test('killed at any call and through reorganisations, the ledger holds exactly what final blocks say', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(happening, { minLength: 5, maxLength: 40 }), async (events) => {
      const w = emptyWorld();
      let highest = 0;
      for (const what of events) {
        if (what.kind === 'mine') w.chain.mine([funded(what.amount), staked(PROVIDER, what.amount)]);
        if (what.kind === 'reorg') {
          const depth = Math.min(what.depth, w.chain.canonical.length - (highest - CONFIRMATIONS));
          if (depth > 0) w.chain.takeBack(depth, true);
        }
        if (what.kind === 'step') {
          const fate = new Fate(what.calls, what.after);
          await follower(w, fate)
            .step()
            .catch((error: unknown) => {
              if (!fate.dead) throw error;
            });
          fate.dead = true;
        }
        highest = Math.max(highest, w.chain.canonical.length);
      }
      bury(w.chain);
      expect(await follower(w).step()).toBe(true);
      const final = w.chain.canonical.slice(0, w.chain.canonical.length - CONFIRMATIONS);
      const sum = final
        .flatMap((block) => block.events)
        .filter(({ name }) => name === 'Funded')
        .reduce((total, { args }) => total + (args.amount as bigint), 0n);
      expect(await w.store.read((handle) => balanceNano(handle, RESERVE))).toBe(sum);
      expect(await w.store.read((handle) => totalBase(handle, 'funded'))).toBe(sum);
    }),
    { numRuns: 25 },
  );
}, 120_000);
