/** Budgets of API keys in the database: taken with a request's hold, given back with its close (SPEC.md §Money, "Budgets"). */
import { and, eq, getTableColumns, gte, sql } from 'drizzle-orm';
import { ProtocolError } from '#protocol/errors';
import { MONEY_MAX_NANO } from '../ledger/accounts.ts';
import { type BudgetLimits, type BudgetUse, giveBack, periodStartMs, takeFromBudget } from '../ledger/budget.ts';
import type { Handle, Tx } from './handle.ts';
import { type ApiKey, apiKeyById } from './keys-repo.ts';
import type { RequestRow } from './requests-repo.ts';
import { OPEN_STATES } from './requests-repo.ts';
import { given, reading } from './statement.ts';

export interface KeyBudget extends BudgetLimits, BudgetUse {
  readonly keyId: string;
}

/** The budget of a key, or null where it has none. */
export async function budgetOfKey(handle: Handle, keyId: string): Promise<KeyBudget | null> {
  const [row] = await budgetRow(handle, { keyId });
  return row ?? null;
}

const budgetRow = reading((db, { keyBudgets }) => ({
  query: db
    .select()
    .from(keyBudgets)
    .where(eq(keyBudgets.keyId, given('keyId'))),
  columns: getTableColumns(keyBudgets),
}));

/** A key with its budget, revoked or not; it stands before every accepted request. */
export async function keyWithBudget(
  handle: Handle,
  keyId: string,
): Promise<{ readonly key: ApiKey; readonly budget: KeyBudget | null } | null> {
  const key = await apiKeyById(handle, keyId);
  return key === null ? null : { key, budget: await budgetOfKey(handle, keyId) };
}

/**
 * Sets the budget of a key; what it spent before counts, for keys that had none too. All null takes the budget away.
 * @throws {RangeError} when an amount is out of range, or a period comes without its budget
 */
export async function setKeyBudget(tx: Tx, keyId: string, limits: BudgetLimits, nowMs: number): Promise<void> {
  const { budgetNano, period, periodBudgetNano } = limits;
  for (const nano of [budgetNano, periodBudgetNano]) {
    if (nano !== null && (nano < 0n || nano > MONEY_MAX_NANO)) throw new RangeError('"budget" out of range');
  }
  if ((period === null) !== (periodBudgetNano === null)) throw new RangeError('"period" needs its budget');
  const { keyBudgets } = tx.tables;
  await tx.db.delete(keyBudgets).where(eq(keyBudgets.keyId, keyId));
  if (budgetNano === null && periodBudgetNano === null) return;
  const startMs = periodStartMs(period, nowMs);
  await tx.db.insert(keyBudgets).values({
    keyId,
    budgetNano,
    period,
    periodBudgetNano,
    spentNano: await spentSince(tx, keyId, 0),
    periodStartMs: startMs,
    periodSpentNano: period === null ? 0n : await spentSince(tx, keyId, startMs),
  });
}

/** Charges of the ended and quotes of the running requests of a key that were accepted at `sinceMs` or later. */
export async function spentSince(handle: Handle, keyId: string, sinceMs: number): Promise<bigint> {
  const { requests } = handle.tables;
  const isOpen = sql.raw(`${requests.state.name} in (${OPEN_STATES.map((word) => `'${word}'`).join(', ')})`);
  const [row] = await handle.db
    .select({
      nano: sql<bigint | null>`sum(case when ${isOpen} then ${requests.quoteNano} else ${requests.chargedNano} end)`,
    })
    .from(requests)
    .where(and(eq(requests.keyId, keyId), gte(requests.createdAtMs, sinceMs)));
  return row?.nano ?? 0n;
}

/** Takes a quote out of a key's budget. @throws {ProtocolError} insufficient_quota when the budget does not hold it */
export async function takeBudget(tx: Tx, budget: KeyBudget, quoteNano: bigint, nowMs: number): Promise<void> {
  const taken = takeFromBudget(budget, budget, quoteNano, nowMs);
  if ('exceeded' in taken) {
    const which = taken.exceeded === 'budget' ? 'budget' : `budget of this ${budget.period}`;
    throw new ProtocolError('insufficient_quota', `The request can cost more than is left of the API key's ${which}.`);
  }
  await setUse(tx, budget.keyId, taken.use);
}

/** Gives back what an ending request was quoted above its charge; does nothing for keys without a budget. */
export async function giveBackBudget(tx: Tx, request: RequestRow, chargedNano: bigint): Promise<void> {
  const budget = await budgetOfKey(tx, request.keyId);
  if (budget === null) return;
  const { spentNano, periodStartMs: startMs, periodSpentNano } = budget;
  const use = giveBack(
    budget,
    { spentNano, periodStartMs: startMs, periodSpentNano },
    request.quoteNano - chargedNano,
    request.createdAtMs,
  );
  await setUse(tx, request.keyId, use);
}

async function setUse(tx: Tx, keyId: string, use: BudgetUse): Promise<void> {
  const { keyBudgets } = tx.tables;
  await tx.db.update(keyBudgets).set(use).where(eq(keyBudgets.keyId, keyId));
}
