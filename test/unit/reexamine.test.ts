/** Which answers are looked at again, in what order and how many; and how harmed clients share what there is (SPEC.md §8.3, §11.8). */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { settleDispute } from '../../gateway/ledger/dispute-money.ts';
import { shareOut, takeInTurn } from '../../gateway/ledger/restitution.ts';
import {
  type Candidate,
  chooseWithin,
  comparePriority,
  PASSES_CLEAR,
  windowFromMs,
} from '../../gateway/reexamine/priority.ts';
import { disputeMoney, movedOn } from './dispute-money.ts';

/** Nobody is rewarded. */
const UPHELD = disputeMoney({ right: [] });

const candidate = (change: Partial<Candidate> = {}): Candidate => ({
  requestId: 'r',
  choice: 0,
  isAlone: true,
  chargedNano: 1_000n,
  keepUntilMs: 1_000,
  askedPpm: 0,
  costNano: 100n,
  ...change,
});
const candidates = fc.uniqueArray(
  fc.record({
    requestId: fc.integer({ min: 0, max: 40 }).map(String),
    choice: fc.nat(3),
    isAlone: fc.boolean(),
    chargedNano: fc.bigInt({ min: 0n, max: 10_000n }),
    keepUntilMs: fc.nat(50),
    askedPpm: fc.nat(1_000_000),
    costNano: fc.bigInt({ min: 0n, max: 1_000n }),
  }),
  { selector: ({ requestId, choice }) => `${requestId}/${choice}`, maxLength: 40 },
);

describe('the window', () => {
  test('goes back to the fifth last examination that was passed before, and no further than evidence is kept', () => {
    const facts = { convictedAtMs: 1_000, longestMs: 900 };
    expect(windowFromMs({ ...facts, passedAtMs: [] })).toBe(100);
    expect(windowFromMs({ ...facts, passedAtMs: [900, 800, 700, 600] })).toBe(100);
    expect(windowFromMs({ ...facts, passedAtMs: [500, 900, 700, 600, 800, 400] })).toBe(500);
    expect(windowFromMs({ ...facts, passedAtMs: [5, 4, 3, 2, 1] })).toBe(100);
    // What it passed after the answer that convicted it says nothing about the time before.
    expect(windowFromMs({ ...facts, passedAtMs: [2_000, 1_900, 1_800, 1_700, 1_600] })).toBe(100);
  });

  test('never begins after the answer that convicted, and no pass makes it longer', () => {
    const times = fc.array(fc.nat(5_000), { maxLength: 20 });
    fc.assert(
      fc.property(times, fc.nat(5_000), fc.nat(5_000), fc.nat(5_000), (passedAtMs, convictedAtMs, longestMs, more) => {
        const fromMs = windowFromMs({ convictedAtMs, passedAtMs, longestMs });
        expect(fromMs).toBeGreaterThanOrEqual(Math.max(0, convictedAtMs - longestMs));
        expect(fromMs).toBeLessThanOrEqual(convictedAtMs);
        const longer = windowFromMs({ convictedAtMs, passedAtMs: [...passedAtMs, more], longestMs });
        expect(longer).toBeGreaterThanOrEqual(fromMs);
        const since = passedAtMs.filter((atMs) => atMs > fromMs && atMs < convictedAtMs).length;
        expect(since).toBeLessThan(PASSES_CLEAR);
      }),
    );
  });
});

describe('the order', () => {
  test('is what one provider alone decided, then what cost more, then what expires first, then what was to be watched more', () => {
    const names = chooseWithin(
      [
        candidate({ requestId: 'witnessed', isAlone: false, chargedNano: 9_000n }),
        candidate({ requestId: 'cheap', chargedNano: 10n, keepUntilMs: 0 }),
        candidate({ requestId: 'later', keepUntilMs: 2_000, askedPpm: 1 }),
        candidate({ requestId: 'sooner' }),
        candidate({ requestId: 'watched', askedPpm: 1 }),
        candidate({ requestId: 'dear', chargedNano: 5_000n, keepUntilMs: 9_000 }),
      ],
      { answersMax: 10, costMaxNano: null },
    ).map(({ requestId }) => requestId);
    expect(names).toEqual(['dear', 'watched', 'sooner', 'later', 'cheap', 'witnessed']);
  });

  test('is total: two gateways with the same answers in another order agree', () => {
    fc.assert(
      fc.property(candidates, fc.nat(), (list, turn) => {
        const turned = [...list.slice(turn % (list.length + 1)), ...list.slice(0, turn % (list.length + 1))];
        const budget = { answersMax: 20, costMaxNano: 5_000n };
        expect(chooseWithin(turned, budget)).toEqual(chooseWithin(list, budget));
        for (const [a, b] of list.flatMap((one) => list.map((other) => [one, other] as const))) {
          expect(Math.sign(comparePriority(a, b)) + Math.sign(comparePriority(b, a))).toBe(0);
        }
      }),
      { numRuns: 40 },
    );
  });

  test('keeps within the budget, and leaves out nothing that would still fit', () => {
    const bound = fc.option(fc.bigInt({ min: 0n, max: 8_000n }), { nil: null });
    fc.assert(
      fc.property(candidates, fc.nat(30), bound, (list, answersMax, costMaxNano) => {
        const chosen = chooseWithin(list, { answersMax, costMaxNano });
        const cost = chosen.reduce((sum, { costNano }) => sum + costNano, 0n);
        expect(chosen.length).toBeLessThanOrEqual(answersMax);
        if (costMaxNano !== null) expect(cost <= costMaxNano).toBe(true);
        const left = list.filter((one) => !chosen.includes(one));
        const fits = left.filter(({ costNano }) => costMaxNano === null || cost + costNano <= costMaxNano);
        if (chosen.length < answersMax) expect(fits).toEqual([]);
        expect([...chosen].sort(comparePriority)).toEqual(chosen);
      }),
    );
  });
});

