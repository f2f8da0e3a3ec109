/** `/admin/providers`, `/admin/applications`: who takes part, and who is kept out for which reason. */
import { z } from 'zod';
import { ProtocolError } from '#protocol/errors';
import type { Address } from '#protocol/hash';
import { zHash } from '#protocol/schema';
import type { Excluded } from '../committee/exclusions.ts';
import type { GatewayApp } from '../http/context.ts';
import { earningsAccount } from '../ledger/accounts.ts';
import {
  applicationOf,
  decideApplication,
  listApplications,
  listExclusions,
  putAdmission,
} from '../store/admissions-repo.ts';
import { balanceNano, bondOf, countedStakeNano } from '../store/ledger-repo.ts';
import { listProviders } from '../store/providers-repo.ts';
import { listOf, noSuch, parseBody, parseValue, providerOf, zAmountNano, zUrl, zWord } from './admin-body.ts';
import { type AdminDeps, audit } from './admin-deps.ts';
import { admitProvider } from './admit-provider.ts';

const LIST_MAX = 100;
const zAdmission = z.strictObject({
  url: zUrl,
  role: z.enum(['member', 'referee']).default('member'),
  stake_nano: zAmountNano.optional(),
});
const zQuarantine = z.strictObject({ reason: zWord, evidence: zHash.optional() });
const zReason = z.strictObject({ reason: zWord });
const zApproval = z.strictObject({ stake_nano: zAmountNano.optional() });
const zState = z.enum(['pending', 'admitted', 'refused']).optional();

export function mountProviders(app: GatewayApp, deps: AdminDeps): void {
  const { store, exclusions } = deps;
  app.get('/admin/providers', async (c) => c.json(listOf(await providerViews(deps))));
  app.post('/admin/providers', async (c) => {
    const { url, role, stake_nano: stake } = await parseBody(c, zAdmission);
    const address = await admitProvider(deps, { url, role, stakeNano: stake ?? deps.stakeNano });
    await store.withTx((tx) => putAdmission(tx, { url, role, atMs: deps.clock.nowMs() }));
    audit(deps, c, 'admin_provider_admitted', { provider: address, url, reason: role });
    return c.json(await viewOf(deps, address), 201);
  });
  app.post('/admin/providers/:address/remove', async (c) => {
    const provider = providerOf(c);
    const done = excluded(await exclusions.remove(provider));
    // Whoever is drawn from now on is drawn from a registry without it; what is drawn already cites the entry.
    deps.epochs.renew();
    if (done.isNew) audit(deps, c, 'admin_provider_removed', { provider, logIndex: done.logIndex });
    return c.json(await viewOf(deps, provider));
  });
  app.put('/admin/providers/:address/quarantine', async (c) => {
    const provider = providerOf(c);
    const { reason, evidence } = await parseBody(c, zQuarantine);
    const done = excluded(await exclusions.quarantine(provider, reason, evidence ?? null));
    if (done.isNew) audit(deps, c, 'admin_quarantined', { provider, reason, logIndex: done.logIndex });
    return c.json(await viewOf(deps, provider));
  });
  app.delete('/admin/providers/:address/quarantine', async (c) => {
    const provider = providerOf(c);
    const { reason } = await parseBody(c, zReason);
    const done = excluded(await exclusions.lift(provider, reason));
    if (done.isNew) audit(deps, c, 'admin_quarantine_lifted', { provider, reason, logIndex: done.logIndex });
    return c.json(await viewOf(deps, provider));
  });
}

export function mountApplications(app: GatewayApp, deps: AdminDeps): void {
  const { store, clock } = deps;
  app.get('/admin/applications', async (c) => {
    const state = parseValue(zState, c.req.query('state'));
    const rows = await store.read((handle) =>
      listApplications(handle, { ...(state ? { state } : {}), limit: LIST_MAX }),
    );
    return c.json(listOf(rows.map(applicationView)));
  });
  app.post('/admin/applications/:address/approve', async (c) => {
    const provider = providerOf(c);
    const { stake_nano: stake } = await parseBody(c, zApproval);
    const application = await store.read((handle) => applicationOf(handle, provider));
    if (application === null) throw noSuch('application');
    const { url } = application;
    const address = await admitProvider(deps, {
      url,
      role: 'member',
      stakeNano: stake ?? deps.stakeNano,
      expected: provider,
    });
    const atMs = clock.nowMs();
    await store.withTx(async (tx) => {
      await putAdmission(tx, { url, role: 'member', atMs });
      await decideApplication(tx, provider, 'admitted', atMs);
    });
    audit(deps, c, 'admin_application_approved', { provider: address, url });
    return c.json(await viewOf(deps, address));
  });
  app.post('/admin/applications/:address/refuse', async (c) => {
    const provider = providerOf(c);
    const decided = await store.withTx((tx) => decideApplication(tx, provider, 'refused', clock.nowMs()));
    if (!decided) throw noSuch('application');
    audit(deps, c, 'admin_application_refused', { provider });
    const row = await store.read((handle) => applicationOf(handle, provider));
    return c.json(applicationView(row!));
  });
}

function excluded(done: Excluded): { isNew: boolean; logIndex: number } {
  if (done.outcome === 'unknown_provider') throw noSuch('provider');
  return { isNew: done.outcome === 'done', logIndex: done.logIndex };
}

async function providerViews({ store }: AdminDeps) {
  return store.read(async (handle) => {
    const exclusions = new Map((await listExclusions(handle)).map((row) => [row.provider, row]));
    const rows = await listProviders(handle);
    return Promise.all(
      rows.map(async (row) => {
        const bond = await bondOf(handle, row.address);
        const exclusion = exclusions.get(row.address);
        return {
          id: row.address,
          object: 'provider',
          operator: row.operator,
          url: row.url,
          role: row.role,
          region: row.region,
          numeric_class: row.numericClass,
          status: row.status,
          excluded: exclusion
            ? { reason: exclusion.reason, log_index: exclusion.logIndex, at_ms: exclusion.atMs }
            : null,
          stake_nano: (await countedStakeNano(handle, row.address)).toString(),
          frozen_nano: bond.frozenNano.toString(),
          earnings_nano: (await balanceNano(handle, earningsAccount(row.address))).toString(),
          updated_at_ms: row.updatedAtMs,
        };
      }),
    );
  });
}

async function viewOf(deps: AdminDeps, address: Address) {
  const view = (await providerViews(deps)).find(({ id }) => id === address);
  if (view === undefined) throw new ProtocolError('not_found', 'There is no such provider.');
  return view;
}

function applicationView(row: NonNullable<Awaited<ReturnType<typeof applicationOf>>>) {
  return {
    id: row.provider,
    object: 'provider_application',
    url: row.url,
    operator: row.operator,
    state: row.state,
    at_ms: row.atMs,
    decided_at_ms: row.decidedAtMs,
  };
}
