/** Budgets of API keys: what a key may spend in its whole life, and in each period of the calendar (SPEC.md §Money, "Budgets"). Pure. */

/** Calendar periods in UTC, so that everybody can tell when one begins. */
export const BUDGET_PERIODS = ['hour', 'day', 'month'] as const;
export type BudgetPeriod = (typeof BUDGET_PERIODS)[number];

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** What a key may spend; null is no limit. Amounts in nano-units, 0 to 2^62 − 1. */
export interface BudgetLimits {
  readonly budgetNano: bigint | null;
  /** Both or neither: what may be spent in each such period. */
  readonly period: BudgetPeriod | null;
  readonly periodBudgetNano: bigint | null;
}

/** What counts against the limits: the charges of ended requests and the whole quotes of running ones. */
export interface BudgetUse {
  readonly spentNano: bigint;
  /** Start of the period that `periodSpentNano` is about. */
  readonly periodStartMs: number;
  readonly periodSpentNano: bigint;
}

/** When the period that `atMs` lies in began, in milliseconds since 1970; 0 for keys without one. */
export function periodStartMs(period: BudgetPeriod | null, atMs: number): number {
  if (period === null) return 0;
  if (period === 'hour') return atMs - (atMs % HOUR_MS);
  if (period === 'day') return atMs - (atMs % DAY_MS);
  const date = new Date(atMs);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth());
}

/** When the next period begins. */
export function periodEndMs(period: BudgetPeriod, atMs: number): number {
  if (period === 'hour') return periodStartMs(period, atMs) + HOUR_MS;
  if (period === 'day') return periodStartMs(period, atMs) + DAY_MS;
  const date = new Date(atMs);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1);
}

/**
 * Takes a quote out of the budget.
 * @param quoteNano the most that the request can cost, 0 or more
 * @returns the use with the quote in it, or which budget does not hold it
 */
export function takeFromBudget(
  limits: BudgetLimits,
  use: BudgetUse,
  quoteNano: bigint,
  nowMs: number,
): { readonly use: BudgetUse } | { readonly exceeded: 'budget' | 'period' } {
  const startMs = periodStartMs(limits.period, nowMs);
  // A clock that was set back must not open a new period with nothing spent: the later period goes on.
  const isNew = startMs > use.periodStartMs;
  const spentNano = use.spentNano + quoteNano;
  const periodSpentNano = (isNew ? 0n : use.periodSpentNano) + quoteNano;
  if (limits.budgetNano !== null && spentNano > limits.budgetNano) return { exceeded: 'budget' };
  if (limits.periodBudgetNano !== null && periodSpentNano > limits.periodBudgetNano) return { exceeded: 'period' };
  return { use: { spentNano, periodStartMs: isNew ? startMs : use.periodStartMs, periodSpentNano } };
}

/**
 * Gives back what a request was quoted above its charge, to the period in which it was taken.
 * @param unspentNano quote less charge, 0 or more
 * @param takenAtMs when the request was accepted
 */
export function giveBack(
  limits: Pick<BudgetLimits, 'period'>,
  use: BudgetUse,
  unspentNano: bigint,
  takenAtMs: number,
): BudgetUse {
  // What was taken in an earlier period is in that period's count, which is gone.
  const isPresent = limits.period !== null && periodStartMs(limits.period, takenAtMs) >= use.periodStartMs;
  const periodSpentNano = use.periodSpentNano - (isPresent ? unspentNano : 0n);
  return {
    ...use,
    spentNano: atLeastZero(use.spentNano - unspentNano),
    periodSpentNano: atLeastZero(periodSpentNano),
  };
}

function atLeastZero(nano: bigint): bigint {
  return nano < 0n ? 0n : nano;
}
