/** `/admin/policy`, `/admin/epochs`, `/admin/signing-keys`, `/admin/disputes`. */
import { z } from 'zod';
import { ProtocolError } from '#protocol/errors';
import type { Address } from '#protocol/hash';
import { policyText } from '#protocol/policy';
import { zAddress } from '#protocol/schema';
import type { GatewayApp } from '../http/context.ts';
import { listDisputes } from '../store/disputes-repo.ts';
import { drawsLeft, listEpochs } from '../store/epochs-repo.ts';
import { listProviders } from '../store/providers-repo.ts';
import { DISPUTE_STATES } from '../store/schema/words.ts';
import { listOf, parseBody, parsePolicy, parseValue, zPolicyText } from './admin-body.ts';
import { type AdminDeps, audit } from './admin-deps.ts';

const LIST_MAX = 100;
const zPolicy = z.strictObject({ policy: zPolicyText });
/** The newest epoch that the caller has seen: a repeat, or two operators at once, begin one epoch and not two. */
const zNextEpoch = z.strictObject({ after: z.number().int().min(0).max(0xffffffff) });
const zActivation = z.strictObject({ force: z.boolean().default(false) });
const zDisputes = z.object({
  state: z.enum(DISPUTE_STATES).optional(),
  provider: zAddress.optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(LIST_MAX),
});

export function mountPolicy(app: GatewayApp, deps: AdminDeps): void {
  const { policy, clock } = deps;
  const view = () => ({
    object: 'policy',
    policy: policyText(policy.current),
    configured: policyText(deps.policyConfigured),
    set: policy.isSet,
  });
  app.get('/admin/policy', (c) => c.json(view()));
  app.put('/admin/policy', async (c) => {
    const asked = parsePolicy((await parseBody(c, zPolicy)).policy);
    await policy.set(asked, clock.nowMs());
    audit(deps, c, 'admin_policy_set', { mode: asked.mode, seats: asked.n });
    return c.json(view());
  });
  app.delete('/admin/policy', async (c) => {
    await policy.set(null, clock.nowMs());
    audit(deps, c, 'admin_policy_reset', { mode: policy.current.mode, seats: policy.current.n });
    return c.json(view());
  });
}

export function mountEpochs(app: GatewayApp, deps: AdminDeps): void {
  const list = () =>
    deps.store.read(async (handle) => {
      const rows = await listEpochs(handle, LIST_MAX);
      return Promise.all(
        rows.map(async (row) => ({
          id: row.epoch,
          object: 'epoch',
          started_at_ms: row.startedAtMs,
          draw_root: row.drawRoot,
          draw_size: row.drawSize,
          draws_left: await drawsLeft(handle, row),
          snapshot_hash: row.snapshotHash,
          log_index: row.logIndex,
        })),
      );
    });
  app.get('/admin/epochs', async (c) => c.json(listOf(await list())));
  app.post('/admin/epochs', async (c) => {
    const { after } = await parseBody(c, zNextEpoch);
    const { epoch, isNew } = await deps.epochs.begin(after);
    if (isNew) audit(deps, c, 'admin_epoch_begun', { epoch, logIndex: (await deps.epochs.byNumber(epoch))?.logIndex });
    return c.json(
      (await list()).find(({ id }) => id === epoch),
      isNew ? 201 : 200,
    );
  });
}

export function mountSigningKeys(app: GatewayApp, deps: AdminDeps): void {
  const { signingKeys, store, announcer } = deps;
  const view = async (untold: readonly Address[] = []) => {
    const data = (await signingKeys.list()).map((key) => ({
      id: key.keyId,
      object: 'signing_key',
      address: key.address,
      state: key.state,
      log_index: key.logIndex,
      created_at_ms: key.createdAtMs,
      activated_at_ms: key.activatedAtMs,
    }));
    return { ...listOf(data), untold_providers: untold };
  };
  const tell = async (keyId: string) => {
    const chain = await signingKeys.chain();
    const at = (await signingKeys.list()).findIndex((known) => known.keyId === keyId);
    if (at < 0) throw new ProtocolError('not_found', 'There is no such signing key.');
    // Nobody vouches for the first: providers know it from their configuration.
    if (at === 0) return [];
    const listeners = (await store.read(listProviders)).filter(({ status }) => status !== 'left');
    return announcer.tell(listeners, { previous: chain[at - 1]!, next: chain[at]! }, deps.stopping);
  };
  app.get('/admin/signing-keys', async (c) => c.json(await view()));
  app.post('/admin/signing-keys', async (c) => {
    const { keyId, logIndex } = await signingKeys.announce();
    const untold = await tell(keyId);
    audit(deps, c, 'admin_signing_key_announced', { keyId, logIndex, count: untold.length });
    return c.json(await view(untold), 201);
  });
  app.post('/admin/signing-keys/:id/activate', async (c) => {
    const keyId = c.req.param('id');
    const { force } = await parseBody(c, zActivation);
    const key = (await signingKeys.list()).find((known) => known.keyId === keyId);
    const untold = await tell(keyId);
    // Told once more, for providers that were away when it happened.
    if (key?.state === 'active') return c.json(await view(untold));
    if (untold.length > 0 && !force) {
      // They would refuse every ticket that the new key signs.
      const message = `${untold.length} providers do not know the key yet: ${untold.slice(0, 10).join(', ')}.`;
      throw new ProtocolError('invalid_request', message, { param: 'force', details: { count: untold.length } });
    }
    await signingKeys.activate(keyId);
    audit(deps, c, 'admin_signing_key_activated', { keyId, count: untold.length });
    return c.json(await view(untold));
  });
}

export function mountDisputes(app: GatewayApp, deps: AdminDeps): void {
  app.get('/admin/disputes', async (c) => {
    const { state, provider, limit } = parseValue(zDisputes, c.req.query());
    const filter = { ...(state ? { state } : {}), ...(provider ? { provider } : {}), limit };
    const rows = await deps.store.read((handle) => listDisputes(handle, filter));
    const data = rows.map((row) => ({
      id: row.disputeId,
      object: 'dispute',
      request_id: row.requestId,
      provider: row.provider,
      fault: row.fault,
      state: row.state,
      ruling: row.ruling,
      frozen_nano: row.frozenNano.toString(),
      withheld_nano: (row.withheldClientNano + row.withheldReserveNano).toString(),
      opened_at_ms: row.openedAtMs,
      appeal_until_ms: row.appealUntilMs,
      settled_at_ms: row.settledAtMs,
    }));
    return c.json(listOf(data));
  });
}
