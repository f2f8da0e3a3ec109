/** Budgets of API keys: the pure rule, and what the store makes of it over accepted, ended and lost requests. */
import fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';
import {
  BUDGET_PERIODS,
  type BudgetLimits,
  giveBack,
  periodEndMs,
  periodStartMs,
  takeFromBudget,
} from '../../gateway/ledger/budget.ts';
import { acceptRequest } from '../../gateway/store/accept-request.ts';
import { failRequest } from '../../gateway/store/close-request.ts';
import type { Store } from '../../gateway/store/handle.ts';
import { budgetOfKey, setKeyBudget, spentSince } from '../../gateway/store/key-budgets-repo.ts';
import { recover } from '../../gateway/store/recover.ts';
import { BUDGET_PERIOD_WORDS } from '../../gateway/store/schema/words.ts';
import { leafOf, newRequest, storeOfEachTest } from './store-fixture.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const NONE: BudgetLimits = { budgetNano: null, period: null, periodBudgetNano: null };

const own = storeOfEachTest();
let store: Store;
beforeEach(() => {
  ({ store } = own);
});

const budget = () => store.read((handle) => budgetOfKey(handle, 'key1'));
const set = (limits: Partial<BudgetLimits>, nowMs = 0) =>
  store.withTx((tx) => setKeyBudget(tx, 'key1', { ...NONE, ...limits }, nowMs));
const accept = (requestId: string, quoteNano: bigint, nowMs = 1_000) =>
  store.withTx((tx) => acceptRequest(tx, newRequest(requestId, { quoteNano, nowMs })));
const fail = (requestId: string, nowMs = 2_000) =>
  store.withTx((tx) =>
    failRequest(tx, {
      requestId,
      verdict: 'failed',
      standings: new Map(),
      errorCode: 'internal_error',
      nowMs,
      leaf: () => leafOf('aborted'),
    }),
  );

test('the words of the database are those of the rule', () => {
  expect(BUDGET_PERIOD_WORDS).toEqual(BUDGET_PERIODS);
});

test('periods are those of the UTC calendar', () => {
  const at = Date.UTC(2028, 1, 29, 23, 59, 59, 999);
  expect(periodStartMs('hour', at)).toBe(Date.UTC(2028, 1, 29, 23));
  expect(periodStartMs('day', at)).toBe(Date.UTC(2028, 1, 29));
  expect(periodStartMs('month', at)).toBe(Date.UTC(2028, 1, 1));
  expect(periodEndMs('month', at)).toBe(Date.UTC(2028, 2, 1));
  expect(periodEndMs('month', Date.UTC(2028, 11, 31))).toBe(Date.UTC(2029, 0, 1));
  for (const period of BUDGET_PERIODS) expect(periodEndMs(period, at)).toBe(at + 1);
});

