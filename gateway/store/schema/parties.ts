/** Who takes part: API keys, providers, and the epochs and draws that seat them. */
import type { Columns } from '../columns-sqlite.ts';
import { atLeastZero, condition, moneyRange, oneOf } from './checks.ts';
import { BUDGET_PERIOD_WORDS, DRAW_STATES, PROVIDER_ROLES, PROVIDER_STATUSES } from './words.ts';

/** Tables of parties and draws. */
export function partyTables(c: Columns) {
  const apiKeys = c.table(
    'api_keys',
    {
      keyId: c.text('key_id').primaryKey(),
      /** sha256 of the key: the key itself is shown once and stored nowhere. */
      keyHash: c.text('key_hash').notNull(),
      label: c.text('label').notNull(),
      /** The ledger account that this key spends from; several keys may share one. */
      account: c.text('account').notNull(),
      policyJson: c.text('policy_json'),
      /** Rates and concurrency; null leaves a limit to the gateway's default. */
      requestsPerMinute: c.int('requests_per_minute'),
      tokensPerMinute: c.int('tokens_per_minute'),
      createdAtMs: c.int('created_at_ms').notNull(),
      revokedAtMs: c.int('revoked_at_ms'),
      concurrentRequests: c.int('concurrent_requests'),
    },
    (t) => [
      c.uniqueIndex('api_keys_hash').on(t.keyHash),
      c.check('api_keys_limits', atLeastZero('coalesce(requests_per_minute, 0)', 'coalesce(tokens_per_minute, 0)')),
    ],
  );

  /** What a key may spend and what counts against it; keys without a budget have no row, and cost no write. */
  const keyBudgets = c.table(
    'key_budgets',
    {
      keyId: c
        .text('key_id')
        .primaryKey()
        .references(() => apiKeys.keyId),
      budgetNano: c.nano('budget_nano'),
      period: c.text('period', { enum: BUDGET_PERIOD_WORDS }),
      periodBudgetNano: c.nano('period_budget_nano'),
      spentNano: c.nano('spent_nano').notNull(),
      periodStartMs: c.int('period_start_ms').notNull(),
      periodSpentNano: c.nano('period_spent_nano').notNull(),
    },
    () => [
      c.check('key_budgets_period_word', oneOf('period', BUDGET_PERIOD_WORDS)),
      c.check('key_budgets_pair', condition('(period is null) = (period_budget_nano is null)')),
      c.check('key_budgets_some', condition('budget_nano is not null or period_budget_nano is not null')),
      c.check(
        'key_budgets_money',
        moneyRange('coalesce(budget_nano, 0)', 'coalesce(period_budget_nano, 0)', 'spent_nano', 'period_spent_nano'),
      ),
    ],
  );

  const providers = c.table(
    'providers',
    {
      address: c.text('address').primaryKey(),
      operator: c.text('operator').notNull(),
      url: c.text('url').notNull(),
      role: c.text('role', { enum: PROVIDER_ROLES }).notNull(),
      modelsJson: c.text('models_json').notNull(),
      region: c.text('region').notNull(),
      numericClass: c.text('numeric_class').notNull(),
      status: c.text('status', { enum: PROVIDER_STATUSES }).notNull(),
      manifestJson: c.text('manifest_json').notNull(),
      updatedAtMs: c.int('updated_at_ms').notNull(),
    },
    () => [
      c.check('providers_role', oneOf('role', PROVIDER_ROLES)),
      c.check('providers_status', oneOf('status', PROVIDER_STATUSES)),
    ],
  );

  const epochs = c.table(
    'epochs',
    {
      epoch: c.int('epoch').primaryKey(),
      startedAtMs: c.int('started_at_ms').notNull(),
      drawRoot: c.text('draw_root').notNull(),
      drawSize: c.int('draw_size').notNull(),
      snapshotHash: c.text('snapshot_hash').notNull(),
      snapshotJson: c.text('snapshot_json').notNull(),
      /** The secret that the draw keys come from, sealed by the caller: a copy of the database opens no future draw. */
      sealedSeed: c.text('sealed_seed').notNull(),
      logIndex: c.int('log_index').notNull(),
    },
    () => [c.check('epochs_counts', atLeastZero('epoch', 'draw_size', 'log_index'))],
  );

  const draws = c.table(
    'draws',
    {
      epoch: c
        .int('epoch')
        .notNull()
        .references(() => epochs.epoch),
      drawIndex: c.int('draw_index').notNull(),
      requestId: c.text('request_id').notNull(),
      state: c.text('state', { enum: DRAW_STATES }).notNull(),
    },
    (t) => [
      c.primaryKey({ columns: [t.epoch, t.drawIndex] }),
      c.uniqueIndex('draws_request').on(t.requestId),
      c.check('draws_state', oneOf('state', DRAW_STATES)),
      c.check('draws_index', atLeastZero('draw_index')),
    ],
  );

  return { apiKeys, keyBudgets, providers, epochs, draws };
}

export type PartyTables = ReturnType<typeof partyTables>;
