/** Frozen stake, and how a slash is divided (spec-money.md 11.8). */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FAULTS } from '#protocol/verdict';
import { BURN_MIN_BPS, RULINGS, settleDispute } from '../../gateway/ledger/dispute-money.ts';
import { freeze, freezeNano } from '../../gateway/ledger/freezing.ts';
import { isProviderFault, PENALTY_BPS, penaltyNano } from '../../gateway/ledger/penalties.ts';
import { disputeMoney as dispute, movedOn as on } from './dispute-money.ts';

test('the penalties are those of the specification', () => {
  expect(PENALTY_BPS).toEqual({
    equivocation: 10_000n,
    bad_opening: 10_000n,
    lying_scorer: 3_000n,
    model_substitution: 5_000n,
    wrong_output: 2_000n,
    bad_evidence: 2_000n,
    copied_output: 2_000n,
    non_reveal: 0n,
    timeout: 0n,
    malformed: 0n,
  });
  const gateway = ['two_roots', 'forked_log', 'false_draw', 'contradicting_attestation'];
  expect(FAULTS.filter((fault) => !isProviderFault(fault))).toEqual(gateway);
});

test('a penalty is a share of the whole bond, rounded down', () => {
  expect(penaltyNano('wrong_output', 1_004n)).toBe(200n);
  expect(penaltyNano('equivocation', 1_004n)).toBe(1_004n);
});

test('a second freeze is measured on the whole bond and takes only what the first left', () => {
  expect(freezeNano('wrong_output', 1_000n, 0n)).toBe(200n);
  expect(freezeNano('wrong_output', 800n, 200n)).toBe(200n);
  expect(freezeNano('equivocation', 800n, 200n)).toBe(800n);
  expect(freezeNano('wrong_output', 0n, 1_000n)).toBe(0n);
});

test('however many disputes are opened, together they never freeze more than the bond', () => {
  const faults = fc.array(fc.constantFrom(...FAULTS.filter(isProviderFault)), { maxLength: 12 });
  fc.assert(
    fc.property(faults, fc.bigInt({ min: 0n, max: 10n ** 12n }), (list, bond) => {
      let free = bond;
      for (const fault of list) {
        const amount = freezeNano(fault, free, bond - free);
        expect(amount >= 0n && amount <= free).toBe(true);
        free -= amount;
      }
    }),
  );
});

test('freezing moves stake to an account of the dispute alone', () => {
  expect(freeze('d', 'loser', 5n).postings).toEqual([
    { account: 'frozen:d', amountNano: 5n },
    { account: 'stake:loser', amountNano: -5n },
  ]);
});

test('a slash goes to the burn minimum, the client, the reserve, those who were right, and burn again', () => {
  const end = settleDispute(dispute({ refundableNano: 300n, recoverableNano: 100n, right: ['a', 'b', 'a'] }));
  expect(on(end.transfer, 'client:c')).toBe(300n);
  expect(on(end.transfer, 'reserve')).toBe(100n);
  expect([on(end.transfer, 'earnings:a'), on(end.transfer, 'earnings:b')]).toEqual([150n, 150n]);
  expect(on(end.transfer, 'burn')).toBe(300n);
  expect(on(end.transfer, 'frozen:d')).toBe(-1_000n);
});

test('the client comes before the reserve, and the reserve before those who were right', () => {
  const poor = settleDispute(dispute({ refundableNano: 700n, recoverableNano: 500n }));
  expect([poor.refundedNano, poor.madeGoodNano, poor.rewardEachNano]).toEqual([700n, 100n, 0n]);
  const poorer = settleDispute(dispute({ refundableNano: 5_000n, recoverableNano: 500n }));
  expect([poorer.refundedNano, poorer.madeGoodNano, poorer.burntNano]).toEqual([800n, 0n, 200n]);
});

test('the burn minimum is rounded up and comes before everybody', () => {
  const end = settleDispute(dispute({ frozenNano: 1n, refundableNano: 1n }));
  expect([end.burntNano, end.refundedNano]).toEqual([1n, 0n]);
});

test('loser and judges get no reward, even where they are named among those who were right', () => {
  const end = settleDispute(dispute({ right: ['loser', 'judge', 'honest'], judges: ['judge'] }));
  expect(end.rewarded).toEqual(['honest']);
  expect([on(end.transfer, 'earnings:loser'), on(end.transfer, 'earnings:judge')]).toEqual([0n, 0n]);
  expect(on(end.transfer, 'earnings:honest')).toBe(300n);
});

test('with nobody to reward the share is burnt', () => {
  expect(settleDispute(dispute({ right: [] })).burntNano).toBe(1_000n);
});

