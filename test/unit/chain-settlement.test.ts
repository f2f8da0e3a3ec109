/** Roots, conversion and comparison: what is promised, and what stops promising (spec-chain.md C9.1, C9.5, C9.7). */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Difference, differencesIn, type Standing } from '../../gateway/chain/reconcile.ts';
import { type Payee, planRoot } from '../../gateway/chain/root-plan.ts';
import { afterEvent, countedStake, NO_STAKE } from '../../gateway/chain/stake-fold.ts';
import { baseOf, nanoOf } from '../../gateway/chain/units.ts';

const addressOf = (index: number) => `0x${index.toString(16).padStart(40, '0')}` as const;

test('nano and base units convert exactly where they can, and round down where they cannot', () => {
  expect([baseOf(1_500_000_000n, 6), baseOf(1_999n, 6), baseOf(5n, 9), baseOf(1n, 18)]).toEqual([
    1_500_000n,
    1n,
    5n,
    1_000_000_000n,
  ]);
  expect([nanoOf(1n, 6), nanoOf(7n, 9), nanoOf(1_999_999_999n, 18)]).toEqual([1_000n, 7n, 1n]);
});

test('there and back never makes money, at any number of decimals', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 1n << 62n }), fc.integer({ min: 0, max: 28 }), (amount, decimals) => {
      expect(nanoOf(baseOf(amount, decimals), decimals)).toBeLessThanOrEqual(amount);
      expect(baseOf(nanoOf(amount, decimals), decimals)).toBeLessThanOrEqual(amount);
    }),
  );
});

const payees = fc
  .array(
    fc.record({
      earningsNano: fc.bigInt({ min: 0n, max: 10_000_000_000n }),
      promised: fc.bigInt({ min: 0n, max: 1_000_000n }),
      part: fc.integer({ min: 0, max: 100 }),
    }),
    { maxLength: 8 },
  )
  .map((rows): Payee[] =>
    rows.map(({ earningsNano, promised, part }, at) => ({
      payee: addressOf(at + 1),
      // What was promised and not claimed is still in the ledger.
      earningsNano: earningsNano + (promised - (promised * BigInt(part)) / 100n) * 1_000n,
      claimed: (promised * BigInt(part)) / 100n,
      promised,
    })),
  );

test('no leaf is smaller than before, all sum to the total, and the pool covers it', () => {
  fc.assert(
    fc.property(payees, fc.bigInt({ min: 0n, max: 50_000_000n }), (rows, room) => {
      const promised = rows.reduce((sum, row) => sum + row.promised, 0n);
      const plan = planRoot(rows, promised + room, 6);
      if (plan === null) return;
      const leaves = new Map(plan.leaves.map(({ payee, cumulative }) => [payee, cumulative]));
      for (const { payee, promised: before, earningsNano, claimed } of rows) {
        expect(leaves.get(payee) ?? 0n).toBeGreaterThanOrEqual(before);
        // Nobody is promised what the ledger does not owe.
        expect(leaves.get(payee) ?? 0n).toBeLessThanOrEqual(baseOf(earningsNano, 6) + claimed);
      }
      expect([...leaves.values()].reduce((sum, amount) => sum + amount, 0n)).toBe(plan.total);
      expect(plan.total).toBeGreaterThan(promised);
      expect(plan.total).toBeLessThanOrEqual(promised + room);
      expect([...leaves.keys()]).toEqual([...leaves.keys()].sort());
    }),
  );
});

test('a claim changes nothing about what is earned in all', () => {
  const before: Payee = { payee: addressOf(1), earningsNano: 7_999n, claimed: 0n, promised: 5n };
  const after: Payee = { ...before, earningsNano: 2_999n, claimed: 5n };
  expect(planRoot([after], 100n, 6)).toEqual(planRoot([before], 100n, 6));
});

test('where the pool is short, everybody gets the same share of what is new, and the rest is said', () => {
  const rows = [100n, 300n].map((nano, at) => ({
    payee: addressOf(at + 1),
    earningsNano: nano,
    claimed: 0n,
    promised: 0n,
  }));
  expect(planRoot(rows, 200n, 9)).toEqual({
    leaves: [
      { payee: addressOf(1), cumulative: 50n },
      { payee: addressOf(2), cumulative: 150n },
    ],
    total: 200n,
    short: 200n,
  });
  expect(planRoot(rows, 0n, 9)).toBeNull();
});

test('nothing new is no root', () => {
  expect(planRoot([{ payee: addressOf(1), earningsNano: 5n, claimed: 0n, promised: 5n }], 100n, 9)).toBeNull();
  expect(planRoot([], 100n, 9)).toBeNull();
});

test('stake follows its events, and is never negative while the registry keeps its rules', () => {
  const added = afterEvent(NO_STAKE, 'StakeAdded', 100n);
  const queued = afterEvent(added, 'UnbondingQueued', 60n);
  const slashed = afterEvent(queued, 'StakeSlashed', 50n);
  expect(slashed).toEqual({ active: 0n, queued: 50n, slashed: 50n, convicted: false });
  expect(afterEvent(slashed, 'StakeWithdrawn', 50n)).toMatchObject({ active: 0n, queued: 0n });
  expect(countedStake(afterEvent(added, 'AccountConvicted', 0n))).toBe(0n);
});

const SOUND: Standing = {
  deepReorg: false,
  stakes: [{ subject: addressOf(1), expected: 5n, found: 5n }],
  funded: { expected: 9n, found: 9n },
  withdrawn: { expected: 1n, found: 1n },
  promised: { expected: 4n, found: 4n },
  claims: [{ subject: addressOf(1), expected: 2n, found: 2n }],
  ledgerIn: { expected: 9n, found: 9n },
  ledgerOut: { expected: 3n, found: 3n },
  owed: [{ payee: addressOf(1), promised: 2n, owes: 2n }],
  foreignRoots: [],
  disabledRoots: [],
  takenNonces: [],
};

test('ledger and chain that agree show no difference', () => {
  expect(differencesIn(SOUND)).toEqual([]);
});

test.each<[Difference['code'], Partial<Standing>]>([
  ['deep_reorg', { deepReorg: true }],
  ['stake', { stakes: [{ subject: addressOf(1), expected: 5n, found: 4n }] }],
  ['pool_funded', { funded: { expected: 9n, found: 10n } }],
  ['pool_withdrawn', { withdrawn: { expected: 1n, found: 0n } }],
  ['promised', { promised: { expected: 4n, found: 5n } }],
  ['claimed', { claims: [{ subject: addressOf(1), expected: 2n, found: 3n }] }],
  ['ledger_in', { ledgerIn: { expected: 9n, found: 8n } }],
  ['ledger_out', { ledgerOut: { expected: 3n, found: 0n } }],
  ['owed', { owed: [{ payee: addressOf(1), promised: 2n, owes: 1n }] }],
  ['foreign_root', { foreignRoots: ['3'] }],
  ['root_disabled', { disabledRoots: ['3'] }],
  ['nonce_taken', { takenNonces: ['root:1'] }],
])('%s is said', (code, change) => {
  expect(differencesIn({ ...SOUND, ...change }).map((difference) => difference.code)).toEqual([code]);
});