test('whatever is taken and given back, no budget is ever exceeded, and each period counts what was taken in it', () => {
  const step = fc.record({
    afterMs: fc.integer({ min: 0, max: 2 * HOUR_MS }),
    quote: fc.bigInt({ min: 0n, max: 60n }),
    chargedShare: fc.integer({ min: 0, max: 4 }),
    endsAfter: fc.integer({ min: 0, max: 5 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const limits: BudgetLimits = { budgetNano: 500n, period: 'hour', periodBudgetNano: 100n };
      let use = { spentNano: 0n, periodStartMs: 0, periodSpentNano: 0n };
      let nowMs = 0;
      const open: { quote: bigint; charged: bigint; atMs: number; endsAt: number }[] = [];
      const counted: { nano: bigint; atMs: number }[] = [];
      for (const [i, { afterMs, quote, chargedShare, endsAfter }] of steps.entries()) {
        nowMs += afterMs;
        for (const request of open.filter(({ endsAt }) => endsAt <= i)) {
          use = giveBack(limits, use, request.quote - request.charged, request.atMs);
          open.splice(open.indexOf(request), 1);
          counted.push({ nano: request.charged, atMs: request.atMs });
        }
        const taken = takeFromBudget(limits, use, quote, nowMs);
        const all = () => [...counted, ...open.map((request) => ({ nano: request.quote, atMs: request.atMs }))];
        const sum = (rows: { nano: bigint }[]) => rows.reduce((total, { nano }) => total + nano, 0n);
        const start = periodStartMs('hour', nowMs);
        const before = { all: sum(all()), period: sum(all().filter(({ atMs }) => atMs >= start)) };
        const fits = before.all + quote <= 500n && before.period + quote <= 100n;
        expect('use' in taken).toBe(fits);
        if (!('use' in taken)) continue;
        use = taken.use;
        open.push({ quote, charged: (quote * BigInt(chargedShare)) / 4n, atMs: nowMs, endsAt: i + endsAfter });
        expect(use.spentNano).toBe(before.all + quote);
        expect(use.periodSpentNano).toBe(before.period + quote);
      }
    }),
  );
});

test('a clock that was set back opens no fresh period', () => {
  const limits: BudgetLimits = { budgetNano: null, period: 'hour', periodBudgetNano: 10n };
  const use = { spentNano: 10n, periodStartMs: 5 * HOUR_MS, periodSpentNano: 10n };
  expect(takeFromBudget(limits, use, 1n, HOUR_MS)).toEqual({ exceeded: 'period' });
  expect(takeFromBudget(limits, use, 1n, 6 * HOUR_MS)).toMatchObject({ use: { periodSpentNano: 1n } });
});

test('a quote above what is left is insufficient_quota, and holds nothing', async () => {
  await set({ budgetNano: 5_000n });
  await accept('r1', 3_000n);
  await expect(accept('r2', 3_000n)).rejects.toMatchObject({ code: 'insufficient_quota' });
  expect(await budget()).toMatchObject({ spentNano: 3_000n });
  await fail('r1');
  expect(await budget()).toMatchObject({ spentNano: 0n });
  await accept('r3', 5_000n);
});

test('a period budget begins anew with the next period, and survives a restart', async () => {
  await set({ period: 'day', periodBudgetNano: 4_000n });
  await accept('r1', 3_000n, DAY_MS + 1);
  store = await own.reopen();
  await expect(accept('r2', 3_000n, DAY_MS + 2)).rejects.toMatchObject({
    code: 'insufficient_quota',
    message: expect.stringContaining('day'),
  });
  await accept('r3', 3_000n, 2 * DAY_MS);
  // What the first day's request gives back is not the second day's.
  await fail('r1', 2 * DAY_MS + 1);
  expect(await budget()).toMatchObject({ periodSpentNano: 3_000n, spentNano: 3_000n });
});

test('recovery gives back what lost requests had taken', async () => {
  await set({ budgetNano: 5_000n });
  await accept('r1', 3_000n);
  await store.withTx((tx) => recover(tx, 2_000, () => leafOf('aborted')));
  expect(await budget()).toMatchObject({ spentNano: 0n });
});

test('a budget that is set later counts what was spent and is held already', async () => {
  await accept('r1', 3_000n, 1_000);
  await accept('r2', 2_000n, DAY_MS);
  await fail('r1');
  await set({ budgetNano: 6_000n, period: 'day', periodBudgetNano: 6_000n }, DAY_MS);
  expect(await budget()).toMatchObject({ spentNano: 2_000n, periodSpentNano: 2_000n });
  expect(await store.read((handle) => spentSince(handle, 'key1', DAY_MS + 1))).toBe(0n);
  await set({}, DAY_MS);
  expect(await budget()).toBeNull();
});

test('amounts out of range and periods without a budget are refused', async () => {
  await expect(set({ budgetNano: -1n })).rejects.toThrow(RangeError);
  await expect(set({ budgetNano: 2n ** 62n })).rejects.toThrow(RangeError);
  await expect(set({ period: 'day' })).rejects.toThrow(RangeError);
});