test('withheld pay of a loser returns to those who put it up', () => {
  const end = settleDispute(dispute({ frozenNano: 0n, withheldClientNano: 30n, withheldReserveNano: 12n }));
  expect([on(end.transfer, 'client:c'), on(end.transfer, 'reserve')]).toEqual([30n, 12n]);
  expect([end.refundedNano, end.recoveredNano, end.madeGoodNano]).toEqual([30n, 12n, 0n]);
});

test('without a client nothing is refunded, and the pay withheld in its place goes to the reserve', () => {
  const end = settleDispute(dispute({ clientOwner: null, refundableNano: 500n, withheldClientNano: 10n, right: [] }));
  expect(end.transfer.postings.map(({ account }) => account)).toEqual(['burn', 'frozen:d', 'reserve', 'withheld:d']);
  expect([on(end.transfer, 'reserve'), on(end.transfer, 'burn')]).toEqual([10n, 1_000n]);
});

test.each(['rejected', 'abandoned'] as const)('a dispute that is %s gives stake and pay to the provider', (ruling) => {
  const end = settleDispute(
    dispute({ ruling, withheldClientNano: 30n, withheldReserveNano: 12n, refundableNano: 99n, recoverableNano: 99n }),
  );
  expect(end.transfer.postings).toEqual([
    { account: 'earnings:loser', amountNano: 42n },
    { account: 'frozen:d', amountNano: -1_000n },
    { account: 'stake:loser', amountNano: 1_000n },
    { account: 'withheld:d', amountNano: -42n },
  ]);
});

test.each([
  { burnBps: BURN_MIN_BPS - 1n, rewardBps: 0n },
  { burnBps: 5_000n, rewardBps: 5_001n },
  { burnBps: 5_000n, rewardBps: -1n },
])('a split that burns too little or gives away too much is refused: %o', (split) => {
  expect(() => settleDispute(dispute({ split }))).toThrow(RangeError);
  expect(() => settleDispute(dispute({ split, ruling: 'rejected' }))).toThrow(RangeError);
});

test('for every dispute: sums are zero, frozen and withheld empty, burn is at least its share, order is kept', () => {
  const amount = fc.bigInt({ min: 0n, max: 10n ** 15n });
  const names = fc.array(fc.constantFrom('loser', 'judge', 'a', 'b', 'e'), { maxLength: 5 });
  const arb = fc.record({
    ruling: fc.constantFrom(...RULINGS),
    clientOwner: fc.constantFrom('c', null),
    frozenNano: amount,
    withheldClientNano: amount,
    withheldReserveNano: amount,
    refundableNano: amount,
    recoverableNano: amount,
    right: names,
    burnBps: fc.bigInt({ min: BURN_MIN_BPS, max: 6_000n }),
    rewardBps: fc.bigInt({ min: 0n, max: 4_000n }),
  });
  fc.assert(
    fc.property(arb, ({ burnBps, rewardBps, ...change }) => {
      const one = dispute({ ...change, judges: ['judge'], split: { burnBps, rewardBps } });
      const { transfer, ...end } = settleDispute(one);
      expect(transfer.postings.reduce((total, { amountNano }) => total + amountNano, 0n)).toBe(0n);
      expect(on(transfer, 'frozen:d')).toBe(-one.frozenNano);
      expect(on(transfer, 'withheld:d')).toBe(-one.withheldClientNano - one.withheldReserveNano);
      expect(on(transfer, 'earnings:judge')).toBe(0n);
      for (const { account, amountNano } of transfer.postings) {
        expect(amountNano < 0n).toBe(account === 'frozen:d' || account === 'withheld:d');
      }
      if (one.ruling !== 'upheld') return;
      expect(on(transfer, 'earnings:loser')).toBe(0n);
      expect(on(transfer, 'burn') * 10_000n >= one.frozenNano * BURN_MIN_BPS).toBe(true);
      const refund = end.refundedNano - one.withheldClientNano;
      const owed = one.clientOwner === null ? 0n : one.refundableNano;
      if (end.madeGoodNano > 0n) expect(refund).toBe(owed);
      if (end.rewardEachNano > 0n) expect([refund, end.madeGoodNano]).toEqual([owed, one.recoverableNano]);
      const shares = BigInt(end.rewarded.length);
      expect(end.rewardEachNano * shares * 10_000n <= one.frozenNano * rewardBps).toBe(true);
      expect(refund + end.madeGoodNano + end.rewardEachNano * shares + end.burntNano).toBe(one.frozenNano);
    }),
  );
});
