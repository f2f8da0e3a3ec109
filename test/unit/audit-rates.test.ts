/** What a gateway remembers of its providers to say audit rates at once is what the database says, whatever was changed meanwhile (spec-money.md §11.11). */
import fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';
import type { Address } from '#protocol/hash';
import { EquilibriumRates } from '../../gateway/audit/audit-rates.ts';
import { DEFAULT_SPLIT } from '../../gateway/ledger/dispute-money.ts';
import { deposit } from '../../gateway/ledger/funding.ts';
import { addKey, putStake, retireKey } from '../../gateway/store/chain-state-repo.ts';
import { openDispute, ruleDispute, settleRuledDispute } from '../../gateway/store/change-dispute.ts';
import type { Handle, Store, Tx } from '../../gateway/store/handle.ts';
import { applyTransfer } from '../../gateway/store/ledger-repo.ts';
import { hashOf, PROVIDERS, STAKE_NANO, storeOfEachTest } from './store-fixture.ts';
import { JOBS, PAY_NANO, revealed } from './store-life-fixture.ts';

const own = storeOfEachTest();
let store: Store;
beforeEach(async () => {
  store = own.store;
  await revealed(store);
});

/** Counts looks at the database. */
function counting(inner: Store) {
  const counted = { looks: 0 };
  const watched: Store = {
    withTx: (fn, told) => inner.withTx(fn, told),
    read: (fn) => inner.read(fn),
    peek: <T>(fn: (handle: Handle) => Promise<T>) => {
      counted.looks++;
      return inner.peek(fn);
    },
    changesOf: (topic) => inner.changesOf(topic),
    close: () => inner.close(),
  };
  return { watched, counted };
}

let nowMs = 3_000;
const ratesOver = (one: Store) =>
  new EquilibriumRates({
    store: one,
    clock: { nowMs: () => nowMs, sleep: async () => {} },
    registry: { members: () => [], operatorOf: () => null, excluded: () => [] },
    evidence: { standing: () => null },
    limits: { audits: { delayMs: 600_000, patienceMs: 60_000 } },
  });
const standings = (rates: EquilibriumRates) => rates.standingsOf(PROVIDERS, hashOf('model'), PAY_NANO);

const ACCOUNT = '0x00000000000000000000000000000000000000a1' as const;
const stakeOf = (nano: bigint): Parameters<typeof putStake>[1] => ({
  account: ACCOUNT,
  activeNano: nano,
  activeBase: nano.toString(),
  queuedBase: '0',
  slashedBase: '0',
  convicted: 0,
});
const move = (kind: string) => ({ kind, moveJson: '{}', signature: null, atMs: 4_000 });
const DISPUTE = {
  disputeId: hashOf('dispute'),
  requestId: 'r1',
  jobId: JOBS[2]!.jobId,
  provider: '0xcc',
  bundleJson: '{}',
};
const SPLIT = { right: ['0xaa'], judges: [], split: DEFAULT_SPLIT, move: move('settled') };

/** Everything that a stake follows from; some of it fails where it makes no sense then, and changes nothing. */
const CHANGES: Readonly<Record<string, (tx: Tx) => Promise<unknown>>> = {
  deposit: (tx) => applyTransfer(tx, deposit(`more-${nowMs++}`, 'stake:0xbb', 500n), nowMs),
  lost: async (tx) => {
    await applyTransfer(tx, deposit(`lost-${nowMs++}`, 'stake:0xbb', 500n), nowMs);
    throw new Error('rolled back');
  },
  opened: (tx) => openDispute(tx, { ...DISPUTE, fault: 'wrong_output', retainUntilMs: 9_000, move: move('opened') }),
  ruled: (tx) => ruleDispute(tx, DISPUTE.disputeId, { ruling: 'upheld', appealUntilMs: 5_000, move: move('ruled') }),
  settled: (tx) => settleRuledDispute(tx, DISPUTE.disputeId, SPLIT),
  key: (tx) => addKey(tx, ACCOUNT, '0xaa' as Address),
  retired: (tx) => retireKey(tx, '0xaa' as Address),
  staked: (tx) => putStake(tx, stakeOf(BigInt(nowMs++))),
};

test('stakes are looked up once for all requests until one of them changes, by whatever it changes', async () => {
  const { watched, counted } = counting(store);
  const rates = ratesOver(watched);
  expect((await standings(rates)).get('0xcc')!.incentive).toMatchObject({ stakeNano: STAKE_NANO });
  const { looks } = counted;
  for (let at = 0; at < 5; at++) await standings(rates);
  expect([looks > 0, counted.looks]).toEqual([true, looks]);
  const order = ['opened', 'lost', 'ruled', 'deposit', 'settled', 'key', 'staked', 'retired'];
  for (const name of order) {
    await store.withTx(CHANGES[name]!).catch(() => undefined);
    // Pay is summed up anew only now and then; what is compared is the stake.
    nowMs += 10_000;
    expect(await standings(rates), name).toEqual(await standings(ratesOver(store)));
  }
});

test('whatever order changes come in, also ones that fail, what is remembered is what is there', async () => {
  const rates = ratesOver(store);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom(...Object.keys(CHANGES)), { maxLength: 6 }), async (names) => {
      for (const name of names) {
        // Asked while it happens, too: half of each would be remembered for ever.
        const [, asked] = await Promise.all([store.withTx(CHANGES[name]!).catch(() => undefined), standings(rates)]);
        expect(asked.size).toBe(PROVIDERS.length);
        nowMs += 10_000;
        expect(await standings(rates)).toEqual(await standings(ratesOver(store)));
      }
    }),
    { numRuns: 25 },
  );
});

test('sums of pay that requests ask for are renewed beside them, and forgotten when nobody asks', async () => {
  const { watched, counted } = counting(store);
  const rates = ratesOver(watched);
  await standings(rates);
  nowMs += 5_000;
  await rates.refresh();
  nowMs += 5_000;
  const { looks } = counted;
  // As old as they may be, but for the renewal: no request has to look.
  await standings(rates);
  expect(counted.looks).toBe(looks);
  nowMs += 60_000;
  await rates.refresh();
  expect(counted.looks).toBe(looks);
  await standings(rates);
  expect(counted.looks).toBe(looks + PROVIDERS.length);
});
