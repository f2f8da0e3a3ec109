/** `/admin/evidence`: where accounts of evidence stand, and whose requests are the operator's own (spec-judge.md §7.10). */
import { z } from 'zod';
import type { Hash } from '#protocol/hash';
import { ownKeys } from '../evidence/evidence-desk.ts';
import type { GatewayApp } from '../http/context.ts';
import { listEvidenceAccounts } from '../store/evidence-repo.ts';
import { apiKeyById } from '../store/keys-repo.ts';
import { listOf, noSuch, parseBody } from './admin-body.ts';
import { type AdminDeps, audit } from './admin-deps.ts';

/** Prompts of an operator come from a few keys: enough that providers cannot tell them by their habits. */
const OWN_KEYS_MAX = 64;
const zOwnKeys = z.strictObject({ keys: z.array(z.string().min(1).max(64)).max(OWN_KEYS_MAX) });

export function mountEvidence(app: GatewayApp, deps: AdminDeps): void {
  const { store, evidence } = deps;
  app.get('/admin/evidence', async (c) => {
    const rows = await store.read(listEvidenceAccounts);
    const data = rows.map(({ operator, modelDigest, responses, wealth, detector, stage, logIndex, atMs }) => ({
      object: 'evidence_account',
      operator,
      model_digest: modelDigest,
      responses,
      wealth: Number(wealth),
      detector: Number(detector),
      stage,
      // What a slash would need beside the wealth; none of it after one, which closes the account.
      lacks: evidence.standing({ operator, modelDigest: modelDigest as Hash })?.lacks ?? [],
      log_index: logIndex,
      at_ms: atMs,
    }));
    return c.json(listOf(data));
  });
  app.get('/admin/evidence/own-keys', async (c) => {
    return c.json({ object: 'own_keys', keys: await store.read(ownKeys) });
  });
  app.put('/admin/evidence/own-keys', async (c) => {
    const { keys } = await parseBody(c, zOwnKeys);
    await store.read(async (handle) => {
      for (const keyId of keys) if ((await apiKeyById(handle, keyId)) === null) throw noSuch('key');
    });
    await evidence.setOwnKeys([...new Set(keys)]);
    audit(deps, c, 'admin_own_keys_set', { count: keys.length });
    return c.json({ object: 'own_keys', keys: [...new Set(keys)] });
  });
}