describe('harmed clients', () => {
  const amounts = fc.array(fc.bigInt({ min: 0n, max: 10n ** 12n }), { maxLength: 12 });

  test('are paid whole where it suffices, else in proportion, to the last nano and never above what they are owed', () => {
    expect(shareOut(100n, [30n, 60n])).toEqual([30n, 60n]);
    expect(shareOut(45n, [30n, 60n])).toEqual([15n, 30n]);
    expect(shareOut(1n, [1n, 1n, 1n])).toEqual([1n, 0n, 0n]);
    fc.assert(
      fc.property(amounts, fc.bigInt({ min: 0n, max: 10n ** 13n }), (owed, available) => {
        const total = owed.reduce((sum, nano) => sum + nano, 0n);
        const shares = shareOut(available, owed);
        expect(shares.reduce((sum, nano) => sum + nano, 0n)).toBe(available < total ? available : total);
        for (const [i, share] of shares.entries()) {
          expect(share >= 0n && share <= owed[i]!).toBe(true);
          if (available < total) expect(share - (owed[i]! * available) / total <= 1n).toBe(true);
        }
      }),
    );
  });

  test('come after burn and the client of the conviction, before reserve and rewards, and take what lacks out of free stake in turn', () => {
    expect(
      takeInTurn(50n, [
        { account: 'stake:a', freeNano: 30n },
        { account: 'stake:b', freeNano: 90n },
      ]),
    ).toEqual([
      { account: 'stake:a', nano: 30n },
      { account: 'stake:b', nano: 20n },
    ]);
    const end = settleDispute({
      ...UPHELD,
      refundableNano: 300n,
      recoverableNano: 100n,
      harmed: [
        { requestId: 'x', clientOwner: 'c', owedNano: 200n, recoverableNano: 10n },
        { requestId: 'y', clientOwner: 'd', owedNano: 400n, recoverableNano: 10n },
      ],
      freeStakes: [
        { account: 'stake:loser', freeNano: 60n },
        { account: 'stake:other', freeNano: 1_000n },
      ],
    });
    const on = (account: string) => movedOn(end.transfer, account);
    // 1,000 of slash: 200 burnt, 300 to the client itself, 500 of 600 to the harmed; 60 and 40 come out of free stake.
    expect([on('burn'), on('client:c'), on('client:d'), on('reserve')]).toEqual([200n, 500n, 400n, 0n]);
    expect([on('frozen:d'), on('stake:loser'), on('stake:other')]).toEqual([-1_000n, -60n, -40n]);
    expect(end.restitutions).toEqual([
      { requestId: 'x', refundedNano: 200n, recoveredNano: 0n },
      { requestId: 'y', refundedNano: 400n, recoveredNano: 0n },
    ]);
  });

  test('are paid out of free stake alone, that which comes back included, where the conviction itself fell on appeal', () => {
    const end = settleDispute({
      ...UPHELD,
      ruling: 'rejected',
      harmed: [{ requestId: 'x', clientOwner: 'c', owedNano: 1_500n, recoverableNano: 10n }],
      freeStakes: [
        { account: 'stake:loser', freeNano: 60n },
        { account: 'stake:other', freeNano: 100n },
      ],
    });
    expect(end.transfer.postings).toEqual([
      { account: 'client:c', amountNano: 1_160n },
      { account: 'frozen:d', amountNano: -1_000n },
      { account: 'stake:loser', amountNano: -60n },
      { account: 'stake:other', amountNano: -100n },
    ]);
    expect(end.restitutions).toEqual([{ requestId: 'x', refundedNano: 1_160n, recoveredNano: 0n }]);
  });

  test('never cost more than slash and free stake, whatever is owed, and nobody before them gets less for it', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: 10n ** 9n }),
        amounts,
        fc.array(fc.bigInt({ min: 0n, max: 10n ** 9n }), { maxLength: 3 }),
        (frozenNano, owed, free) => {
          const harmed = owed.map((owedNano, i) => {
            return { requestId: `r${i}`, clientOwner: `c${i % 3}`, owedNano, recoverableNano: owedNano / 3n };
          });
          const freeStakes = free.map((freeNano, i) => ({ account: `stake:s${i}`, freeNano }));
          const plain = settleDispute({ ...UPHELD, frozenNano, refundableNano: 50n });
          const end = settleDispute({ ...UPHELD, frozenNano, refundableNano: 50n, harmed, freeStakes });
          expect(end.transfer.postings.reduce((sum, { amountNano }) => sum + amountNano, 0n)).toBe(0n);
          expect(end.refundedNano).toBe(plain.refundedNano);
          for (const { account, amountNano } of end.transfer.postings) {
            const { freeNano } = freeStakes.find((stake) => stake.account === account) ?? { freeNano: frozenNano };
            if (amountNano < 0n) expect(-amountNano <= freeNano).toBe(true);
          }
          expect(end.burntNano >= (frozenNano * 2_000n) / 10_000n).toBe(true);
        },
      ),
    );
  });
});
