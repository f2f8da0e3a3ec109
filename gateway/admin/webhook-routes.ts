/** `/admin/keys/{id}/webhook`: where the events of a key are sent (SPEC.md §10.6). */
import { z } from 'zod';
import { ProtocolError } from '#protocol/errors';
import { utf8 } from '#protocol/hash';
import { webhookSecret } from '#protocol/webhook';
import { webhookUrl } from '../events/webhook-url.ts';
import type { GatewayApp } from '../http/context.ts';
import { deliveryCounts, putWebhook, removeWebhook, webhookOf } from '../store/events-repo.ts';
import { apiKeyById } from '../store/keys-repo.ts';
import { noSuch, parseBody } from './admin-body.ts';
import { type AdminDeps, audit } from './admin-deps.ts';

/** 256 bits. */
const SECRET_BYTES = 32;
const zWebhook = z.strictObject({ url: z.string().min(1).max(2048) });

export function mountWebhooks(app: GatewayApp, deps: AdminDeps): void {
  const { store, clock, rng, box } = deps;
  const path = '/admin/keys/:id/webhook';
  const show = (keyId: string) =>
    store.read(async (handle) => {
      const hook = await webhookOf(handle, keyId);
      if (hook === null) throw noSuch('webhook');
      const { url, createdAtMs, stoppedAtMs } = hook;
      const deliveries = await deliveryCounts(handle, keyId);
      const times = { created_at_ms: createdAtMs, stopped_at_ms: stoppedAtMs };
      return { object: 'webhook', key_id: keyId, url, ...times, deliveries };
    });
  app.get(path, async (c) => c.json(await show(c.req.param('id'))));
  app.put(path, async (c) => {
    const keyId = c.req.param('id');
    const asked = webhookUrl((await parseBody(c, zWebhook)).url, deps.isPrivateWebhookAllowed);
    if ('problem' in asked) {
      throw new ProtocolError('invalid_request', `A webhook needs another address: ${asked.problem}.`, {
        param: 'url',
      });
    }
    const secret = webhookSecret(rng.bytes(SECRET_BYTES));
    const row = { keyId, url: asked.value, createdAtMs: clock.nowMs(), stoppedAtMs: null };
    await store.withTx(async (tx) => {
      if ((await apiKeyById(tx, keyId)) === null) throw noSuch('key');
      await putWebhook(tx, { ...row, sealedSecret: box.seal(utf8(secret)) });
    });
    audit(deps, c, 'admin_webhook_set', { keyId });
    // Shown once: what is stored is sealed.
    return c.json({ ...(await show(keyId)), secret }, 201);
  });
  app.delete(path, async (c) => {
    const keyId = c.req.param('id');
    if (!(await store.withTx((tx) => removeWebhook(tx, keyId)))) throw noSuch('webhook');
    audit(deps, c, 'admin_webhook_removed', { keyId });
    return c.json({ object: 'webhook', key_id: keyId, removed: true });
  });
}
