/** `/admin/keys`: API keys of clients, their limits, default policies and funds. */
import { z } from 'zod';
import { policyText } from '#protocol/policy';
import { policyCanonicalJson, policyJsonSchema, policyOfJson } from '#protocol/policy-json';
import { zHash } from '#protocol/schema';
import type { GatewayApp } from '../http/context.ts';
import { hashApiKey, keyIdOf, newApiKey } from '../keys.ts';
import { clientAccount } from '../ledger/accounts.ts';
import { BUDGET_PERIODS } from '../ledger/budget.ts';
import { grantKey } from '../store/grants.ts';
import type { Handle, Tx } from '../store/handle.ts';
import { keyWithBudget, setKeyBudget } from '../store/key-budgets-repo.ts';
import { apiKeyById, listApiKeys, revokeApiKey, setKeyLabel, setKeyPolicy, setKeyRates } from '../store/keys-repo.ts';
import { balanceNano } from '../store/ledger-repo.ts';
import { listOf, noSuch, parseBody, parsePolicy, zAmountNano, zLabel, zPolicyText } from './admin-body.ts';
import { type AdminDeps, audit } from './admin-deps.ts';

/** Requests and tokens of a minute, requests at a time; null leaves a limit to the gateway's default. */
const zRate = z.number().int().min(0).max(1_000_000_000).nullable();
const zBudget = z
  .strictObject({
    total_nano: zAmountNano.nullable().default(null),
    period: z.enum(BUDGET_PERIODS).nullable().default(null),
    period_nano: zAmountNano.nullable().default(null),
  })
  .refine(({ period, period_nano: amount }) => (period === null) === (amount === null), 'a period needs its amount');
const change = {
  requests_per_minute: zRate.optional(),
  tokens_per_minute: zRate.optional(),
  concurrent_requests: zRate.optional(),
  /** Null takes the budget away. */
  budget: zBudget.nullable().optional(),
  policy: zPolicyText.nullable().optional(),
};
const zNewKey = z.strictObject({
  label: zLabel.default('admin'),
  /** SHA-256 of a key that the caller made and keeps: then the key itself never travels, and a repeat changes nothing. */
  key_hash: zHash.optional(),
  funds_nano: zAmountNano.default(0n),
  ...change,
});
const zChange = z.strictObject({ label: zLabel.optional(), ...change });

export function mountKeys(app: GatewayApp, deps: AdminDeps): void {
  const { store, clock } = deps;
  const show = async (keyId: string) => {
    const view = await store.read((handle) => keyView(handle, keyId));
    if (view === null) throw noSuch('key');
    return view;
  };
  app.get('/admin/keys', async (c) => {
    const data = await store.read(async (handle) => {
      const views = [];
      for (const { keyId } of await listApiKeys(handle)) views.push(await keyView(handle, keyId));
      return views;
    });
    return c.json(listOf(data));
  });
  app.get('/admin/keys/:id', async (c) => c.json(await show(c.req.param('id'))));
  app.post('/admin/keys', async (c) => {
    const { label, key_hash: given, funds_nano: fundsNano, ...asked } = await parseBody(c, zNewKey);
    const apiKey = given === undefined ? newApiKey(deps.rng) : null;
    const keyHash = given ?? hashApiKey(apiKey!);
    const keyId = keyIdOf(keyHash);
    const changed = parseChange(asked);
    const isNew = await store.withTx(async (tx) => {
      // A revoked key does not come back by being made again: whoever it leaked to has it still.
      if ((await apiKeyById(tx, keyId)) !== null) return false;
      await grantKey(tx, { keyId, keyHash, label, fundsNano, policy: null }, clock.nowMs());
      await applyChange(tx, keyId, changed, clock.nowMs());
      return true;
    });
    if (isNew) audit(deps, c, 'admin_key_created', { keyId, amountNano: fundsNano });
    const view = await show(keyId);
    return c.json(apiKey === null ? view : { ...view, key: apiKey }, isNew ? 201 : 200);
  });
  app.patch('/admin/keys/:id', async (c) => {
    const keyId = c.req.param('id');
    const { label, ...asked } = await parseBody(c, zChange);
    const changed = parseChange(asked);
    await store.withTx(async (tx) => {
      if ((await apiKeyById(tx, keyId)) === null) throw noSuch('key');
      if (label !== undefined) await setKeyLabel(tx, keyId, label);
      await applyChange(tx, keyId, changed, clock.nowMs());
    });
    audit(deps, c, 'admin_key_changed', { keyId });
    return c.json(await show(keyId));
  });
  app.post('/admin/keys/:id/revoke', async (c) => {
    const keyId = c.req.param('id');
    const isNew = await store.withTx((tx) => revokeApiKey(tx, keyId, clock.nowMs()));
    if (isNew) audit(deps, c, 'admin_key_revoked', { keyId });
    return c.json(await show(keyId));
  });
}

type Asked = Omit<z.output<typeof zChange>, 'label'>;

interface Change extends Omit<Asked, 'policy'> {
  /** Absent: stays as it is; null: the gateway's default. */
  readonly policyJson?: string | null;
}

/** @throws {ProtocolError} invalid_policy */
function parseChange({ policy, ...rest }: Asked): Change {
  if (policy === undefined) return rest;
  return { ...rest, policyJson: policy === null ? null : policyCanonicalJson(parsePolicy(policy)) };
}

async function applyChange(tx: Tx, keyId: string, change: Change, nowMs: number): Promise<void> {
  const key = (await apiKeyById(tx, keyId))!;
  await setKeyRates(tx, keyId, {
    requestsPerMinute: change.requests_per_minute === undefined ? key.requestsPerMinute : change.requests_per_minute,
    tokensPerMinute: change.tokens_per_minute === undefined ? key.tokensPerMinute : change.tokens_per_minute,
    concurrentRequests: change.concurrent_requests === undefined ? key.concurrentRequests : change.concurrent_requests,
  });
  if (change.policyJson !== undefined) await setKeyPolicy(tx, keyId, change.policyJson);
  if (change.budget === undefined) return;
  const { total_nano: budgetNano, period, period_nano: periodBudgetNano } = change.budget ?? NO_BUDGET;
  await setKeyBudget(tx, keyId, { budgetNano, period, periodBudgetNano }, nowMs);
}

const NO_BUDGET = { total_nano: null, period: null, period_nano: null };

async function keyView(handle: Handle, keyId: string) {
  const found = await keyWithBudget(handle, keyId);
  if (found === null) return null;
  const { key, budget } = found;
  const policy = key.policyJson === null ? null : policyOfJson(policyJsonSchema.parse(JSON.parse(key.policyJson)));
  return {
    id: key.keyId,
    object: 'api_key',
    label: key.label,
    account: clientAccount(key.account),
    balance_nano: (await balanceNano(handle, clientAccount(key.account))).toString(),
    policy: policy && policyText(policy),
    requests_per_minute: key.requestsPerMinute,
    tokens_per_minute: key.tokensPerMinute,
    concurrent_requests: key.concurrentRequests,
    budget: budget && {
      total_nano: budget.budgetNano?.toString() ?? null,
      period: budget.period,
      period_nano: budget.periodBudgetNano?.toString() ?? null,
      spent_nano: budget.spentNano.toString(),
      period_spent_nano: budget.periodSpentNano.toString(),
    },
    created_at_ms: key.createdAtMs,
    revoked_at_ms: key.revokedAtMs,
  };
}
